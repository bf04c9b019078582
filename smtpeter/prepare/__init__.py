"""What a message needs from outside before it can be made: fetched, numbered and kept once, so that a render finds it."""
