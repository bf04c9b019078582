"""Lanes: one for each destination site and pool, what it may do now, what it has learned, and what waits in it."""
