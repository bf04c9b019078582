"""The tracking door: where links, pictures and pages of a mail lead before, or instead of, their own place."""
