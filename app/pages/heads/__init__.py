"""The page of attention heads."""
