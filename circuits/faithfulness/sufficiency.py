"""Is a subgraph enough? Every other unit of the graph is silenced, and what is left of each root is measured.

    share = (root with the subgraph alone - root with no unit) / (root untouched - root with no unit)

Silenced is to zero, or to the unit's mean over given prompts: at the first position over their first positions, elsewhere over
all other positions. Units that are no nodes (`rest`), errors, tokens and biases stay as they are, and the model runs freely, so
what is left of the kept units answers to what was silenced below them. The graph's prediction of the share runs along its edges.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from circuits.graph.graph import UNITS
from circuits.graph.graph_arguments import ChosenNodes, GraphName, own_dictionaries, read_graph
from circuits.validation.predict import Change, change_of, predict_full
from circuits.validation.random_sets import random_sets
from circuits.validation.testbed import Testbed
from circuits.validation.tested_nodes import chosen_nodes
from circuits.validation.verdicts import Verdict, enough_verdicts, verdict_rows
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.interventions.unit_edits import encoded
from probe.methods import DictionaryName, Doc, method
from probe.model.sites import Site
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.text.prompts import Prompt, encode_prompt, read_prompt, several
from probe.words import counted, percent

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SMALLEST = 0.01
"""A root must move by this share of its value, or of 1, when all units are silenced. A share of less is a small number divided by
a smaller one: where a root moved .003 of 4.0, a subgraph "kept" -134 of it."""


@dataclass(frozen=True)
class RootShare(Record):
    """One root: untouched, with the subgraph's units alone, and with none. share: NaN where silencing all does not move it."""

    root: str
    untouched: float
    kept: float
    none: float
    share: float
    predicted_share: float
    random: list[float]

    @property
    def told(self) -> str:
        """Why there is no share; empty where there is one."""
        if not np.isnan(self.share):
            return ""
        moved = abs(self.untouched - self.none)
        return f"cannot be told: silencing every unit moves it by only {moved:.2g} of {self.untouched:.3g}"


@dataclass(frozen=True)
class Sufficiency(Record, figure=True):
    """How much of each root a subgraph keeps by itself, and how much random subgraphs of its size keep."""

    prompt: str
    n_kept: int
    n_silenced: int
    baseline: str
    roots: list[RootShare]
    convention: dict[str, Any]

    @property
    def verdicts(self) -> list[Verdict]:
        """Is it enough alone, by each root. See `circuits.validation.verdicts`."""
        return enough_verdicts(self)

    def rows(self) -> list[dict[str, Any]]:
        """One row a root."""
        return [
            {**asdict(r), "random": float(np.mean(r.random)) if r.random else None, "note": r.told} for r in self.roots
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @property
    def meaning(self) -> str:
        """What is left of the first root that can be told of, with these units alone."""
        one = next((r for r in self.roots if not np.isnan(r.share)), None)
        if one is None:
            return "Silencing every unit moves no root by a hundredth of its value, so what is enough alone cannot be told here."
        random = f"; random subgraphs of the same size keep {100 * np.mean(one.random):.0f} %" if one.random else ""
        kept = f"the {counted(self.n_kept, 'unit')} keep {100 * one.share:.0f} % of what all units together do to {one.root}"
        others = f"Alone, with the other {counted(self.n_silenced, 'unit')} of the graph set to {self.baseline}"
        return f"{others}, {kept} (the graph predicts {100 * one.predicted_share:.0f} %){random}."

    def panels(self) -> list[Panel]:
        """What it means, the shares, and is it enough by each root."""
        verdicts = Rows("Is it enough alone, root by root", verdict_rows(self.verdicts))
        figure, rows = self.shown()
        return [figure, verdicts, rows, Sentence(self.meaning)]

    def shown(self) -> tuple[Figure, Rows]:
        """The shares, as a figure and as a table."""
        rows = Rows("What is left of each root with all other units silenced", self.rows())
        return Figure("Share of each root that is left", self.figure), rows

    def summary(self) -> str:
        """One sentence: how many units stayed, and the share of the first root that they keep."""
        said = f"{counted(self.n_kept, 'unit')} kept, {self.n_silenced} silenced ({self.baseline}) in {quoted(self.prompt)}"
        if not self.roots:
            return f"{said}."
        first = self.roots[0]
        return f"{said}: {first.root} {first.told or f'keeps {percent(first.share)}'}."


@dataclass(frozen=True, eq=False)
class Baseline(Settings):
    """What a silenced unit is set to."""

    baseline: Literal["zero", "mean"] = "zero"
    "What silenced units are set to: zero, or their mean over prompts."
    prompts: Prompt | Sequence[Prompt] = ()
    "Prompts of the mean."


@method("sufficiency", group="circuits")
@takes_fields("silenced_to", Baseline)
def check_sufficiency(
    model: "TransformerBridge",
    graph: Annotated[GraphName, Doc("A stored graph.")],
    nodes: Annotated[
        ChosenNodes,
        Doc(
            "Units that are kept, like `L5N120@3,L6N4`, `top:20` or `pinned`; by default those pinned, else the pruned graph's."
        ),
    ] = None,
    *,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("By default those the graph names.")] = (),
    silenced_to: Baseline = Baseline(),
    n_random: Annotated[
        int, Doc("Random sets kept instead, as many of each kind and layer.", least=0, most=10_000)
    ] = 10,
    seed: Annotated[int, Doc("Which random sets.", least=0, most=2147483647)] = 0,
    progress: Progress = SILENT,
) -> Sufficiency:
    """Is a subgraph enough alone: every other unit of the graph is silenced, and what is left of each root is measured.

    A share is what the kept units hold of the difference that all units make: 1 is all of it, and random sets of as many units
    stand beside it.

    Raises BadInput for a mean without prompts, and of heads or whole MLPs, which have no single activation to average.

    >>> kept = ow.check_sufficiency(model, graph, ow.most_influential(10), n_random=2)
    >>> kept.n_kept  # of each root, a share near 1 and above that of the random sets is good
    10
    """
    baseline, others = silenced_to.baseline, several(silenced_to.prompts)
    if baseline not in ("zero", "mean") or (baseline == "mean") != bool(others):
        raise BadInput(
            f"The baseline is '{baseline}' with {len(others)} prompts; use 'zero' with none, 'mean' with some."
        )
    graph = read_graph(graph)
    bed, chosen = Testbed(model, graph, own_dictionaries(model, graph, dictionaries)), chosen_nodes(graph, nodes)
    kept = chosen[np.isin(chosen, np.flatnonzero(graph.nodes.where(*UNITS)))]
    if not len(kept):
        raise BadInput("None of these nodes is a neuron, latent, head or MLP; keep some, like most_influential(20).")
    level = mean_levels(bed, others) if baseline == "mean" else None
    drawn = random_sets(graph, kept, n_random, seed)
    with progress.stage("interventions", total=len(drawn) + 2, unit="run") as step:
        found = []
        for one in (np.array([], np.int64), kept, *drawn):
            found.append(_only(bed, one, level))
            step(1)
    roots = [_share(bed, int(i), found) for i in np.flatnonzero(graph.roots)]
    said = {
        "silenced": "units of the graph outside the set; rest, errors, tokens and biases stay",
        "share": f"(kept - none) / (untouched - none) of the root's value, where that moves by {SMALLEST:.0%} of it or more",
        "random": f"{len(drawn)} sets with as many units of each kind and layer, seed {seed}",
        "mean_prompts": [read_prompt(model, one).text for one in others],
    }
    n = int(graph.nodes.where(*UNITS).sum())
    return came_from(Sufficiency(graph.prompt, len(kept), n - len(kept), baseline, roots, said), graph)


