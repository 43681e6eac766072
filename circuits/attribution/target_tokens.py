"""What a graph explains: logits at the last position, the difference of two, or any direction of the residual stream.

Logits are demeaned over the vocabulary, since a constant added to all of them changes nothing. With a soft-cap, the value
explained is the logit before it; probabilities are after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.attribution.sources import Targets
from circuits.replacement import points
from circuits.replacement.frozen import FrozenModel, stream_at
from probe.errors import BadInput, brief
from probe.model.sites import Site, parse_site
from probe.plain_values import look_at_config
from probe.show.record import Record
from probe.text.targets import Difference, token_id
from probe.text.targets import asked as target_of
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.graph.graph import CircuitGraph


@dataclass(frozen=True, eq=False)
class Direction(Record):
    """What a vector reads at a site of the residual stream (resid_pre, resid_mid, resid_post or ln_final) and a position.

    >>> graph = ow.trace(model, "Mary went", target=ow.Direction(torch.ones(64), "resid_post.1"))
    >>> graph.rows(kind="direction")[0]["kind"]
    'direction'
    """

    vector: Float[Tensor, " d_model"]
    at: str | Site = "ln_final"
    pos: int = -1
    name: str = "direction"

    def __post_init__(self) -> None:
        look_at_config(self)
        if getattr(self.vector, "ndim", 0) != 1:
            raise BadInput(f"Direction: vector is {brief(self.vector)}; a tensor of d_model numbers was wanted.")


Root = str | int | Difference | Direction


@dataclass(frozen=True)
class Roots:
    """What is explained: kind (`logit` or `direction`), unit (token id, or number of the direction) and name of each, its
    weight in the graph, its value and constant, and the rows that read it. described: how to make each direction again."""

    kind: list[str]
    unit: Int[Tensor, " root"]
    name: list[str]
    weight: Float[Tensor, " root"]
    value: Float[Tensor, " root"]
    constant: Float[Tensor, " root"]
    targets: Targets
    described: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.kind)

    def join(self, other: "Roots") -> "Roots":
        """These roots, then others."""
        joined = ("unit", "weight", "value", "constant")
        return Roots(
            kind=self.kind + other.kind,
            name=self.name + other.name,
            targets=self.targets.join(other.targets),
            described=self.described + other.described,
            **{n: torch.cat([getattr(self, n), getattr(other, n)]) for n in joined},
        )


def choose_roots(
    model: "TransformerBridge",
    frozen: FrozenModel,
    asked: Sequence[Root] = (),
    max_logits: int = 10,
    probability_mass: float = 0.95,
) -> Roots:
    """The roots asked for, or the fewest logits that hold `probability_mass`, at most `max_logits`."""
    raw = frozen.logits_at(-1)
    cap = float(model.cfg.output_logits_soft_cap or -1.0)
    probability = (cap * torch.tanh(raw / cap) if cap > 0 else raw).softmax(-1)
    if not asked:
        top = probability.topk(min(max_logits, len(probability)))
        enough = int((top.values.cumsum(0) < probability_mass).sum()) + 1
        return _named(model, _logits(frozen, top.indices[:enough], probability))
    tokens = {token_id(model, t) for t in asked if not isinstance(t, Difference | Direction)}
    ids = torch.tensor(sorted(tokens, key=lambda i: -probability[i].item()), dtype=torch.long, device=raw.device)
    described = [_described(model, frozen, t) for t in asked if isinstance(t, Difference | Direction)]
    for told in described:
        if "difference" in told:
            told["probabilities"] = [float(probability[i]) for i in told["difference"]]
    return _with_directions(frozen, _named(model, _logits(frozen, ids, probability)), described)


def graph_roots(frozen: FrozenModel, graph: "CircuitGraph") -> Roots:
    """The roots of a finished graph, made again from what it says of them."""
    mask = graph.nodes.where("logit")
    probability = frozen.embed.new_zeros(frozen.W_U.shape[1])
    ids = torch.from_numpy(graph.nodes.unit[mask].astype(np.int64)).to(probability.device)
    probability[ids] = torch.from_numpy(graph.probability[mask]).to(probability)
    described = graph.convention.get("directions", [])
    _require_directions(frozen, described, int(graph.nodes.where("direction").sum()))
    return _with_directions(frozen, _logits(frozen, ids, probability), described)


def _require_directions(frozen: FrozenModel, described: Any, wanted: int) -> None:
    """Refuse what a file says of its directions if they cannot be read from it."""
    d_model, d_vocab = frozen.W_U.shape
    if not isinstance(described, list) or len(described) != wanted:
        raise BadInput(
            f"The graph explains {wanted} directions but does not say how to read each; trace the prompt again."
        )
    for told in described:
        pair = told.get("difference") if isinstance(told, dict) else None
        tokens = (
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(i, int) and 0 <= i < d_vocab for i in pair)
        )
        vector, pos = (told.get("vector"), told.get("pos")) if isinstance(told, dict) else (None, None)
        numbers = (
            isinstance(vector, list) and len(vector) == d_model and all(isinstance(v, int | float) for v in vector)
        )
        placed = isinstance(pos, int) and 0 <= pos < frozen.length and isinstance(told.get("at"), str)
        if not (isinstance(told, dict) and isinstance(told.get("name"), str) and (tokens or (numbers and placed))):
            raise BadInput("The graph says of a direction what cannot be read in this model; trace the prompt again.")


def _logits(frozen: FrozenModel, ids: Tensor, probability: Tensor) -> Roots:
    """Demeaned logits, nameless yet."""
    raw = frozen.logits_at(-1)
    readers = (frozen.W_U[:, ids] - frozen.W_U.mean(1, keepdim=True)).T
    constant = frozen.b_U[ids] - frozen.b_U.mean()
    targets, shift = _at_the_end(frozen, readers)
    kinds, names = ["logit"] * len(ids), [""] * len(ids)
    return Roots(kinds, ids, names, probability[ids], raw[ids] - raw.mean(), constant + shift, targets)


def _named(model: "TransformerBridge", roots: Roots) -> Roots:
    return replace(roots, name=display_tokens(model, roots.unit.tolist()))


def _with_directions(frozen: FrozenModel, roots: Roots, described: Sequence[dict[str, Any]]) -> Roots:
    for number, told in enumerate(described):
        roots = roots.join((_difference if "difference" in told else _direction)(frozen, told, number))
    return roots


def _at_the_end(frozen: FrozenModel, readers: Tensor, pos: int = -1) -> tuple[Targets, Tensor]:
    """Targets that read after the final norm at a position, and what the norm's bias gives them."""
    n, norm = len(readers), frozen.ln_final
    last = torch.full((n,), pos % frozen.length, device=readers.device)
    point, none = torch.full_like(last, points.final(len(frozen.layers))), torch.full_like(last, -1)
    if norm is None:
        return Targets(point, last, readers.contiguous(), none), readers.new_zeros(n)
    return Targets(point, last, norm.adjoint_at(readers, last), none), readers @ norm.bias


