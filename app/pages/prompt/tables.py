"""The numbers and rows of the prompt hub: plain data from records, no components."""

from typing import TYPE_CHECKING

import numpy as np

from app.components.drawn import Drawn
from app.components.plain_rows import row_data
from app.methods.onward import unit_links
from app.selection import Selection, chosen_head, position
from probe.words import number

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns
    from probe.lens.logit import LensResult
    from probe.neurons.strongest import TopUnits


METRICS = {
    "previous_token": "previous token",
    "first_token": "first token",
    "self": "itself",
    "induction": "induction",
    "entropy": "entropy",
}
"""Scores of heads and what people call them."""


def complete(selection: Selection, lens: "LensResult", heads: "HeadPatterns") -> Selection:
    """A selection with nothing missing and nothing out of range."""
    layer = selection.get("layer")
    chosen = {**selection, "token": position(selection, lens)}
    if not (isinstance(layer, int) and 0 <= layer < len(lens.layers)):
        chosen["layer"] = len(lens.layers) - 1
    if heads is not None:
        chosen["head"] = "{}.{}".format(*chosen_head(selection, heads))
    return chosen


def token_facts(lens: "LensResult", at: int) -> list[tuple[str, str, str | None]]:
    """Name, value and note of what is known about one token."""
    facts: list[tuple[str, str, str | None]] = [
        ("position", str(at), None),
        ("token id", f"{lens.token_ids[at]:,}", None),
    ]
    loss = float(lens.loss[at])
    facts.append(
        (
            "loss",
            f"{number(loss)} nats" if np.isfinite(loss) else "–",
            f"it had probability {np.exp(-loss):.3g}" if np.isfinite(loss) else "nothing predicts the first token",
        )
    )
    facts.append(("entropy of what follows", f"{number(float(lens.entropy[-1, at]))} nats", None))
    settled = f"layer {lens.layers[lens.settled(at)]}"
    facts.append(("prediction settles at", settled, "from there on the top token is the final one"))
    return facts


def next_rows(lens: "LensResult", at: int, layer: int | None) -> tuple[Drawn, str]:
    """The likeliest next tokens at one layer and position, and the sentence that says which."""
    row = layer if isinstance(layer, int) and 0 <= layer < len(lens.layers) else len(lens.layers) - 1
    label = lens.layers[row]
    where = f"as read at {'the embedding' if label == 'embed' else f'layer {label}'}"
    said = "by the whole model (last layer)" if row == len(lens.layers) - 1 else where
    return row_data("Next tokens", lens.next_tokens(at, row)), f"After position {at}, {said}."


def unit_rows(units: "TopUnits", at: int, model: str = "", prompt: str = "") -> Drawn:
    """Units at one position, strongest first; each opens its page, with the prompt and the token kept."""
    rows = sorted(units.rows(at), key=lambda row: -row["write"])
    link = unit_links(model, prompt, token=at) if model else None
    return {**row_data("Strongest units", rows, link), "note": "" if rows else "No unit writes anything here."}


def head_facts(
    heads: "HeadPatterns", layer: int, head: int, names: dict[str, str]
) -> list[tuple[str, str, str | None]]:
    """The metrics of one head with what they mean."""
    notes = {
        "entropy": "spread of its attention, nats",
        "previous_token": "attention to the token before",
        "first_token": "attention to the first token",
        "self": "attention to the token itself",
        "induction": "attention to what followed earlier copies of the token",
    }
    return [
        (name, number(float(heads.metrics[key][layer, head])), notes.get(key))
        for key, name in names.items()
        if key in heads.metrics
    ]
