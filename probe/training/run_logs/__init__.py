"""Training runs by what they leave on disk: logs of metrics, read while they grow; runs unfinished and finished, compared."""
