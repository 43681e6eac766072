"""Is it true? Edges against the model under intervention and against autograd, and any part of a graph tested in place."""
