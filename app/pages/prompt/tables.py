"""The numbers and rows of the prompt hub: plain data from records, no components."""

from typing import Any

import numpy as np

from app import links
from app.library import labels as labelled

METRICS = {
    "previous_token": "previous token",
    "first_token": "first token",
    "self": "itself",
    "induction": "induction",
    "entropy": "entropy",
}
"""Scores of heads and what people call them."""


def position(selection: dict[str, Any] | None, record: Any) -> int:
    """The selected token, the last one when none is or the address names one that is not there."""
    at = (selection or {}).get("token")
    return at if isinstance(at, int) and 0 <= at < len(record.tokens) else len(record.tokens) - 1


def complete(selection: dict[str, Any], lens: Any, heads: Any | None) -> dict[str, Any]:
    """A selection with nothing missing and nothing out of range."""
    layer = selection.get("layer")
    chosen = {**selection, "token": position(selection, lens)}
    if not (isinstance(layer, int) and 0 <= layer < len(lens.layers)):
        chosen["layer"] = len(lens.layers) - 1
    if heads is not None:
        chosen["head"] = "{}.{}".format(*chosen_head(selection, heads))
    return chosen


def chosen_head(selection: dict[str, Any] | None, heads: Any) -> tuple[int, int]:
    """Layer and head of the selection; else the head that most looks one token back, which is good to begin with."""
    layer, _, head = str((selection or {}).get("head") or "").partition(".")
    layers, count = heads.patterns.shape[:2]
    if layer.isdecimal() and head.isdecimal() and int(layer) < layers and int(head) < count:
        return int(layer), int(head)
    best = np.nan_to_num(heads.metrics["previous_token"]).argmax()
    return int(best // count), int(best % count)


def number(value: float, digits: int = 3) -> str:
    """A short number with a true minus sign; a dash for NaN."""
    return "–" if not np.isfinite(value) else f"{value:.{digits}g}".replace("-", "−")


def token_facts(lens: Any, at: int) -> list[tuple[str, str, str | None]]:
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
    settled = (
        int(np.argmax(np.minimum.accumulate((lens.rank_of_final[:, at] == 0)[::-1])[::-1]))
        if lens.rank_of_final[-1, at] == 0
        else len(lens.layers) - 1
    )
    facts.append(
        ("prediction settles at", f"layer {lens.layers[settled]}", "from there on the top token is the final one")
    )
    return facts


def next_rows(lens: Any, at: int, layer: int | None) -> tuple[dict[str, Any], str]:
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


def unit_href(unit: Any, model: str, **chosen: Any) -> str | None:
    """The page of a unit; none for a latent of a dictionary that is not stored."""
    if unit.kind == "neuron":
        return links.neuron_page(model, unit.layer, unit.unit, **chosen)
    return links.latent_page(unit.dictionary, unit.unit, model=model, **chosen) if unit.dictionary else None


_WRITE = "what it writes here (its activation times its direction, so below zero the opposite of the direction)"


def unit_rows(units: Any, at: int, model: str = "", prompt: str = "") -> dict[str, Any]:
    """Units at one position, strongest first; each opens its page, with the prompt and the token kept."""
    found = units.at(at)
    top = max((r.write_norm for r in found), default=1.0) or 1.0
    rows = [
        {
            "unit": named(r.name, labelled.label_of(r.kind, r.dictionary or model, r.layer, r.unit)),
            "kind": r.dictionary or r.kind,
            "activation": float(r.activation),
            "bar": r.write_norm / top,
            "norm": float(r.write_norm),
            "direct": float(r.direct),
            "up": r.promoted[:5],
            "down": r.suppressed[:5],
            "href": unit_href(r, model, prompt=prompt, token=at) if model else None,
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


def head_facts(heads: Any, layer: int, head: int, names: dict[str, str]) -> list[tuple[str, str, str | None]]:
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
