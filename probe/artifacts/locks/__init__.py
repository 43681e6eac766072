"""One writer at a time: locks of the system, and names claimed with them while something is written."""
