"""From a folder, a file or a loaded model to a bridge: what is looked at before, while and after transformers reads it."""