_Left = tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]


def _only(bed: Testbed, kept: Int[np.ndarray, " kept"], level: Float[np.ndarray, " node"] | None) -> _Left:
    """Measured and predicted values of all nodes with every unit silenced but these."""
    graph = bed.graph
    others = np.setdiff1d(np.flatnonzero(graph.nodes.where(*UNITS)), kept)
    change: Change = (
        change_of(graph, others) if level is None else change_of(graph, others, "restore", level=level[others])
    )
    clean = bed.run.clean.value
    return bed.run.changed(change).value, clean + predict_full(graph, change)


def _share(bed: Testbed, root: int, found: list[_Left]) -> RootShare:
    (none, none_said), (kept, kept_said), *drawn = [(m[root], p[root]) for m, p in found]
    clean = bed.run.clean.value[root]

    def share(value: float, nothing: float) -> float:
        whole = clean - nothing
        return float((value - nothing) / whole) if abs(whole) > SMALLEST * max(abs(clean), 1.0) else np.nan

    return RootShare(
        bed.graph.name(root),
        *(float(clean), float(kept), float(none), share(kept, none), share(kept_said, none_said)),
        [share(value, none) for value, _ in drawn],
    )


def mean_levels(bed: Testbed, prompts: Sequence[Prompt]) -> Float[np.ndarray, " node"]:
    """Mean activation of every neuron and latent over prompts."""
    nodes, found = bed.graph.nodes, np.full(len(bed.graph.nodes), np.nan)
    runs = [torch.tensor([encode_prompt(bed.model, one)], device=bed.tokens.device) for one in prompts]
    for kind in ("neuron", "latent"):
        for layer in np.unique(nodes.layer[nodes.where(kind)]).tolist():
            one = None if kind == "neuron" else bed.placed[layer]
            site = Site("mlp_post", layer) if one is None else one.read
            values = [capture(bed.model, ids, [site])[site.name][0] for ids in runs]
            values = values if one is None else [encoded(one.dictionary, v) for v in values]
            first = torch.stack([v[0] for v in values]).mean(0)
            later = torch.cat([v[1:] for v in values]) if any(len(v) > 1 for v in values) else first[None]
            mine = np.flatnonzero(nodes.where(kind) & (nodes.layer == layer))
            both = torch.stack([first, later.mean(0)]).double().cpu().numpy()
            found[mine] = both[(nodes.pos[mine] > 0).astype(int), nodes.unit[mine]]
    return found
