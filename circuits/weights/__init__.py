"""What the weights alone say, and the greedy paths of one prompt with every edge factorised."""
