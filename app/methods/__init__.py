"""A declared method on any page: its form, its address, its job, its result drawn. Nothing here knows one from another."""
