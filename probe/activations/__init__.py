"""A model harvested into a cache, a cache read back, or activations streamed from the model."""
