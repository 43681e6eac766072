"""Points: the places of the residual stream, in the order of the forward pass. Block l has four:

    4l      BLOCK_IN   attention reads (in parallel blocks the MLP too)
    4l + 1  MID        attention has written; an SAE of resid_mid stands here
    4l + 2  MLP_IN     the MLP reads
    4l + 3  POST       the MLP has written; an SAE of resid_post stands here
    4L                 what the final norm reads

A write enters at a point and is seen by every reader at that point or a later one. An SAE in the stream reads at its point
and writes at the next: what is read behind it is made of its latents, its error and its bias.

A point is a plain number, so that arrays hold many and "before" is `<`; the functions here are the only ones that count in fours.
"""

BLOCK_IN, MID, MLP_IN, POST = range(4)
"""The places of a block. What a module reads stands at an even one, what it has written and an SAE may replace at an odd one."""
PLACES = 4
_STREAM_SITES = {"resid_pre": BLOCK_IN, "resid_mid": MLP_IN, "resid_post": PLACES}


def place_of(point: int) -> tuple[int, int]:
    """Block and place in it."""
    return divmod(point, PLACES)


def layer_of(point: int) -> int:
    """The block a point belongs to; the number of layers for what the final norm reads."""
    return point // PLACES


def attention_reads(layer: int) -> int:
    """Where attention reads."""
    return PLACES * layer + BLOCK_IN


def attention_writes(layer: int, parallel: bool) -> int:
    """Where attention's output enters: in parallel blocks together with the MLP's, since nothing reads in between."""
    return PLACES * layer + (POST if parallel else MID)


def mid(layer: int) -> int:
    """Where an SAE of resid_mid reads."""
    return PLACES * layer + MID


def mlp_reads(layer: int, parallel: bool) -> int:
    """Where the MLP reads."""
    return PLACES * layer + (BLOCK_IN if parallel else MLP_IN)


def mlp_writes(layer: int) -> int:
    """Where the MLP's output enters, and where an SAE of resid_post reads."""
    return PLACES * layer + POST


def behind(point: int) -> int:
    """Where an SAE that reads at this point writes: at the next, so that what is read there passes through it."""
    return point + 1


def of_stream(kind: str, layer: int) -> int:
    """Where a reader of resid_pre, resid_mid or resid_post reads: behind the SAE, where one stands there."""
    return PLACES * layer + _STREAM_SITES[kind]


def final(n_layers: int) -> int:
    """Where the final norm reads."""
    return PLACES * n_layers


def all_points(n_layers: int) -> range:
    """Every point, in order."""
    return range(final(n_layers) + 1)
