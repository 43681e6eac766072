"""The numbers and rows of the prompt hub: plain data from records, no components."""

from typing import TYPE_CHECKING

import numpy as np

from app import links
from app.components.drawn import Drawn
from app.library.labels import label_of
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
    pairs = zip(lens.top_tokens[row][at], lens.top_probs[row, at], strict=True)
    rows = [{"token": t, "bar": float(p), "p": float(p)} for t, p in pairs]
    columns = [
        {"key": "token", "label": "token", "kind": "token"},
        {"key": "bar", "label": "", "kind": "meter"},
        {"key": "p", "label": "probability", "kind": "num"},
    ]
    final = row == len(lens.layers) - 1
    label = lens.layers[row]
    note = f"After position {at}, " + (
        "by the whole model (last layer)."
        if final
        else f"as read at {'the embedding' if label == 'embed' else f'layer {label}'}."
    )
    return {"columns": columns, "rows": rows, "label": "Next tokens"}, note


def named(name: str, label: str) -> str:
    """A unit's name with what it is called, where it is called something."""
    return f"{name} · {label if len(label) <= 40 else label[:39] + '…'}" if label else name


_WRITE = "what it writes here (its activation times its direction, so below zero the opposite of the direction)"


def unit_rows(units: "TopUnits", at: int, model: str = "", prompt: str = "") -> Drawn:
    """Units at one position, strongest first; each opens its page, with the prompt and the token kept."""
    found = units.at(at)
    top = max((r.write_norm for r in found), default=1.0) or 1.0
    rows = [
        {
            "unit": named(r.name, label_of(r.kind, r.dictionary or model, r.layer, r.unit)),
            "kind": r.dictionary or r.kind,
            "activation": float(r.activation),
            "bar": r.write_norm / top,
            "norm": float(r.write_norm),
            "direct": float(r.direct),
            "up": r.promoted[:5],
            "down": r.suppressed[:5],
            "href": links.page_of_unit(r, model, prompt=prompt, token=at) if model else None,
        }
        for r in sorted(found, key=lambda r: -r.write_norm)
    ]
    columns = [
        {"key": "unit", "label": "unit", "kind": "unit"},
        {"key": "kind", "label": "of", "kind": "text", "title": "a neuron, or the dictionary that a latent is of"},
        {"key": "activation", "label": "activation", "kind": "num"},
        {"key": "bar", "label": "writes", "kind": "meter", "title": "length of what it adds to the residual stream"},
        {"key": "norm", "label": "", "kind": "num"},
        {
            "key": "direct",
            "label": "direct effect",
            "kind": "num",
            "title": "what it adds directly to the logit of the likeliest next token (logits minus their mean)",
        },
        {"key": "up", "label": "promotes here", "kind": "tokens", "title": f"tokens that {_WRITE} raises most"},
        {"key": "down", "label": "suppresses here", "kind": "tokens", "title": f"tokens that {_WRITE} lowers most"},
    ]
    return {
        "columns": columns,
        "rows": rows,
        "label": "Strongest units",
        "sorts": True,
        "note": "" if rows else "No unit writes anything here.",
    }


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
