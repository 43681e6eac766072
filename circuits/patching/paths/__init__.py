"""Path patching: what one component says to others, put from one prompt's run into another's (Wang et al. 2023)."""
