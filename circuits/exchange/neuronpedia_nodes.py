"""One node of an exchanged file, in the dialects there are: circuit-tracer, Neuronpedia, EleutherAI's attribute, our own.

All agree on `feature_type`, `layer`, `ctx_idx`; they differ in ids and in where logits stand. A transcoder's unit is the second
part of an id `{layer}_{unit}_{pos}`, else the second of the Cantor pair in `feature`, else `feature` itself. Numbers and texts
are hostile until shown otherwise: anything of the wrong type is BadInput, naming the node.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from circuits.exchange.neuronpedia_ids import MARKS, cantor, uncantor
from circuits.graph.checks import MAX_LAYERS, MAX_UNIT
from circuits.graph.graph import KINDS, ROOTS, UNITS
from probe.errors import BadInput
from probe.words import clip

MAX_TEXT = 1000
"Characters of a token or a label that are kept."
TYPES_READ = {"embedding": "token", "logit": "logit", "bias": "bias", "error": "error"}
"""Kinds of nodes by the feature type of any program; any other that ends in " error" is an error, too."""
TYPES_WRITTEN = {
    **dict.fromkeys(UNITS, "cross layer transcoder"),
    **dict.fromkeys(ROOTS, "logit"),
    **dict.fromkeys(("position", "bias", "first"), "bias"),
    **dict.fromkeys(("rest", "error"), "mlp reconstruction error"),
    "token": "embedding",
}
"""Feature types by the kinds of our nodes, as the frontends draw them; several kinds share one, which `openwork` tells apart."""
_PREFIXES = {"input_": "token", "error_": "error", "E_": "token"}
_PROBABILITY = re.compile(r"\(p=\s*([0-9.eE+-]{1,20})\s*\)")
_QUOTED = re.compile(r'"(.*)"', re.DOTALL)
_NAN = float("nan")


@dataclass(frozen=True)
class Found:
    """A node as read. probability: of a root, NaN where the file does not say. layer: of a root as the file has it."""

    id: str
    kind: str
    layer: int
    pos: int
    unit: int
    value: float
    activation: float
    constant: float
    probability: float
    text: str


def text(value: Any, what: str, most: int = MAX_TEXT) -> str:
    """A text, kept as it is but for half characters (lone surrogates), which no file can hold, and what is over `most`."""
    if not isinstance(value, str):
        raise BadInput(f"{what} is a {type(value).__name__}; a text was wanted.")
    whole = value.encode("utf8", "replace").decode("utf8") if not value.isascii() else value
    return clip(whole, most)


def whole(value: Any, what: str, low: int, high: int) -> int:
    """An integer between two limits; JSON writes some as 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{what} is a {type(value).__name__}; a whole number was wanted.")
    if not low <= value <= high:
        raise BadInput(f"{what} is out of range; {low} to {high} was wanted.")
    return value


def number(value: Any, what: str) -> float:
    """A finite number; NaN for null and for what is not there."""
    if value is None:
        return _NAN
    try:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadInput(f"{what} is no finite number.")
    except OverflowError as error:
        raise BadInput(f"{what} is no finite number.") from error
    return float(value)


def read_node(node: Any, at: int, n_tokens: int) -> Found:
    """The `at`-th node of a file. BadInput names it and what is wrong with it."""
    if not isinstance(node, Mapping):
        raise BadInput(f"Node {at} is a {type(node).__name__}; a mapping was wanted.")
    name = text(node.get("node_id"), f"The node_id of node {at}")
    what = f"of node {name[:60]!r}"
    pos = whole(node.get("ctx_idx"), f"ctx_idx {what}", 0, n_tokens - 1)
    own = node.get("openwork")
    found = _own(node, own, name, pos, what) if isinstance(own, Mapping) else _foreign(node, name, pos, what)
    return replace(found, activation=number(node.get("activation"), f"activation {what}"))


def _own(node: Mapping[str, Any], own: Mapping[str, Any], name: str, pos: int, what: str) -> Found:
    """A node with our own fields."""
    kind = own.get("kind")
    if kind not in KINDS:
        raise BadInput(f"The kind {what} is {str(kind)[:40]!r}, which this version does not know. Upgrade Openwork.")
    value, constant = (number(own.get(k), f"{k} {what}") for k in ("value", "constant"))
    probability = number(node.get("token_prob"), f"token_prob {what}") if kind in ROOTS else 0.0
    return Found(
        id=name,
        kind=kind,
        layer=whole(own.get("layer"), f"layer {what}", -1, MAX_LAYERS),
        pos=pos,
        unit=whole(own.get("unit"), f"unit {what}", -1, MAX_UNIT),
        value=value,
        activation=_NAN,
        constant=constant,
        probability=probability,
        text=text(own.get("text"), f"text {what}"),
    )


