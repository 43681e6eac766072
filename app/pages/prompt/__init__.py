"""The page of one prompt."""
