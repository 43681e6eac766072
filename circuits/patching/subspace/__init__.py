"""Interchange on a learned subspace: distributed alignment search, its controls, and whether it works through a dormant path."""
