"""One loaded model: how it is read, its sites, its units, its norms, its fingerprint, its hand-wired relatives."""
