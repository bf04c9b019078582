"""What we cannot control (time, names, sockets), behind small protocols, and their real versions."""
