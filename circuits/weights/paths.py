"""The strongest paths into a prediction or a unit, found greedily on one prompt (after Dunefsky et al. 2024).

    frontier = {target}
    repeat `length` times:
        expand every path of the frontier by its `width` largest children        (`paths_children`)
        keep the `branches` largest of all that go on: the next frontier (leaves among the largest are kept beside it)

A path's value is its share of the target's value through exactly these stops. Unlike in the paper every source has a share,
biases, errors and what heads bring from the first token included: the children of any stop, taken together, sum to it, and what
was not followed is a `rest` of known size. Greedy means that a path through a weak stop is not found, however strong it gets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.replacement.freeze import freeze
from circuits.replacement.placement import dictionary_names, place_dictionaries
from circuits.replacement.points import final
from circuits.weights.children import STEPS, UNITS, Group, Parts, PathNode, Reading, back_at
from circuits.weights.factors import factor_edges
from circuits.weights.record import Branch, Path, TopPaths
from circuits.weights.units import WeightView
from probe.errors import BadInput
from probe.methods import DictionaryName, Doc, TokenOrUnit, method
from probe.model.unit_names import UnitName, as_text
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Difference, token_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(eq=False)
class Stop:
    """A path during the search: its last node, the path before it, and how it goes on. gain: what the target gains when the
    last unit's value grows by 1; reading: what the unit, head or skip reads, None for a leaf."""

    node: PathNode
    before: "Stop | None"
    value: float
    edge: float
    gain: float
    reading: Reading | None
    constant: float = 0.0
    rest: float | None = None

    @property
    def chain(self) -> "list[Stop]":
        """From the target to here."""
        return [*(self.before.chain if self.before else []), self]


@dataclass(frozen=True)
class PathSearch(Settings):
    """How far paths are followed."""

    length: Annotated[int, Doc(least=1, most=1000)] = 4
    "Steps of the longest."
    branches: Annotated[int, Doc(least=1)] = 8
    "Paths kept of each length."
    width: Annotated[int | None, Doc(least=1)] = None
    "Children followed of each path, by default as many as paths are kept."
    edges: Annotated[int, Doc(least=0)] = 1
    "Longest paths whose edges are told factor by factor."


@method(
    "top-paths", group="circuits", paper="Transcoders find interpretable LLM feature circuits (Dunefsky et al. 2024)"
)
@takes_fields("search", PathSearch)
@torch.no_grad()
def top_paths(
    model: "TransformerBridge",
    prompt: Prompt,
    target: Annotated[
        TokenOrUnit | None,
        Doc("A token, or a unit: L5N120, L5F650@3 (at token 3). By default the likeliest token."),
    ] = None,
    *,
    pos: Annotated[int, Doc("Which token explains the target; -1 is the last.")] = -1,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Dictionaries to use, each in its layer.")] = (),
    search: PathSearch = PathSearch(),
    progress: Progress = SILENT,
) -> TopPaths:
    """The strongest paths into a token or a unit on one prompt, each edge as weights times what the input adds.

    Of every length up to the longest asked for, found greedily. A token's demeaned logit is explained, a neuron's activation, a
    latent's pre-activation; what was not followed is a rest of known size.

    Raises BadInput for sizes below 1 and for what does not exist.

    >>> found = ow.top_paths(model, "When Mary went", length=2)
    >>> len(found.paths) > 0
    True
    """
    length, branches, width = search.length, search.branches, search.width
    if min(length, branches, width or 1) < 1:
        raise BadInput(f"length ({length}), branches ({branches}) and width ({width}) must be at least 1.")
    parts, view, text = _frozen_parts(model, prompt, dictionaries)
    root = _root(model, parts, view, target, pos)
    kept: list[list[Stop]] = []
    frontier, worst = [root], 0.0
    with progress.stage("paths", length, "step") as step:
        for _ in range(length):
            found: list[Stop] = []
            for stop in frontier:
                best, gap = _expand(parts, stop, width or branches)
                found, worst = found + best, max(worst, gap)
            found.sort(key=lambda s: -abs(s.value))
            frontier = [s for s in found if s.reading is not None][:branches]
            kept.append([s for i, s in enumerate(found) if s in frontier or (s.reading is None and i < branches)])
            step(1)
    return replace(_record(model, parts, view, text, root, kept, worst), told=search.edges)


def _frozen_parts(
    model: "TransformerBridge", prompt: Prompt, dictionaries: Sequence[Any]
) -> tuple[Parts, WeightView, str]:
    text, ids = read_prompt(model, prompt)
    placed = place_dictionaries(model, dictionaries)
    frozen = freeze(model, torch.tensor([ids], device=model.W_E.device), placed)
    return Parts(frozen, ids), WeightView(model, placed), text


def _root(model: "TransformerBridge", parts: Parts, view: WeightView, target: Any, pos: int) -> Stop:
    """The target as the first stop."""
    target = as_text(target)
    named = UnitName.parse(target, "neuron", "latent") if isinstance(target, str) else None
    if named is not None and not isinstance(named.pos, slice):
        target, pos = replace(named, pos=None), pos if named.pos is None else named.pos
    at = pos + parts.frozen.length if pos < 0 else pos
    if not 0 <= at < parts.frozen.length:
        raise BadInput(f"The prompt has tokens 0 to {parts.frozen.length - 1}; there is no position {pos}.")
    if isinstance(target, Difference):
        raise BadInput(
            "Paths lead to one token or unit; ask for each token of the difference, or trace the difference."
        )
    if isinstance(target, UnitName | tuple):
        return _unit_root(parts, view, target, at)
    return _logit_root(model, parts, target, at)


