"""The roof: the only room that knows every other."""
