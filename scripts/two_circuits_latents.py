"""The two circuits with transcoders in six layers: how well they stand in, what their graphs say, whether it is true.

Also the factorisation of Dunefsky et al. (2024): what an earlier latent j gives a later one i at the same token is

    (activation of j / the norm's divisor) * (W_dec[j] . W_enc[:, i], the norm's weight folded in)

The second factor holds for every input. Earlier latents are ranked by it alone, and by the mean of the whole over inputs; the
share that two rankings have in common among their first 10, 20 and 50 says whether weights alone would do.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from two_circuits_neurons import (
    N_CHECKED,
    ablated,
    at_the_end,
    checked,
    direct_weights,
    elsewhere,
    first_of,
    graphs_of,
    sets_of,
)
from two_circuits_tasks import NOUNS, Task, greater_than, tested, traced
from two_circuits_transcoders import LAYERS

import circuits
import probe
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.weights.units import weight_view
from probe.artifacts.folder import home
from probe.interventions.forward import capture
from probe.interventions.running import intervene
from probe.interventions.unit_edits import encoded
from probe.interventions.values import Splice
from probe.model.sites import parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

FIRST = (10, 20, 50)
N_TARGETS, N_TEXT = 8, 2048


def trained(model: "TransformerBridge") -> dict[int, Any]:
    """The transcoders by layer, as far as they are trained."""
    folder, found = home() / "dictionaries", {}
    for layer in LAYERS:
        for one in folder.glob(f"two-circuits-{layer}-transcoder-*"):
            if not one.name.endswith(".partial"):
                found[layer] = probe.load_dictionary(one, model)
    return found


def spliced(task: Task, some: Sequence[Any]) -> dict[str, float]:
    """The task with transcoders in the MLPs' place, the first position left as it is."""
    keep = torch.zeros_like(task.tokens, dtype=torch.bool)
    keep[:, 0] = True
    with intervene(task.model, [Splice(d, keep) for d in some]):
        return ablated(task, [])


def replaced(tests: Sequence[Task], all_of_them: dict[int, Any]) -> dict[str, Any]:
    """Each layer's transcoder alone, and all together."""
    sets = {f"L{layer}": [d] for layer, d in all_of_them.items()} | {"all": list(all_of_them.values())}
    return {task.name: {name: spliced(task, some) for name, some in sets.items()} for task in tests}


def size(graph: CircuitGraph) -> dict[str, float]:
    """Scores, and how many units hold four fifths of the influence."""
    kept = graph.prune(0.8, 0.98).nodes & graph.nodes.where("neuron", "latent", "head")
    last = int(np.flatnonzero(graph.roots)[0])
    into = graph.edges.target == last
    weight, kind = np.abs(graph.edges.weight[into]), graph.nodes.kind[graph.edges.source[into]]
    shares = {
        k: float(weight[kind == KINDS.index(k)].sum() / weight.sum()) for k in ("neuron", "latent", "error", "rest")
    }
    return {**graph.scores.to_dict(), "units": int(kept.sum()), **{f"direct from {k}": v for k, v in shares.items()}}


def of_task(model: "TransformerBridge", task: Task, tests: Sequence[Task], found: dict[int, Any]) -> dict[str, Any]:
    """Graphs with and without the transcoders, and tests of the latents that matter."""
    given, task = list(found.values()), first_of(task, N_CHECKED)
    graphs, plain = graphs_of(model, task, dictionaries=given, tag="latents"), graphs_of(model, task)
    merged, own = circuits.merge_graphs(graphs, align="end"), next(t for t in tests if t.name == task.name)
    sets = {n: units for n, units in sets_of(merged, "latent").items() if n != "heads"}
    lost = [g.facts["fvu_by_layer"] for g in graphs]
    return {
        "unexplained": {k: float(np.mean([one[k] for one in lost])) for k in lost[0]},
        "with": _mean([size(g) for g in graphs]),
        "without": _mean([size(g) for g in plain]),
        "overlap": merged.overlap,
        "overlap without": circuits.merge_graphs(plain, align="end").overlap,
        "strongest": merged.rows(25, kind="units"),
        "latents in all prompts": int((merged.held.all(0) & at_the_end(merged, "latent")).sum()),
        "sets": {
            name: {
                "traced": checked(model, graphs, units, given),
                "tested": elsewhere(tests, own, units, merged, found),
            }
            for name, units in sets.items()
        },
        "writers": [_described(model, task, name, weight, found) for name, weight in _writers(merged)],
    }


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}


def _writers(merged: Any) -> list[tuple[str, float]]:
    written = np.where(at_the_end(merged, "latent"), direct_weights(merged), 0.0)
    order = np.argsort(-np.abs(written))[:N_TARGETS]
    return [(merged.nodes.names[i].split("@")[0].split(" ")[0], float(written[i])) for i in order if written[i]]


