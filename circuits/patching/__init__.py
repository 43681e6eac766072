"""Activation patching: run one prompt, put in a piece of another prompt's run, and see how far the answer moves."""
