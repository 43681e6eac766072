"""The page of activation patching."""
