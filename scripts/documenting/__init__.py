"""What `make docs` makes pages of: documents, notebooks, methods, studies, rooms, commands, words."""
