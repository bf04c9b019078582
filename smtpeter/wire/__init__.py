"""Bytes to facts and back: protocols without sockets, clocks or files."""
