"""Which latents may be on: the part of a dictionary that makes its code sparse."""
