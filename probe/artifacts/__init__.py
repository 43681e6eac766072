"""One artifact, one folder: manifest, names, checksums, locks, and writing whole or not at all."""
