"""Who may knock. Doors translate; they never decide."""
