"""Labels for units by rule: a pool of candidates, the best of it for each unit, its score on text that was not looked at."""
