"""What the evidence of a stored study is made of: shown as tables without looking twice, so checked when it is opened."""

from typing import Any

from probe.artifacts.schemas import fields, maybe, number, several, text

_NUMBER = maybe(number())


def _pair(value: Any) -> bool:
    """A token and its score."""
    return isinstance(value, list) and len(value) == 2 and text(value[0]) and _NUMBER(value[1])


_ENDS = {"highest": several(_pair, 1), "lowest": several(_pair)}
_RANKING = fields({"reader": text, "through": several(text), "spread": _NUMBER, **_ENDS})
_ROWS = several(fields({}))
_SOURCE = fields({"reads": several(_RANKING), "promotes": _RANKING})
_PARTS = {
    "statistics": fields(
        {
            **dict.fromkeys(("fired", "n_tokens", "density", "mean_active", "max"), _NUMBER),
            **dict.fromkeys(("edges", "counts"), several(number())),
        }
    ),
    "weights": fields({"promotes": _RANKING}, {"reads": several(_RANKING), "connections": _ROWS}),
    "circuits": several(fields({"tokens": several(text), "activations": several(_NUMBER), "tree": _ROWS})),
}


def require_evidence(evidence: Any) -> None:
    """ValueError where a part is missing or of another sort."""
    odd = [name for name, rule in _PARTS.items() if not isinstance(evidence, dict) or not rule(evidence.get(name))]
    if odd:
        raise ValueError(f"its {odd[0]} are not what a study gathers")
    weights, numbers = evidence["weights"], evidence["statistics"]
    sources = weights.get("sources")
    if weights.get("reads") and not (
        isinstance(sources, dict) and all(map(_SOURCE, sources.values())) and "connections" in weights
    ):
        raise ValueError("its weights are not all there")
    if len(numbers["edges"]) != len(numbers["counts"]) + 1:
        raise ValueError("its histogram has other numbers of edges and bins")
    if any(len(c["tokens"]) != len(c["activations"]) for c in evidence["circuits"]):
        raise ValueError("a prompt has other numbers of tokens and activations")
