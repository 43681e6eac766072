"""The study `ioi`: heads found by their roles in indirect object identification, and what becomes of the answer without them."""
