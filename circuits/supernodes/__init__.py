"""Reading graphs: influence, pruning, scores, groups, merging over prompts, differences. No model inside."""
