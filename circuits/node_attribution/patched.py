"""One pair with nodes patched, many in a pass: row i is the clean run with node i's value of the corrupted run.

Heads, their sides, MLPs and neurons are cells of `circuits.patching.runs`, whose rows share the layers below their patch. A
latent is put in as the difference that it makes to what its dictionary writes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from circuits.edge_attribution.refusals import require_two_runs
from circuits.node_attribution.kinds import FAMILIES
from circuits.node_attribution.moves import OfLatents, of_latents
from circuits.node_attribution.nodes import Group, Nodes
from circuits.patching.kinds import Kind
from circuits.patching.runs import donors, run_cells
from probe.interventions.forward import capture
from probe.interventions.places import Place
from probe.interventions.running import intervene
from probe.interventions.values import Function
from probe.model.anatomy import spot
from probe.model.sites import parse_site
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

ROWS = 64
"""Nodes of a pass: more save little, since each row has layers of its own to run."""


class Patched:
    """One pair: its runs' metrics, what the corrupted run puts in, and passes with nodes patched."""

    def __init__(self, model: "TransformerBridge", groups: list[Group], pairs: Pairs, index: int):
        self.model, self.groups, self.pairs, self.index = model, groups, pairs, index
        self.ids, self.other = pairs.clean[index], pairs.corrupted[index]
        self.tokens = torch.tensor([self.ids], device=model.W_E.device)
        self._moves: dict[tuple[int, str], OfLatents] = {}
        self._given: tuple[str, dict[int, torch.Tensor]] = ("", {})
        with torch.no_grad():
            runs = (model(torch.tensor([ids], device=model.W_E.device))[:, -1] for ids in (self.ids, self.other))
            self.clean, self.corrupted = (float(self._score(logits)[0]) for logits in runs)
        ends = (torch.tensor([self.clean]), torch.tensor([self.corrupted]))
        require_two_runs(pairs, [index], torch.zeros(1, dtype=torch.bool), ends)
        causal = getattr(model.cfg, "attention_dir", "causal") in (None, "causal")
        same = next(i for i, (a, b) in enumerate(zip(self.ids, self.other, strict=True)) if a != b)
        self.first = same - len(self.ids) if causal else -len(self.ids)  # the first position that can differ

    def passes(self, nodes: Nodes) -> list[tuple[str, np.ndarray]]:
        """Which nodes each pass holds, and of which family: in the order of their layers. Nodes that this pair has not, and those
        that are the same in both runs, have none."""
        wanted = self.there(nodes) & ~self.still(nodes)
        return [
            (family, chosen[at : at + ROWS])
            for family, chosen in self._by_family(nodes, wanted)
            for at in range(0, len(chosen), ROWS)
        ]

    def there(self, nodes: Nodes) -> Bool[np.ndarray, " node"]:
        """Which nodes this pair has."""
        return (nodes.position == 0) | (nodes.position >= -len(self.ids))

    def still(self, nodes: Nodes) -> Bool[np.ndarray, " node"]:
        """Which of them are before the first token that differs, and so the same in both runs."""
        return self.there(nodes) & (nodes.position < self.first) & (nodes.position != 0)

    def patched(self, family: str, nodes: Nodes, rows: np.ndarray) -> Float[np.ndarray, " row"]:
        """By how much the metric changes with each of these nodes."""
        logits = self._latents(nodes, rows) if family in ("latent", "rest") else self._cells(family, nodes, rows)
        return self._score(logits).double().cpu().numpy() - self.clean

    def _by_family(self, nodes: Nodes, wanted: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Rows of one family, in the order of their layers; latents of one dictionary."""
        for at, family in enumerate(nodes.families):
            here = np.flatnonzero(wanted & (nodes.family == at))
            if family in ("latent", "rest"):
                for key in {(int(nodes.layer[i]), int(nodes.owner[i])) for i in here}:
                    yield family, here[(nodes.layer[here] == key[0]) & (nodes.owner[here] == key[1])]
            elif len(here):
                yield family, here[np.argsort(nodes.layer[here], kind="stable")]

    def _cells(self, family: str, nodes: Nodes, rows: np.ndarray) -> Float[torch.Tensor, "row d_vocab"]:
        parts = [nodes.layer[rows]]
        if FAMILIES[family].axis:
            parts.append(nodes.unit[rows])
        if nodes.by_position:
            parts.append(nodes.position[rows] + len(self.ids))
        cells = [tuple(map(int, cell)) for cell in zip(*parts, strict=True)]
        kind = _kind(family, nodes.by_position)
        if self._given[0] != family:
            self._given = family, donors(self.model, kind, self.other)
        return run_cells(self.model, self.tokens, kind, self._given[1], cells)

    def _latents(self, nodes: Nodes, rows: np.ndarray) -> Float[torch.Tensor, "row d_vocab"]:
        first = int(rows[0])
        owner = nodes.owners[nodes.owner[first]]
        group = next(g for g in self.groups if g.layer == nodes.layer[first] and g.owner == owner)
        move = self._move(group)
        change = self._written(move, nodes, rows)  # row pos width
        changes, end = [], 0
        for site in group.sites:
            start, end = end, end + spot(site, self.model).width
            changes.append(Function(Place(site), _adding(change[..., start:end])))
        with torch.no_grad(), intervene(self.model, changes):
            return self.model(self.tokens.expand(len(rows), -1))[:, -1]

    def _move(self, group: Group) -> OfLatents:
        key = group.layer, group.owner
        if key not in self._moves:
            sites = [parse_site(group.dictionary.site_in), *group.sites]
            runs = (torch.tensor([ids], device=self.tokens.device) for ids in (self.ids, self.other))
            clean, other = (dict(capture(self.model, tokens, sites)) for tokens in runs)
            self._moves[key] = of_latents(group, clean, other)
        return self._moves[key]

    def _written(self, move: OfLatents, nodes: Nodes, rows: np.ndarray) -> Float[torch.Tensor, "row pos width"]:
        """By how much what the dictionary's sites hold changes, with each of these by itself."""
        units, positions = nodes.unit[rows], nodes.position[rows]
        device = move.rest.device
        latents = move.latents[0][:, torch.tensor(np.maximum(units, 0), device=device)].T  # row pos
        change = latents[..., None] * move.W_dec[torch.tensor(np.maximum(units, 0), device=device)][:, None]
        change[torch.tensor(units < 0, device=device)] = move.rest[0]
        if nodes.by_position:
            n = change.shape[1]
            kept = torch.tensor(np.arange(n)[None] == (positions[:, None] + n), device=device)
            change = change * kept[..., None]
        return change

    def _score(self, logits: Float[torch.Tensor, "row d_vocab"]) -> Float[torch.Tensor, " row"]:
        return self.pairs.metric(logits, [self.index] * len(logits))


def _adding(change: torch.Tensor) -> Any:
    return lambda value: value + change.to(value).view_as(value)


def _kind(family: str, by_position: bool) -> Kind:
    where = FAMILIES[family]
    axes = ("layer", *([where.axis] if where.axis else []), *(["pos"] if by_position else []))
    return Kind(where.site, axes, family, family)
