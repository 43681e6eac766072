"""Points: the places of the residual stream, in the order of the forward pass. Block l has four:

    4l      attention reads (in parallel blocks the MLP too)
    4l + 1  attention has written; an SAE of resid_mid stands here
    4l + 2  the MLP reads
    4l + 3  the MLP has written; an SAE of resid_post stands here
    4L      what the final norm reads

A write enters at a point and is seen by every reader at that point or a later one. An SAE in the stream reads at its point
and writes at the next: what is read behind it is made of its latents, its error and its bias.
"""


def attention_reads(layer: int) -> int:
    """Where attention reads."""
    return 4 * layer


def attention_writes(layer: int, parallel: bool) -> int:
    """Where attention's output enters."""
    return 4 * layer + (3 if parallel else 1)


def mid(layer: int) -> int:
    """Where an SAE of resid_mid reads."""
    return 4 * layer + 1


def mlp_reads(layer: int, parallel: bool) -> int:
    """Where the MLP reads."""
    return 4 * layer + (0 if parallel else 2)


def mlp_writes(layer: int) -> int:
    """Where the MLP's output enters, and where an SAE of resid_post reads."""
    return 4 * layer + 3


def final(n_layers: int) -> int:
    """Where the final norm reads."""
    return 4 * n_layers
