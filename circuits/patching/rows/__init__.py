"""Many changed runs of one prompt as the rows of one forward pass: running them, what they take, windows of layers."""
