"""The attribution graph of one prompt: which parts wrote what the prediction reads, exactly.

    graph = trace(model, "The capital of France is")

1. Freeze the prompt's local replacement model (`circuits.replacement.frozen`).
2. Choose what to explain (`circuits.attribution.target_tokens`): logits that hold `probability_mass`, or what was asked.
3. Choose up to `max_nodes` units (`circuits.attribution.choosing`) by total attribution to those roots, active latents first.
4. One adjoint sweep gives every edge into every chosen unit and root (`circuits.attribution.sweep`).
5. Check that each value is the sum of its edges and its constant; raise if not (`circuits.attribution.assemble`).

Units that were not chosen stay in the graph as one `rest` node per layer and position, so nothing is dropped.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch

from circuits.attribution.assemble import Assembled, assemble, convention
from circuits.attribution.choosing import Basis, choose_basis, choose_units
from circuits.attribution.config import TraceConfig
from circuits.attribution.conservation import allowed_gap, require_conservation
from circuits.attribution.plan import TracePlan, group_memory, plan_trace
from circuits.attribution.sweep import edges
from circuits.attribution.target_tokens import Difference, Direction, Root, Roots, choose_roots
from circuits.attribution.total import total_attribution
from circuits.attribution.unit_readers import explain_units
from circuits.graph.graph import CircuitGraph, Nodes
from circuits.replacement.freeze import freeze
from circuits.replacement.frozen import FrozenModel
from circuits.replacement.placement import Placed, dictionary_names, place_dictionaries
from circuits.replacement.units import Latents
from probe.dictionaries.store import outline
from probe.errors import warn
from probe.methods import DictionaryName, Doc, method
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Target, asked, listed, one_target
from probe.text.tokens import bos_of, encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

__all__ = ["Difference", "Direction", "TraceConfig", "TracePlan", "dictionaries_by_layer", "plan_trace", "trace"]

dictionaries_by_layer = place_dictionaries


@method("trace", group="circuits", paper="Circuit Tracing (Ameisen et al. 2025)", plan="plan_of_trace")
@takes_fields("config", TraceConfig)
def trace(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Dictionaries to use, each in its layer.")] = (),
    target: Annotated[
        "Target | Root | Sequence[Root] | None",
        Doc("A token to explain, or the difference of two; by default the likeliest tokens."),
    ] = None,
    targets: Annotated["Sequence[Target] | Root | Sequence[Root] | None", Doc("Several tokens to explain.")] = None,
    config: TraceConfig | None = None,
    progress: Progress = SILENT,
) -> CircuitGraph:
    """The attribution graph of a prompt: which parts wrote what the prediction reads, adding up exactly.

    At the prompt's last position. dictionaries: transcoders, cross-layer transcoders and SAEs, see
    `circuits.replacement.placement`. target: what to explain, one or a list: tokens as text or ids, a `Difference` of two, a
    `Direction` of the residual stream (`targets` says the same).

    Raises BadInput for an empty or too long prompt, an unknown target, a dictionary that does not fit, a graph too large;
    OpenworkError if freezing or conservation fails.

    >>> graph = ow.trace(model, "When Mary went", target=ow.Difference(" the", " of"))
    >>> graph.residual_relative < 1e-5  # edges sum to what they explain
    True
    """
    config, start = config or TraceConfig(), time.perf_counter()
    wanted = listed(one_target(target, targets=targets))
    placed = place_dictionaries(model, dictionaries)
    basis = choose_basis(model.cfg.n_layers, placed, config.basis, config.heads)
    prompt, ids = read_prompt(model, prompt)
    widest = max((p.dictionary.W_enc.shape[1] for p in placed.values()), default=0)
    plan_trace(model, len(ids), config, widest, len(wanted))
    first = config.first == "merge" or (config.first == "auto" and ids[0] == bos_of(model, True))
    with torch.no_grad():
        frozen = freeze(model, torch.tensor([ids], device=model.W_E.device), placed)
        roots = choose_roots(model, frozen, wanted, config.max_logits, config.probability_mass)
        made = _made(frozen, basis, roots, ids, first, config, progress)
    capped = bool((model.cfg.output_logits_soft_cap or -1.0) > 0)
    said = convention(
        basis, roots, capped, first, {"max_nodes": config.max_nodes, "probability_mass": config.probability_mass}
    )
    graph = _graph(model, prompt, ids, made, roots, placed, said)
    require_conservation(made.excess, allowed_gap(frozen) if config.tolerance is None else config.tolerance)
    largest = np.nanmax(np.abs(graph.nodes.value))
    graph.facts["conservation_residual_of_largest_value"] = float(graph.residual / max(largest, 1e-30))
    graph.facts.update(_unexplained(frozen, placed))
    graph.facts.update({"seconds": time.perf_counter() - start, "freeze_check": frozen.check})
    return came_from(graph, model)


def plan_of_trace(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    dictionaries: Sequence[Any] = (),
    target: Any = None,
    targets: Any = None,
    **settings: Any,
) -> TracePlan:
    """What a trace would take. Refuses what the trace itself would, before anything runs."""
    known = [outline(one, model) if isinstance(one, str | Path) else one for one in dictionaries]
    config, placed = TraceConfig(**settings), place_dictionaries(model, known)
    choose_basis(model.cfg.n_layers, placed, config.basis, config.heads)
    roots = listed(one_target(target, targets=targets))
    for root in roots:
        if not isinstance(root, Direction):
            asked(model, root)
    widest = max((p.dictionary.W_enc.shape[1] for p in placed.values()), default=0)
    return plan_trace(model, len(encode_prompt(model, prompt)), config, widest, len(roots))


def _made(
    frozen: FrozenModel,
    basis: Basis,
    roots: Roots,
    ids: list[int],
    first: bool,
    config: TraceConfig,
    progress: Progress,
) -> Assembled:
    """Choose units, sweep, assemble."""
    totals = total_attribution(frozen, roots.targets, roots.weight)
    sources = choose_units(frozen, totals, basis, config.max_nodes, int(first))
    explained = explain_units(frozen, sources, totals)
    del totals
    wanted = explained.targets.join(roots.targets)
    rows = edges(frozen, wanted, sources, memory=group_memory(config), progress=progress)
    return assemble(frozen, basis, sources, explained, roots, rows, ids, first)


def _graph(
    model: "TransformerBridge",
    prompt: str,
    ids: list[int],
    made: Assembled,
    roots: Roots,
    placed: Mapping[int, Placed],
    said: dict[str, Any],
) -> CircuitGraph:
    from probe.model.fingerprint import stamp
    from probe.text.tokens import display_tokens

    return CircuitGraph(
        prompt=prompt,
        token_ids=ids,
        tokens=display_tokens(model, ids),
        nodes=made.nodes,
        edges=made.edges,
        constant=made.constant,
        probability=made.weight,
        unit_tokens=_texts(model, made.nodes, roots),
        residual=made.residual,
        residual_relative=made.relative,
        n_layers=model.cfg.n_layers,
        model=stamp(model).name,
        dictionaries=dictionary_names(placed),
        convention=said,
    )


def _texts(model: "TransformerBridge", nodes: Nodes, roots: Roots) -> list[str]:
    """Text of the tokens that token nodes stand for, names of roots, empty for other nodes."""
    from probe.text.tokens import display_tokens

    mask, texts = nodes.where("token"), [""] * len(nodes)
    for i, text in zip(np.flatnonzero(mask), display_tokens(model, [int(u) for u in nodes.unit[mask]]), strict=True):
        texts[i] = text
    texts[len(texts) - len(roots) :] = roots.name
    return texts


def _unexplained(frozen: FrozenModel, placed: Mapping[int, Placed]) -> dict[str, Any]:
    """FVU of each dictionary on this prompt: squares of its error over those of its target about the mean, first position apart.

    Above 1 the dictionary is worse than a constant: the graph still adds up, through its error nodes, but explains nothing. That
    is what a dictionary of another layer looks like.
    """
    found = {}
    for i, one in placed.items():
        layer = frozen.layers[i]
        units = {"mlp": layer.mlp, "mid": layer.mid, "post": layer.post}[one.at]
        assert isinstance(units, Latents)
        late = units.error[1:] if len(units.error) > 2 else units.error
        found[i] = float(late.square().sum()) / max(units.target, 1e-30)
    worse = [i for i, share in found.items() if not share <= 1]
    if worse:
        warn(
            f"On this prompt the {'dictionary of layer' if len(worse) == 1 else 'dictionaries of layers'} "
            f"{', '.join(map(str, worse))} {'reconstructs' if len(worse) == 1 else 'reconstruct'} worse than a constant would "
            f"(FVU {max(found.values()):.3g}). Was {'it' if len(worse) == 1 else 'each'} trained on that layer of this model?"
        )
    return {"fvu_by_layer": {str(i): share for i, share in found.items()}} if found else {}
