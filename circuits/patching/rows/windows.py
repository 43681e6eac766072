"""Windows of layers around one: what a single layer does is often done again by the next, so several are changed together."""


def layers_around(layer: int, width: int, n_layers: int) -> range:
    """`width` layers of which `layer` is in the middle (of an even number, the first after it), cut off at both ends."""
    first = layer - width // 2
    return range(max(0, first), min(n_layers, first + width))


def a_fifth(n_layers: int) -> int:
    """A window of about a fifth of the layers, as Meng et al. take of GPT-2 XL (10 of 48)."""
    return max(1, round(n_layers / 5))
