"""One short pass through a model, and what it tells of where its sites are: each identity checked, each lack explained."""
