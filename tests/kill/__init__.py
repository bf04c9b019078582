"""Killing the running gateway: what it acknowledged must arrive, whatever happens to its processes."""
