"""Figures in the clothes of the page."""
