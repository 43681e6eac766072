"""The second implementation of attribution, by autograd, that the first is held against."""