def _foreign(node: Mapping[str, Any], name: str, pos: int, what: str) -> Found:
    """A node of another program."""
    feature, label = node.get("feature"), text(node.get("clerp") or "", f"clerp {what}")
    if feature is not None:
        feature = whole(feature, f"feature {what}", -(2**31), 2**63)
    kind = _kind(node, name, feature, what)
    layer = -1 if kind in ("token", "position") else _layer(node.get("layer"), what)
    if kind == "logit":
        return _logit(node, name, layer, pos, feature, label, what)
    if kind == "latent":
        unit = _unit(name, layer, pos, feature, what)
        return Found(
            id=name,
            kind=kind,
            layer=layer,
            pos=pos,
            unit=unit,
            value=_NAN,
            activation=_NAN,
            constant=_NAN,
            probability=0.0,
            text=label,
        )
    vocab = re.fullmatch(r"E_(\d{1,9})_\d+", name) if kind == "token" else None
    return Found(
        id=name,
        kind=kind,
        layer=layer,
        pos=pos,
        unit=int(vocab[1]) if vocab else -1,
        value=_NAN,
        activation=_NAN,
        constant=0.0,
        probability=0.0,
        text="",
    )


def _kind(node: Mapping[str, Any], name: str, feature: int | None, what: str) -> str:
    """The kind by feature type, then by the form of the id."""
    given = text(node.get("feature_type"), f"feature_type {what}").strip().lower()
    kind = TYPES_READ.get(given) or ("error" if given.endswith(" error") else None)
    if kind is None:
        kind = next((k for prefix, k in _PREFIXES.items() if name.startswith(prefix)), None)
    if kind in ("bias", "error"):  # ours without our fields: the mark in the id is finer than the type
        mark = re.fullmatch(r"-?\d+_(-\d)_\d+", name)
        marks = {m: k for k, m in MARKS.items()}
        return "position" if name.startswith("P_") else marks.get(int(mark[1]), kind) if mark else kind
    return kind or ("latent" if feature is not None and feature >= 0 else "rest")


def _layer(value: Any, what: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,6}", value.strip()):
        value = int(value)
    if value == "E":
        return -1
    return whole(value, f"layer {what}", -1, MAX_LAYERS)


def _unit(name: str, layer: int, pos: int, feature: int | None, what: str) -> int:
    """Which unit of its layer a transcoder's node is; -1 where nothing says."""
    parts = re.fullmatch(r"(?:intermediate_(?P<p>\d{1,9})_)?(?P<l>-?\d{1,9})_(?P<f>\d{1,10})(?:_(?P<q>\d{1,9}))?", name)
    if parts and int(parts["l"]) == layer and int(parts["p"] or parts["q"] or -1) == pos:
        return whole(int(parts["f"]), f"the unit {what}", 0, MAX_UNIT)
    if feature is None or feature < 0:
        return -1
    of, unit = uncantor(feature)
    return whole(unit if of == layer and feature == cantor(of, unit) else feature, f"feature {what}", 0, MAX_UNIT)


def _logit(
    node: Mapping[str, Any], name: str, layer: int, pos: int, feature: int | None, label: str, what: str
) -> Found:
    """A logit: token and probability from their fields, else from the label `Output "tok" (p=0.29)`."""
    probability = number(node.get("token_prob"), f"token_prob {what}")
    said = _PROBABILITY.findall(label)
    if math.isnan(probability) and said:
        try:
            probability = number(float(said[-1]), f"the probability {what}")
        except ValueError:
            probability = _NAN
    if probability < 0 or probability > 1 + 1e-6:
        raise BadInput(f"The probability {what} is {probability:.3g}; 0 to 1 was wanted.")
    quoted = _QUOTED.search(label)
    token = quoted[1] if quoted else label.split("(p=")[0].strip()
    unit = feature if feature is not None and 0 <= feature <= MAX_UNIT else -1
    return Found(
        id=name,
        kind="logit",
        layer=layer,
        pos=pos,
        unit=unit,
        value=_NAN,
        activation=_NAN,
        constant=_NAN,
        probability=probability,
        text=token,
    )
