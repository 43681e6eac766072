"""How an edge of the drawn subgraph looks: the more influence runs along it, the wider and the less faint it is.

Whoever draws it (a page, a notebook) takes both numbers from here.
"""

import math

NARROWEST, WIDEST = 0.8, 5.0
"""Width in pixels of an edge with no influence, and of that with most."""
FAINTEST, STRONGEST = 0.25, 0.8
"""Opacity of the same two."""


def edge_width(share: float) -> float:
    """Width of an edge whose influence is this share of the largest: it grows with the root, so that weak ones can be seen."""
    return round(NARROWEST + (WIDEST - NARROWEST) * math.sqrt(share), 2)


def edge_opacity(share: float) -> float:
    """The same for opacity."""
    return round(FAINTEST + (STRONGEST - FAINTEST) * math.sqrt(share), 2)
