"""Sender domains and the keys that sign for them."""
