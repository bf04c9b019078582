"""What a mail says: pure functions from a stored source to the bytes that leave."""
