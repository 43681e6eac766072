"""Commands that read or change one prompt."""
