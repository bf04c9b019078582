"""A whole gateway in memory: virtual time, a zone of dicts, scripted remote hosts."""
