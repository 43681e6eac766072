"""Arithmetic in a few heads: which they are, whether other operators, forms and tasks need them, and training them alone."""
