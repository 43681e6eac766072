"""Commands from activations to dictionaries and what they are worth."""
