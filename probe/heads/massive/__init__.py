"""Massive activations, the attention sinks they mark, and what the model is without them."""
