"""What can be counted of the source, without running it: one count a file."""
