"""PrISM: fact completions sorted into exact recall, heuristics, guesswork and plain language modelling, and each traced."""