def _described(model: "TransformerBridge", frozen: FrozenModel, asked: Difference | Direction) -> dict[str, Any]:
    """All that is needed to make a direction again, ready for JSON; BadInput where it cannot be made."""
    return _describe_difference(model, asked) if isinstance(asked, Difference) else _describe(model, frozen, asked)


def _describe_difference(model: "TransformerBridge", asked: Difference) -> dict[str, Any]:
    found = target_of(model, asked)
    return {"name": found.name, "difference": [found.id, found.other]}


def _describe(model: "TransformerBridge", frozen: FrozenModel, asked: Direction) -> dict[str, Any]:
    site, width = parse_site(asked.at, model), frozen.embed.shape[1]
    if not isinstance(asked.vector, Tensor):
        raise BadInput(f"The direction {asked.name!r} must be a tensor, not a {type(asked.vector).__name__}.")
    if asked.vector.shape != (width,) or not torch.isfinite(asked.vector).all():
        shape = tuple(asked.vector.shape)
        raise BadInput(f"The direction {asked.name!r} must be {width} finite numbers; it has shape {shape}.")
    if not -frozen.length <= asked.pos < frozen.length:
        raise BadInput(f"The direction {asked.name!r} reads position {asked.pos}; the prompt has {frozen.length}.")
    if site.kind != "ln_final":
        _point(frozen, site)
    pos, vector = asked.pos % frozen.length, asked.vector.detach().tolist()
    return {"name": asked.name, "at": site.short, "pos": pos, "vector": vector}


def _difference(frozen: FrozenModel, told: dict[str, Any], number: int) -> Roots:
    first, second = told["difference"]
    raw, bias = frozen.logits_at(-1), frozen.b_U
    targets, shift = _at_the_end(frozen, (frozen.W_U[:, first] - frozen.W_U[:, second])[None])
    return _one(told, number, raw[first] - raw[second], bias[first] - bias[second] + shift, targets)


def _direction(frozen: FrozenModel, told: dict[str, Any], number: int) -> Roots:
    site, pos, vector = parse_site(told["at"]), int(told["pos"]), frozen.embed.new_tensor(told["vector"])
    if site.kind == "ln_final":
        targets, constant = _at_the_end(frozen, vector[None], pos)
        return _one(told, number, frozen.final[pos] @ vector, constant, targets)
    point = _point(frozen, site)
    at = torch.tensor([pos], device=vector.device)
    targets = Targets(torch.full_like(at, point), at, vector[None], torch.full_like(at, -1))
    return _one(told, number, stream_at(frozen, point)[pos] @ vector, vector.new_zeros(1), targets)


def _point(frozen: FrozenModel, site: Site) -> int:
    """The point of a site of the residual stream."""
    no_middle = site.kind == "resid_mid" and frozen.layers[0].parallel
    if site.kind not in ("resid_pre", "resid_mid", "resid_post") or site.layer is None or no_middle:
        raise BadInput(f"A direction is read at resid_pre, resid_mid, resid_post or ln_final, not at {site.short}.")
    return points.of_stream(site.kind, site.layer)


def _one(told: dict[str, Any], number: int, value: Tensor, constant: Tensor, targets: Targets) -> Roots:
    unit, weight = targets.pos.new_tensor([number]), targets.reader.new_ones(1)
    return Roots(
        kind=["direction"],
        unit=unit,
        name=[told["name"]],
        weight=weight,
        value=value.reshape(1),
        constant=constant.reshape(1),
        targets=targets,
        described=[told],
    )
