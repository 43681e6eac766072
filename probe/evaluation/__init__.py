"""Is a dictionary any good: spliced into the model, beside baselines, stored, swept."""
