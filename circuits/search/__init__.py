"""Finding a circuit: which edges between components are enough for a task, by removing, growing, or choosing the best."""
