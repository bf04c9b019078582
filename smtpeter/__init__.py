"""smtpeter: an e-mail gateway. The folders, read in the order of docs/walk.md, tell the life of a message."""

__version__ = "0.1.0"
