"""The dashboard built, guarded and served; records opened from a notebook."""
