"""Exact edge patching: each edge by itself carries what its sender writes in the corrupted run, and the metric is measured.

    score(u -> v) = m(clean, with v reading  x + write_u(corrupted) - write_u(clean)) - m(clean)

What gradients estimate, measured: the truth that EAP and EAP-IG are compared with. A pass holds many edges of one pair as its
rows; below the first receiver of a pass nothing has changed, so the layers there run on one row
(`circuits.patching.rows.run.spreads`).
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from circuits.edge_attribution.components import Components, components
from circuits.edge_attribution.estimate import two_runs
from circuits.edge_attribution.plan import SCATTERED, SLACK, EdgePlan
from circuits.edge_attribution.readers import Reader
from circuits.edge_attribution.scores import SIGN, EdgeScores, record_of
from circuits.patching.rows.run import spreads
from probe.activations.peak_bytes import events_of, process_bytes
from probe.errors import BadInput, OpenworkError
from probe.memory import require
from probe.methods import Doc, method
from probe.model.anatomy import spot
from probe.model.key_value_cache import keeps_nothing
from probe.model.sites import Site
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs, pairs_of
from probe.tasks.refusals import require_pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

ROWS = 64
"""Edges of a pass: more save little, since each row has layers of its own to run."""
_TIMED = (0.1, 0.5, 0.9)
"Of the passes, which are run to see how long they take."


@method(
    "exact-edges",
    group="circuits",
    plan="plan_exact_edges",
    paper="Attribution Patching Outperforms Automated Circuit Discovery (Syed et al. 2023)",
)
@takes_fields("drawn", Drawn)
def exact_edges(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 8,
    edges: Annotated[int | None, Doc("How many edges, drawn from all; by default all of them.", least=1)] = 500,
    drawn: Drawn = Drawn(),
    progress: Progress = SILENT,
) -> EdgeScores:
    """What edges between components really do to a task: each is patched by itself and the metric measured.

    One row of a forward pass an edge and pair: the whole model takes hours, so some edges are drawn; the others have no score.

    >>> scores = ow.exact_edges(model, "greater-than", n=1, edges=8)
    >>> len(scores.rows(None)), scores.convention["edges measured"]
    (8, 8)
    """
    pairs = pairs_of(model, task, n, drawn)
    made, chosen, places = _drawn(model, pairs, edges, drawn.seed)
    require(_bytes(model, made, pairs, chosen), f"Patching {counted(len(chosen), 'edge')}", model.W_E.device)
    return measured(model, made, pairs, chosen, places, progress)


@takes_fields("drawn", Drawn)
def plan_exact_edges(
    model: "TransformerBridge", task: TaskName = "ioi", *, n: int = 8, edges: int | None = 500, drawn: Drawn = Drawn()
) -> EdgePlan:
    """What `exact_edges` takes: some of its passes are run, spread over the layers, since the later ones are shorter."""
    pairs = pairs_of(model, task, n, drawn)
    made, chosen, _ = _drawn(model, pairs, edges, drawn.seed)
    one, passes = _Pair(model, made, pairs, _longest(pairs)), _passes(chosen)
    some = [passes[i] for i in sorted({int(share * (len(passes) - 1)) for share in _TIMED})]
    one.patched(chosen[some[0]])  # the first pass also pays for what is set up once
    started = time.perf_counter()
    for rows in some:
        one.patched(chosen[rows])
    each = (time.perf_counter() - started) / len(some)
    return EdgePlan(
        edges=len(chosen),
        pairs=len(pairs),
        batch=min(ROWS, len(chosen)),
        passes=len(passes) * len(pairs),
        seconds=each * len(passes) * len(pairs),
        bytes=_bytes(model, made, pairs, chosen),
        patched=True,
    )


def _drawn(
    model: "TransformerBridge", pairs: Pairs, edges: int | None, seed: int
) -> tuple[Components, Int[np.ndarray, "edge 2"], Int[np.ndarray, " edge"]]:
    """The edges to be patched on these pairs, and where they stand among all."""
    require_pairs(model, pairs)
    made = components(model)
    every = np.argwhere(made.layout.edges)
    chosen = np.arange(len(every))
    if edges is not None and edges < len(every):
        chosen = np.sort(np.random.default_rng(seed).choice(len(every), edges, replace=False))
    return made, every[chosen], chosen


def _passes(edges: Int[np.ndarray, "edge 2"]) -> list[Int[np.ndarray, " row"]]:
    """Which edges each pass holds: in the order of their receivers."""
    order = np.argsort(edges[:, 1], kind="stable")
    return [order[at : at + ROWS] for at in range(0, len(order), ROWS)]


def _longest(pairs: Pairs) -> int:
    return int(np.argmax([len(ids) for ids in pairs.clean]))


def _bytes(model: "TransformerBridge", made: Components, pairs: Pairs, edges: Int[np.ndarray, "edge 2"]) -> int:
    """What the first pass of the longest pair holds, which has all layers to run, and what is kept of all pairs."""
    first, index = edges[_passes(edges)[0]], _longest(pairs)
    found = process_bytes(events_of(lambda: _Pair(model, made, pairs, index).patched(first)), SCATTERED)
    return SLACK + 4 * int(made.layout.edges.sum()) * len(pairs) + found


def measured(
    model: "TransformerBridge",
    made: Components,
    pairs: Pairs,
    edges: Int[np.ndarray, "edge 2"],
    places: Int[np.ndarray, " edge"],
    progress: Progress = SILENT,
) -> EdgeScores:
    """Scores of these edges, sender and receiver each; places: where they stand among all. BadInput for runs that are the same or
    hold values that are not finite."""
    by_pair = np.full((len(pairs), int(made.layout.edges.sum())), np.nan, np.float32)
    ends = np.zeros((2, len(pairs)))
    with progress.stage("exact edges", total=len(pairs) * len(edges), unit="patch") as step:
        for i in range(len(pairs)):
            one = _Pair(model, made, pairs, i)
            ends[:, i] = one.clean, one.corrupted
            for rows in _passes(edges):
                found = one.patched(edges[rows])
                if not np.isfinite(found).all():
                    raise BadInput(
                        f"With an edge patched, the metric of pair {i} is not a finite number. Choose another metric."
                    )
                by_pair[i, places[rows]] = found - one.clean
                step(len(rows))
    says = "exact patching", {"sign": SIGN, "edges measured": len(edges)}
    return came_from(record_of(made.layout, pairs, says, by_pair, ends), model)


class _Pair:
    """One pair: its clean run, what every sender would write otherwise, and passes with edges patched."""

    def __init__(self, model: "TransformerBridge", made: Components, pairs: Pairs, index: int):
        self.model, self.made, self.pairs, self.index = model, made, pairs, index
        parts = {part for r in made.readers for part in (r.stream, r.scale) if part is not None}
        runs = two_runs(model, made, pairs, [index], tuple(parts))
        self.tokens, self.held, self.change = runs.clean, runs.held, runs.change  # 1 sender pos d_model
        self.clean, self.corrupted = (float(end[0]) for end in runs.ends)

    def patched(self, edges: Int[np.ndarray, "row 2"]) -> Float[np.ndarray, " row"]:
        """The metric with each of these edges patched; they are in the order of their receivers."""
        n = len(edges)
        readers = list(self._by_reader(edges))
        hooks: list[tuple[str, Callable]] = []
        first = min(reader.layer for reader, _, _ in readers)
        grown = spreads(self.model)
        if grown and first < self.made.layout.n_layers:  # what only the logits read spreads where it is put
            start = spot(Site("resid_pre", first), self.model).hook
            hooks.append((start, lambda value, hook: value.expand(n, *value.shape[1:])))
        fired: list[Reader] = []
        for reader, rows, heads in readers:
            moved = self._moved(reader, edges[rows, 0], heads)
            hooks.append((spot(reader.reads, self.model).hook, self._put(reader, rows, heads, moved, n, fired)))
        hooks.append(("unembed.hook_in", lambda value, hook: value[:, -1:]))
        with torch.no_grad(), self.model.hooks(fwd_hooks=hooks):
            tokens = self.tokens if grown else self.tokens.expand(n, -1)
            logits = self.model(tokens, **keeps_nothing(self.model))[:, -1]
        if len(fired) != len(readers) or len(logits) != n:
            raise OpenworkError("Some of the patched edges were never read, so nothing was measured.")
        return self._score(logits).double().cpu().numpy()

    def _by_reader(self, edges: Int[np.ndarray, "row 2"]) -> Iterator[tuple[Reader, Any, Any]]:
        """Of every side that is read here: its rows, and of each the head."""
        for reader in self.made.readers:
            columns = self.made.layout.reading(reader.layer, reader.side)
            rows = np.flatnonzero((edges[:, 1] >= columns.start) & (edges[:, 1] < columns.stop))
            if len(rows):
                yield reader, rows, edges[rows, 1] - columns.start

    def _moved(self, reader: Reader, senders: Any, heads: Any) -> Float[Tensor, "row pos width"]:
        """By how much what each row's receiver reads changes."""
        moved = reader.normed(self.change[:, senders], self.held)[0]
        return (
            moved if reader.W is None else einsum(moved, reader.W[heads], "row pos d, row d d_head -> row pos d_head")
        )

    def _put(self, reader: Reader, rows: Any, heads: Any, moved: Tensor, n: int, fired: list[Reader]) -> Callable:
        at = spot(reader.reads, self.model)

        def changed(v: Tensor) -> Tensor:
            v = v.clone()
            index = torch.tensor(rows, device=v.device)
            if v.ndim == 4:
                v[index, :, torch.tensor(heads, device=v.device)] += moved.to(v)
            else:
                v[index] += moved.to(v)
            fired.append(reader)
            return v

        def hooked(value: Tensor, hook: object) -> Tensor:
            return at.change(value.expand(n, *value.shape[1:]) if value.shape[0] == 1 else value, n, changed)

        return hooked

    def _score(self, logits: Float[Tensor, "row d_vocab"]) -> Float[Tensor, " row"]:
        return self.pairs.metric(logits, [self.index] * len(logits))
