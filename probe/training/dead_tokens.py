"""After how many silent tokens a latent counts as dead, where nothing else is asked for."""

DEAD_TOKENS = 50_000
