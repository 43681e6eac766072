"""The whole way once: from a prompt to a circuit through a dictionary that was trained on the way, and its report."""
