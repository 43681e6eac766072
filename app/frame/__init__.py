"""The shell around every page, its search and its status."""
