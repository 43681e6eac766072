"""The page of the logit lens."""
