"""What is at hand: artifacts on disk, models and records in memory, prompts, tables, vocabulary."""
