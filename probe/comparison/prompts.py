"""Two prompts read by one model and set side by side, token by token: where their predictions part, and which heads and units
behave differently there.

    compare_prompts(model, "The capital of France is", "The capital city of Germany is")

Tokens are aligned first (`probe.text.alignment`); only positions that stand for each other are compared. What two prompts
differ in is a place to look, not a cause: causes are what patching one prompt's activations into the other finds
(`circuits.patching`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.comparison.pattern_distance import pattern_distances
from probe.comparison.record import ComparedPrompts, PairCandidate, UnitDifference
from probe.heads.patterns import require_room
from probe.interventions.forward import capture, per_token
from probe.lens.logit import next_token_loss
from probe.methods import DictionaryName, Doc, method
from probe.model.readout import read_out
from probe.model.sites import Site, hook_name, layers_with, parse_site, resid_post, resid_pre
from probe.neurons.unit_writes import UnitStack, latent_stack, neuron_stack
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.text.alignment import Alignment, align
from probe.text.prompts import Prompt, read_prompt
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@method("compare-prompts", group="prompts")
def compare_prompts(
    model: "TransformerBridge",
    a: Annotated[Prompt, Doc("The first prompt.")],
    b: Annotated[Prompt, Doc("The prompt to set beside it.")],
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Dictionaries whose latents are compared.")] = (),
    *,
    k: Annotated[int, Doc("Next tokens of each pair, to list.", least=1)] = 10,
    n_units: Annotated[int, Doc("Units of each pair, to list.", least=0)] = 12,
    progress: Progress = SILENT,
) -> ComparedPrompts:
    """Read both prompts once and compare them at every aligned pair. Raises BadInput for an empty or too long prompt.

    >>> two = ow.compare_prompts(model, "Mary went to Rome", "John went to Rome")
    >>> two.prompts
    ('Mary went to Rome', 'John went to Rome')
    """
    (a, b), ids = zip(*(read_prompt(model, one) for one in (a, b)), strict=True)
    require_room(model, max(map(len, ids)))
    alignment = align(*ids)
    with progress.stage("compare", total=4, unit="step") as step:
        found = [
            capture(model, torch.tensor([one], device=model.W_E.device), _wanted(model, dictionaries)) for one in ids
        ]
        step(1)
        kl, candidates, ids_of, probs = _predictions(model, found, alignment, k)
        last = resid_post(model.cfg.n_layers - 1).name
        loss = [
            next_token_loss(model, one[last][0], own, list(range(len(own))))
            for one, own in zip(found, ids, strict=True)
        ]
        step(1)
        units = _units(model, found, alignment, dictionaries, n_units)
        step(1)
        patterns = [torch.stack([one[s.name][0] for s in _patterns(model)]).float().cpu().numpy() for one in found]
        heads = pattern_distances(*patterns, alignment)
        step(1)
    tokens = display_tokens(model, ids[0]), display_tokens(model, ids[1])
    labels = ["embed", *(str(i) for i in range(model.cfg.n_layers))]
    words = display_tokens(model, ids_of.ravel().tolist())
    firsts = np.array(words, dtype=object).reshape(ids_of.shape).tolist()
    record = ComparedPrompts(
        prompts=(a, b),
        tokens=tokens,
        alignment=alignment,
        layers=labels,
        kl=kl,
        candidates=candidates,
        units=units,
        heads=heads,
        loss=(loss[0], loss[1]),
        firsts=firsts,
        first_probs=probs,
    )
    return came_from(record, model)


def _streams(model: "TransformerBridge") -> list[Site]:
    return [resid_pre(0), *(resid_post(i) for i in range(model.cfg.n_layers))]


def _patterns(model: "TransformerBridge") -> list[Site]:
    return [Site("pattern", i) for i in range(model.cfg.n_layers)]


def _wanted(model: "TransformerBridge", dictionaries: Sequence[Any]) -> list[Site]:
    layers = layers_with("mlp_post", model)
    posts = (Site(f"{n}_post_scale", i) for n in ("ln1", "ln2") for i in range(model.cfg.n_layers))
    scales = [s for s in posts if hook_name(s, model)]
    read = [parse_site(d.site_in, model) for d in dictionaries]
    return [*_streams(model), *_patterns(model), *(Site("mlp_post", i) for i in layers), *scales, *read]


def _predictions(
    model: "TransformerBridge", found: list[dict[str, Tensor]], alignment: Alignment, k: int
) -> tuple[
    Float[np.ndarray, "row pair"],
    list[list[PairCandidate]],
    Int[np.ndarray, "side row pair"],
    Float[np.ndarray, "side row pair"],
]:
    """KL of every layer, and the likeliest next tokens of either prompt, a few pairs at a time; of each layer the first."""
    sites, pairs = _streams(model), alignment.pairs
    kl, candidates = np.zeros((len(sites), len(pairs))), []
    firsts, probs = np.zeros((2, *kl.shape), dtype=int), np.zeros((2, *kl.shape))
    chunk = max(1, (1 << 25) // (len(sites) * int(model.cfg.d_vocab)))
    for start in range(0, len(pairs), chunk):
        some = pairs[start : start + chunk]
        logs = []
        for one, at in zip(found, zip(*some, strict=True), strict=True):
            resid = torch.stack([one[s.name][0, list(at)] for s in sites])
            logs.append(read_out(model, resid, return_type="log_probs").detach().float())
        kl[:, start : start + chunk] = (logs[0].exp() * (logs[0] - logs[1])).sum(-1).clamp_min(0).cpu().numpy()
        candidates += [_candidates(model, logs[0][-1, i], logs[1][-1, i], k) for i in range(len(some))]
        best = torch.stack(logs).max(-1)
        firsts[..., start : start + chunk] = best.indices.cpu().numpy()
        probs[..., start : start + chunk] = best.values.exp().cpu().numpy()
    return kl, candidates, firsts, probs


def _candidates(model: "TransformerBridge", a: Float[Tensor, " d_vocab"], b: Float[Tensor, " d_vocab"], k: int):
    """The k likeliest of each, by the larger of both probabilities."""
    ids = torch.cat([a.topk(min(k, len(a))).indices, b.topk(min(k, len(b))).indices]).unique()
    ids = ids[torch.maximum(a[ids], b[ids]).argsort(descending=True)].tolist()
    words = display_tokens(model, ids)
    return [PairCandidate(i, w, float(a[i].exp()), float(b[i].exp())) for i, w in zip(ids, words, strict=True)]


def _units(
    model: "TransformerBridge",
    found: list[dict[str, Tensor]],
    alignment: Alignment,
    dictionaries: Sequence[Any],
    n: int,
) -> list[list[UnitDifference]]:
    """Neurons over all layers, and latents of each dictionary, whose writes differ most at each pair."""
    neurons = [_both(model, found, i, None) for i in layers_with("mlp_post", model)]
    groups = [neurons] if neurons else []
    groups += [[_both(model, found, None, d)] for d in dictionaries]
    each = [_most_moved(group, alignment.pairs, n) for group in groups]
    return [sorted((u for one in each for u in one[p]), key=lambda u: -u.moved) for p in range(len(alignment.pairs))]


def _both(
    model: "TransformerBridge", found: list[dict[str, Tensor]], layer: int | None, dictionary: Any
) -> tuple[UnitStack, UnitStack]:
    """The units of one MLP, or of a dictionary, in both prompts."""
    if layer is not None:
        return neuron_stack(model, found[0], layer), neuron_stack(model, found[1], layer)
    site, stacks = parse_site(dictionary.site_in, model), []
    for one in found:
        activation = dictionary.encode(per_token(one[site.name])[0].to(dictionary.W_enc))
        stacks.append(latent_stack(model, one, dictionary, activation))
    return stacks[0], stacks[1]


@torch.no_grad()
def _most_moved(
    group: list[tuple[UnitStack, UnitStack]], pairs: list[tuple[int, int]], n: int
) -> list[list[UnitDifference]]:
    if not pairs:
        return []
    at_a, at_b = [i for i, _ in pairs], [j for _, j in pairs]
    moved = torch.cat([(a.reach[at_a] - b.reach[at_b]).abs() * a.writers.norm(dim=1) for a, b in group], 1)
    ends = torch.tensor([a.reach.shape[1] for a, _ in group], device=moved.device).cumsum(0)
    best = moved.topk(min(n, moved.shape[1]), 1)
    which = torch.searchsorted(ends, best.indices, right=True)
    found: list[list[UnitDifference]] = []
    for p, (i, j) in enumerate(pairs):
        row = []
        for size, w, flat in zip(best.values[p].tolist(), which[p].tolist(), best.indices[p].tolist(), strict=True):
            a, b = group[w]
            unit = flat - int(ends[w]) + a.reach.shape[1]
            values = float(a.activation[i, unit]), float(b.activation[j, unit])
            if size > 0:
                row.append(UnitDifference(a.layer, a.kind, unit, *values, size, a.dictionary))
        found.append(row)
    return found
