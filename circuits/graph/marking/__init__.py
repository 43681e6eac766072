"""What a person marks in a graph: pins, groups and labels; every edit of them, the way back, and where they are stored."""
