"""Attention knockout: what a prediction loses where some positions cannot look at others (Geva et al. 2023)."""
