"""The guarded HTTP client: all that the gateway asks of other people's web servers goes through it (H1, H2, H3)."""
