"""What a reader may choose of a lens, without what draws it: the colours of its map, the quantities of a followed token, and the
part of a long prompt."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from probe.show.panels import Chosen, Figure, Panel

COLOURS = ("probability", "entropy", "kl", "rank", "norm")
QUANTITIES = ("probability", "rank", "logit")
EXTENTS = ("window", "all")
WINDOW = 256
"""Positions of a prompt that is shown whole."""


def chosen_map(title: str, draw: Callable[..., Any], n_tokens: int, **choices: Sequence[str]) -> Panel:
    """A map of layers by positions, in which a click chooses both; of a long prompt a window around the chosen token, or all."""
    if n_tokens <= WINDOW:
        return Figure(title, partial(draw, -1), choices, ("token", "layer"))
    wider = {**choices, "extent": EXTENTS}
    return Chosen({"token": n_tokens}, lambda token: [Figure(title, partial(draw, token), wider, ("token", "layer"))])
