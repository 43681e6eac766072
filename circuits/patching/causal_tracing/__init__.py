"""Causal tracing: the subject's tokens drowned in noise, one clean piece at a time put back (Meng et al. 2022)."""
