"""The capture sink of development mode: takes all mail over real SMTP, keeps it, and shows it on a plain page."""