def _described(
    model: "TransformerBridge", task: Task, name: str, weight: float, found: dict[int, Any]
) -> dict[str, Any]:
    """One latent: what it promotes by its weights, and for greater-than its activation by start digit."""
    given, (layer, unit) = list(found.values()), map(int, name[1:].split("F"))
    ranking = circuits.promoted(model, name, dictionaries=given, k=8)
    said: dict[str, Any] = {"latent": name, "direct": weight, "promotes": [t.token for t in ranking.highest]}
    if task.name == "greater-than":
        prompts = greater_than(model, [(noun, 10 * t + 4) for noun in NOUNS for t in range(10)])
        site = parse_site(found[layer].site_in)
        x = capture(model, prompts.tokens, [site])[site.name][:, -1]
        said["activation by start"] = encoded(found[layer], x)[:, unit].reshape(2, 10).mean(0).tolist()
    return said


def activations(
    model: "TransformerBridge", tokens: Tensor, keep: Tensor, found: dict[int, Any]
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """By layer: latents of the kept tokens, and divisors of the norm before the MLP."""
    sites = {i: parse_site(d.site_in) for i, d in found.items()}
    latents: dict[int, list[Tensor]] = {i: [] for i in found}
    scales: dict[int, list[Tensor]] = {i: [] for i in found}
    for rows, kept in zip(tokens.split(16), keep.split(16), strict=True):
        seen = capture(model, rows, [*sites.values(), *[f"ln2_scale.{i}" for i in found]])
        for i, d in found.items():
            latents[i].append(encoded(d, seen[sites[i].name][kept]))
            scales[i].append(seen[parse_site(f"ln2_scale.{i}").name][kept][:, 0])
    return {i: torch.cat(v) for i, v in latents.items()}, {i: torch.cat(v) for i, v in scales.items()}


def rankings_agree(model: "TransformerBridge", tests: Sequence[Task], found: dict[int, Any]) -> list[dict[str, Any]]:
    """For latents that fire on text, in every layer but the first: overlaps of the rankings of all earlier latents."""
    text = probe.tokenize(model, probe.corpus("sotu", seed=1), context=64, max_tokens=N_TEXT)
    on_text = activations(model, text.tokens, ~text.special, found)
    prompts = next(t for t in tests if t.name == "greater-than").tokens
    last = torch.zeros_like(prompts, dtype=torch.bool)
    last[:, -1] = True
    on_task = activations(model, prompts, last, found)
    return [row for layer in list(found)[1:] for row in _of_layer(model, layer, found, on_text, on_task)]


def _of_layer(model: Any, layer: int, found: dict[int, Any], on_text: Any, on_task: Any) -> list[dict[str, Any]]:
    view, earlier, rows = weight_view(model, list(found.values())), [i for i in found if i < layer], []
    bank = view.bank(view.name(f"L{layer}F0"))
    often = (on_text[0][layer] > 0).float().mean(0)
    on = on_task[0][layer].mean(0)
    targets = [
        *((often > 0.01) * (often < 0.2) * on_text[0][layer].mean(0)).topk(N_TARGETS).indices.tolist(),
        *on.topk(4).indices.tolist(),
    ]
    for target in dict.fromkeys(targets):
        reader = bank.readers(torch.tensor([target]))["enc"][0]
        weights = torch.cat([_written(view, i, layer) @ reader for i in earlier])
        fires = on_text[0][layer][:, target] > 0
        means = {
            "text": _scaled(on_text, earlier, layer),
            "text where it fires": _scaled(on_text, earlier, layer, fires),
        }
        means["task"] = _scaled(on_task, earlier, layer)
        rows.append({"latent": f"L{layer}F{target}", "fires": float(fires.float().mean()), "task": float(on[target])})
        rows[-1] |= {name: overlaps(weights, weights * mean) for name, mean in means.items()}
    return rows


def _written(view: Any, layer: int, before: int) -> Float[Tensor, "unit d_model"]:
    bank = view.bank(view.name(f"L{layer}F0"))
    return bank.writers(slice(0, bank.n), 4 * before)


def _scaled(run: Any, earlier: Sequence[int], layer: int, some: Tensor | None = None) -> Float[Tensor, " source"]:
    """Mean of activation over divisor, for all latents of the earlier layers."""
    latents = torch.cat([run[0][i] for i in earlier], 1) / run[1][layer][:, None]
    return (latents if some is None else latents[some]).mean(0)


def overlaps(one: Float[Tensor, " source"], other: Float[Tensor, " source"]) -> dict[str, float]:
    """Share that the first k of two rankings have in common."""
    firsts = {k: [set(x.topk(k).indices.tolist()) for x in (one, other)] for k in FIRST}
    return {str(k): len(a & b) / k for k, (a, b) in firsts.items()}


def rankings(model: "TransformerBridge", tests: Sequence[Task], found: dict[int, Any]) -> dict[str, Any]:
    """The mean overlaps, and those of each latent."""
    rows = rankings_agree(model, tests, found)
    names = ("text", "text where it fires", "task")
    agree = {n: {str(k): float(np.mean([row[n][str(k)] for row in rows])) for k in FIRST} for n in names}
    return {"mean": agree, "latents": rows}


def parts(model: "TransformerBridge") -> dict[str, Callable[[], Any]]:
    """Everything with transcoders, by name."""
    tests, found = tested(model), trained(model)
    common = {"replaced": partial(replaced, tests, found), "rankings": partial(rankings, model, tests, found)}
    return {task.name: partial(of_task, model, task, tests, found) for task in traced(model)} | common
