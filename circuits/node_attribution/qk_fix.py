"""Queries and keys through the attention that they really make: the QK fix of AtP* (Kramar et al. 2024).

A softmax that is saturated has no gradient, so a query or key that decides where a head looks gets no score. Here attention is
computed anew with the corrupted run's queries (or keys) and everything else as it was, and what the head gathers then moves
along the gradient:

    score(q at i) = (z'_i - z_i) . dm/dz_i                                  z' = attention(q', k) v
    score(k)      = sum over queries i and heads that share the key of the same, z' = attention(q, k') v

The model itself computes z': its rotation, norms of queries and keys, soft-caps, windows and groups are as they are. All layers
in one pass: each is given the other run's queries, and its z is put back before anything reads it.

One key alone changes every query's pattern: `keys_apart`, from scores with all keys replaced, whose column j depends on key j
alone.
"""

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from circuits.node_attribution.keys_apart import KeysAt, KeysInTurn
from circuits.node_attribution.moves import Straight, Values
from circuits.node_attribution.nodes import Group
from probe.errors import BadInput, OpenworkError
from probe.model.anatomy import probe_tokens, spot
from probe.model.examination.tolerances import same
from probe.model.key_value_cache import keeps_nothing
from probe.model.sites import Site, hook_name
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_MASKED = -1e30


def fixed(
    model: "TransformerBridge",
    tokens: Int[Tensor, "batch pos"],
    groups: list[Group],
    clean: Values,
    corrupted: Values,
    by_position: bool,
) -> dict[int, Straight | KeysAt | KeysInTurn]:
    """How queries and keys among these groups move what their heads gather, by the group's place."""
    require_apart(model)
    found: dict[int, Straight | KeysAt | KeysInTurn] = {}
    for family in ("query", "key"):
        chosen = [(i, group) for i, group in enumerate(groups) if group.family == family]
        if family == "key" and by_position and chosen:
            known = [(i, group) for i, group in chosen if reports_scores(model, group.layer)]
            found |= _by_scores(model, tokens, known, clean, corrupted)
            chosen = [one for one in chosen if one not in known]
            found |= _in_turn(model, tokens, chosen, clean, corrupted)
        elif chosen:
            run = _run(model, tokens, [group for _, group in chosen], clean, corrupted)
            for i, group in chosen:
                z = Site("z", group.layer).name
                found[i] = Straight(z, wide(run[z]) - wide(clean[z]), group.heads)
    return found


def reports_scores(model: "TransformerBridge", layer: int) -> bool:
    """Whether a layer's scores can be read."""
    return hook_name(Site("scores", layer), model) is not None


def sites_needed(model: "TransformerBridge", groups: list[Group], by_position: bool) -> set[Site]:
    """What the clean run must be read at."""
    found = {Site("z", group.layer) for group in groups if group.family in ("query", "key")}
    keys = [group.layer for group in groups if group.family == "key" and by_position]
    return found | {Site(kind, i) for i in keys if reports_scores(model, i) for kind in ("scores", "v")}


def _by_scores(
    model: "TransformerBridge", tokens: Tensor, chosen: list[tuple[int, Group]], clean: Values, corrupted: Values
) -> dict[int, KeysAt]:
    if not chosen:
        return {}
    run = _run(model, tokens, [group for _, group in chosen], clean, corrupted, scores=True)
    return {i: _keys(group, run, clean) for i, group in chosen}


def _in_turn(
    model: "TransformerBridge", tokens: Tensor, chosen: list[tuple[int, Group]], clean: Values, corrupted: Values
) -> dict[int, KeysInTurn]:
    """Keys that are the same in both runs move nothing, and have no pass."""
    if not chosen:
        return {}
    names = [group.sites[0].name for _, group in chosen]
    apart = torch.stack([(clean[k] != corrupted[k]).flatten(2).any(-1).any(0) for k in names]).any(0)
    first = int(apart.int().argmax()) if bool(apart.any()) else apart.numel() - 1
    moves: dict[int, list[Tensor]] = {i: [] for i, _ in chosen}
    for key in range(first, apart.numel()):
        mixed = {name: clean[name].clone() for name in names}
        for name in names:
            mixed[name][:, key] = corrupted[name][:, key]
        run = _run(model, tokens, [group for _, group in chosen], clean, mixed)
        for i, group in chosen:
            z = Site("z", group.layer).name
            moves[i].append(wide(run[z]) - wide(clean[z]))
    return {i: KeysInTurn(Site("z", g.layer).name, torch.stack(moves[i], 1), first, g.heads) for i, g in chosen}


