"""Examples of a unit as plain values, with the one scale by which all their tokens are coloured: from 0, or its lowest activation
where that is below, to its highest. Where it is below, two colours meet at 0, and the larger of both ends is the full colour."""

from typing import TYPE_CHECKING, Any

from probe.features.unit_tables import example_groups

if TYPE_CHECKING:
    from probe.features.unit import Unit


def colour_scale(unit: "Unit") -> tuple[float, float]:
    """The activations at which a token has the full colour, below and above 0."""
    return min(unit.min, 0.0), max(unit.max, 0.0) or 1.0


def coloured_examples(unit: "Unit") -> dict[str, Any]:
    """Groups of examples, strongest first: tokens, values, the peak and where it is from; and the scale of the colours."""
    groups = [
        {
            "name": name,
            "examples": [
                {
                    "tokens": e.tokens,
                    "ids": e.token_ids,
                    "values": [float(f"{v:.4g}") for v in e.activations],
                    "peak": e.peak,
                    "value": float(f"{e.value:.4g}"),
                    "where": f"{e.document}, row {e.row}, position {e.pos}",
                }
                for e in examples
            ],
        }
        for name, examples in example_groups(unit)
    ]
    none = "It was never active, so there is no text to show." if unit.dead else "The table kept no examples of it."
    low, high = colour_scale(unit)
    return {"groups": groups, "lo": low, "hi": high, "label": f"activation of {unit.name}", "empty": none}
