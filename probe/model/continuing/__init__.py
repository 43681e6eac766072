"""Texts that grow by a token a pass, many side by side: the model without its hooks, and room for keys and values."""
