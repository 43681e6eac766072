"""The local replacement model of one prompt: patterns and norms frozen, dictionaries in place."""
