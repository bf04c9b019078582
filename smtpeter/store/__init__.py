"""Our memory: SQLite on one machine, PostgreSQL on many; the same operations on both."""
