"""Windows of layers around one: what a single layer does is often done again by the next, so several are changed together."""

from probe.errors import BadInput


def layers_around(layer: int, width: int, n_layers: int) -> range:
    """`width` layers of which `layer` is in the middle (of an even number, the first after it), cut off at both ends."""
    first = layer - width // 2
    return range(max(0, first), min(n_layers, first + width))


def a_fifth(n_layers: int) -> int:
    """A window of about a fifth of the layers, as Meng et al. take of GPT-2 XL (10 of 48)."""
    return max(1, round(n_layers / 5))


def window_of(width: int | None, usual: int, n_layers: int) -> int:
    """The width that was asked for, or the usual one. BadInput for more layers than the model has."""
    if width is not None and width > 2 * n_layers - 1:  # so wide, it holds every layer around any
        most = 2 * n_layers - 1
        raise BadInput(
            f"A window of {width:,} layers was asked for; in this model one of {most} holds every layer around any."
        )
    return width or usual
