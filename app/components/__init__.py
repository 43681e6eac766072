"""Pieces that pages are made of. Long lists of tokens and rows are drawn in the browser; a page stays under 300 components."""