def _keys(group: Group, run: Values, clean: Values) -> KeysAt:
    z, scores = Site("z", group.layer).name, Site("scores", group.layer).name
    v = wide(clean[Site("v", group.layer).name]).repeat_interleave(group.heads, 2)
    before, after = (_masked(wide(one[scores])) for one in (clean, run))
    made = einsum(before.softmax(-1), v, "b head q k, b k head d -> b q head d")
    if not same(made, clean[z]):
        raise BadInput(
            f"What heads of layer {group.layer} gather is not their values under the softmax of the scores that the model "
            "reports, so keys cannot be replaced one by one. Leave positions together (by_position=False), or qk_fix out."
        )
    return KeysAt(z, before, after, v, group.heads)


def _run(
    model: "TransformerBridge",
    tokens: Tensor,
    groups: list[Group],
    clean: Values,
    corrupted: Values,
    scores: bool = False,
) -> Values:
    """z (and scores) of every layer with its queries or keys of the corrupted run, and all that it reads of the clean one."""
    found: Values = {}
    hooks: list[tuple[str, Any]] = []
    for group in groups:
        side, z = group.sites[0], Site("z", group.layer)
        hooks.append(_putting(model, side, corrupted[side.name]))
        if scores:
            at = spot(Site("scores", group.layer), model)
            hooks.append((at.hook, _reading(at, len(tokens), found)))
        hooks.append(_putting_back(model, z, clean[z.name], found))
    hooks.append(("unembed.hook_in", lambda value, hook: value[:, -1:]))
    with torch.no_grad(), model.hooks(fwd_hooks=hooks):
        model(tokens, **keeps_nothing(model))
    if len(found) < len(groups) * (1 + scores):
        raise OpenworkError("Attention of some layers never fired, so its queries and keys were not put in.")
    return found


def _putting(model: "TransformerBridge", site: Site, given: Tensor) -> tuple[str, Any]:
    at = spot(site, model)
    return at.hook, lambda value, hook: at.put(given, value)


def _reading(at: Any, batch: int, found: Values) -> Any:
    return lambda value, hook: found.__setitem__(at.site.name, at.read(value, batch))


def _putting_back(model: "TransformerBridge", site: Site, given: Tensor, found: Values) -> tuple[str, Any]:
    at = spot(site, model)

    def back(value: Tensor, hook: object) -> Tensor:
        found[site.name] = at.read(value, len(given)).clone()
        return at.put(given, value)

    return at.hook, back


def _masked(scores: Float[Tensor, "batch head q_pos k_pos"]) -> Float[Tensor, "batch head q_pos k_pos"]:
    """Minus infinity where a query may not look."""
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(future | (scores < _MASKED), -torch.inf)


_apart: "WeakKeyDictionary[TransformerBridge, bool]" = WeakKeyDictionary()


def require_apart(model: "TransformerBridge") -> None:
    """BadInput where one head's queries or keys move another head's (OLMo 2: one norm for all of them)."""
    if model not in _apart:
        _apart[model] = all(_one_alone(model, kind) for kind in ("q", "k"))
    if not _apart[model]:
        raise BadInput(
            "In this model one head's queries and keys move those of others, through a norm that they share, so attention cannot "
            "be computed anew for each. Leave qk_fix out, or take integrated gradients (steps=8)."
        )


@torch.no_grad()
def _one_alone(model: "TransformerBridge", kind: str) -> bool:
    """Whether a change of the first head's leaves what the last head gathers as it was."""
    tokens = probe_tokens(model)[:1]
    at, z = spot(Site(kind, 0), model), spot(Site("z", 0), model)
    kept: list[Tensor] = []

    def change(value: Tensor) -> Tensor:
        return torch.cat([3 * value[:, :, :1].flip(-1) + 1, value[:, :, 1:]], 2)

    def read(value: Tensor, hook: object) -> None:
        kept.append(z.read(value, 1)[:, :, -1].clone())

    for put in ([], [(at.hook, lambda value, hook: at.change(value, 1, change))]):
        with model.hooks(fwd_hooks=[*put, (z.hook, read)]):
            model(tokens, **keeps_nothing(model))
    return next(iter(at.sizes.values())) == 1 or same(kept[1], kept[0])
