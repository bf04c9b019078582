"""Accept: who knocks, and may this come in."""
