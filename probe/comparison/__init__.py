"""Two prompts read side by side."""
