"""From a prompt to its attribution graph: freeze, choose, sweep, assemble; and from a graph's nodes back to vectors."""