def _unit_root(parts: Parts, view: WeightView, target: Any, pos: int) -> Stop:
    name = view.name(target)
    placed = view.placed.get(name.layer)
    if name.kind == "neuron" and placed is not None and placed.at == "mlp":
        raise BadInput(f"A dictionary stands in for the neurons of layer {name.layer}; leave it out to explain {name}.")
    node = PathNode(name.kind, name.layer, pos, name.unit)
    reading, constant = parts.unit_reading(node)
    value = parts.value(node)
    return Stop(node, None, value, value, 1.0, reading, constant)


def _logit_root(model: "TransformerBridge", parts: Parts, target: str | int | None, pos: int) -> Stop:
    from circuits.weights.tokens import token_text

    frozen, logits = parts.frozen, parts.frozen.logits_at(pos)
    token = int(logits.argmax()) if target is None else token_id(model, target)
    vector = frozen.W_U[:, token] - frozen.W_U.mean(1)
    constant = frozen.b_U[token] - frozen.b_U.mean()
    if frozen.ln_final is not None:
        constant = constant + frozen.ln_final.bias @ vector
    reading = Reading(final(len(frozen.layers)), pos, back_at(frozen.ln_final, vector, pos))
    node = PathNode("logit", len(frozen.layers), pos, token, part=token_text(model, token))
    value = float(logits[token] - logits.mean())
    return Stop(node, None, value, value, 1.0, reading, float(constant))


def _expand(parts: Parts, stop: Stop, width: int) -> tuple[list[Stop], float]:
    """The `width` largest children of a stop, and how far all of them together are from it, relative to the size of their sum."""
    assert stop.reading is not None
    groups = parts.children(stop.reading)
    total = float(torch.stack([g.values.sum() for g in groups]).sum()) + stop.constant
    size = float(torch.stack([g.values.abs().sum() for g in groups]).sum()) + abs(stop.constant)
    # `edge` is what the node before got from this one; what is summed here is what this node itself holds.
    held = parts.value(stop.node) if stop.node.kind in UNITS else stop.edge
    best = [_child(parts, stop, node, value) for node, value in _largest(groups, width)]
    return best, abs(total - held) / max(size, 1e-30)


def _largest(groups: list[Group], width: int) -> list[tuple[PathNode, float]]:
    """The `width` largest children that go on, and the leaves that are as large as the `width` largest of all."""
    found: list[tuple[PathNode, float]] = []
    for group in groups:
        top = group.values.abs().topk(min(width, len(group.values))).indices.tolist()
        found += [(group.node(i), float(group.values[i])) for i in top]
    found = sorted((pair for pair in found if pair[1]), key=lambda pair: -abs(pair[1]))
    on = [pair for pair in found if pair[0].kind in (*UNITS, *STEPS)][:width]
    return [pair for i, pair in enumerate(found) if i < width or pair in on]


def _child(parts: Parts, stop: Stop, node: PathNode, edge: float) -> Stop:
    """The stop after `stop`, whose share of the reading is `edge`."""
    assert stop.reading is not None
    value = stop.gain * edge
    if node.kind in STEPS:
        return Stop(node, stop, value, edge, stop.gain, parts.onward(node, stop.reading))
    if node.kind in UNITS:
        reading, constant = parts.unit_reading(node)
        return Stop(node, stop, value, edge, stop.gain * parts.write_of(node, stop.reading), reading, constant)
    return Stop(node, stop, value, edge, stop.gain, None)


def _record(
    model: "TransformerBridge",
    parts: Parts,
    view: WeightView,
    prompt: str,
    root: Stop,
    kept: list[list[Stop]],
    residual: float,
) -> TopPaths:
    from circuits.weights.tokens import token_text
    from probe.model.fingerprint import stamp

    paths = [
        Path(
            tuple(s.node for s in stop.chain),
            stop.value,
            tuple(s.value for s in stop.chain),
            factor_edges(parts, view, stop.chain),
            stop.reading is None,
        )
        for group in kept
        for stop in group
    ]
    return TopPaths(
        prompt=prompt,
        token_ids=parts.token_ids,
        tokens=[token_text(model, t) for t in parts.token_ids],
        model=stamp(model).name,
        value=root.value,
        constant=root.constant,
        paths=paths,
        tree=_tree(parts, root, [s for group in kept for s in group]),
        residual=residual,
        dictionaries=dictionary_names(view.placed),
    )


def _tree(parts: Parts, stop: Stop, every: list[Stop]) -> Branch:
    """Paths with shared beginnings merged. What was not followed is summed from the children themselves, not subtracted."""
    mine = [s for s in every if s.before is stop]
    followed = stop.reading is not None and bool(mine)
    rest = constant = 0.0
    if followed:
        constant = stop.gain * stop.constant
        rest = stop.gain * _unfollowed(parts, stop, {s.node for s in mine})
    children = tuple(_tree(parts, s, every) for s in sorted(mine, key=lambda s: -abs(s.value)))
    return Branch(stop.node, stop.value, children, constant, rest, followed)


def _unfollowed(parts: Parts, stop: Stop, taken: set[PathNode]) -> float:
    assert stop.reading is not None
    total = 0.0
    for group in parts.children(stop.reading):
        values: Float[Tensor, " child"] = group.values
        near = values.abs().topk(min(len(taken), len(values))).indices.tolist()  # those followed are among the largest
        left = torch.ones_like(values)
        left[[i for i in near if group.node(i) in taken]] = 0
        total += float(values @ left)
    return total
