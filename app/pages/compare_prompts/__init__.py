"""The page of two prompts side by side."""
