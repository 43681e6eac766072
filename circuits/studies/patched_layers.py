"""Where the information is, and what moves it: patching between prompts that differ in one token.

For windows of three layers, what attention or the MLPs write at one position is replaced by what they write in the corrupted
prompt; for single layers the whole residual stream. Then single heads at the last position, and the strongest of them together
against random heads of the same layers. All effects are shares of the way from the clean to the corrupted contrast.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.studies.last_token import Pairs
from probe.interventions.forward import capture
from probe.interventions.places import head, place
from probe.interventions.prefix import started_at
from probe.interventions.running import intervene
from probe.interventions.values import Patch
from probe.model.sites import parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

WINDOW = 3
N_SEEN, N_TOGETHER = 12, 6
Heads = Sequence[tuple[int, int]]
WINDOW_RUNS = 60
"""What the windows count for, whatever the number of layers."""


class Patching:
    """Both runs of all pairs, and what patches from one into the other do."""

    def __init__(self, model: "TransformerBridge", pairs: Pairs):
        self.model, self.pairs, self.layers = model, pairs, range(model.cfg.n_layers)
        sites = [f"{kind}.{i}" for kind in ("attn_out", "mlp_out", "z", "resid_post") for i in self.layers]
        self.corrupted = capture(model, pairs.corrupted, [*sites, "logits"])
        clean = capture(model, pairs.clean, [*[f"pattern.{i}" for i in self.layers], "logits"])
        self.patterns = torch.stack([_at(clean, f"pattern.{i}")[:, :, -1, pairs.varied] for i in self.layers]).mean(1)
        ends = [pairs.contrast(_at(run, "logits")[:, -1]) for run in (clean, self.corrupted)]
        self.start, self.way = ends[0], ends[1] - ends[0]

    def patch(self, site: str, pos: int, index: int | None = None) -> Patch:
        """The value of the corrupted run at one position (of one head)."""
        value = _at(self.corrupted, site)[:, pos][:, None]
        if index is None:
            return Patch(place(site, pos), value)
        return Patch(head(int(site.split(".")[1]), index, pos), value[:, :, index])

    def share(self, patches: Sequence[Patch]) -> Float[Tensor, " pair"]:
        """Share of the way to the corrupted contrast, pair by pair."""
        with torch.no_grad(), intervene(self.model, patches):
            logits = self.model(self.pairs.clean)[:, -1]
        return (self.pairs.contrast(logits) - self.start) / self.way

    def heads(self, some: Heads) -> Float[Tensor, " pair"]:
        """Several heads at the last position together."""
        last = self.pairs.clean.shape[1] - 1
        return self.share([self.patch(f"z.{layer}", last, index) for layer, index in some])


def _at(found: dict[str, Tensor], site: str) -> Tensor:
    return found[parse_site(site).name]


def with_error(shares: Float[Tensor, " pair"]) -> dict[str, float]:
    """Mean and standard error over pairs."""
    return {"mean": float(shares.mean()), "error": float(shares.std() / len(shares) ** 0.5)}


def windows(run: Patching, step: Callable[[float], None]) -> list[dict[str, Any]]:
    """Windows of attention and of MLPs, and the stream after each third layer, at the varied token and at the last."""
    rows, n = [], len(run.layers)
    spans = [range(first, min(first + WINDOW, n)) for first in range(0, n, WINDOW)]
    for where, pos in (("varied", run.pairs.varied), ("last", run.pairs.clean.shape[1] - 1)):
        for span in spans:
            for kind, shares in _of_span(run, span, pos):
                rows.append({"what": kind, "where": where, "first": span[0], "last": span[-1], **with_error(shares)})
                step(WINDOW_RUNS / (6 * len(spans)))
    return rows


def _of_span(run: Patching, span: range, pos: int) -> Iterator[tuple[str, Float[Tensor, " pair"]]]:
    for kind in ("attn_out", "mlp_out"):
        yield kind, run.share([run.patch(f"{kind}.{i}", pos) for i in span])
    yield "resid_post", run.share([run.patch(f"resid_post.{span[-1]}", pos)])


@dataclass(frozen=True)
class HeadShares:
    """rows: single heads, the strongest first. together: the strongest of them at once, pair by pair; draws: means of as many
    random others of the same layers."""

    rows: list[dict[str, Any]]
    chosen: Heads
    together: Float[np.ndarray, " pair"]
    draws: Float[np.ndarray, " set"]


def by_head(run: Patching, sets: int, seed: int, step: Callable[[float], None]) -> HeadShares:
    """The heads that attend most from the last position to the varied token, one by one; the strongest six together."""
    n_heads = run.patterns.shape[1]
    seen = run.patterns.flatten().topk(min(N_SEEN, run.patterns.numel())).indices.tolist()
    rows = []
    for layer, index in [divmod(i, n_heads) for i in seen]:
        attention = float(run.patterns[layer, index])
        rows.append({"head": f"L{layer}H{index}", "attention": attention, **with_error(run.heads([(layer, index)]))})
        step(1)
    rows.sort(key=lambda row: -abs(row["mean"]))
    best = [_head(row["head"]) for row in rows[:N_TOGETHER]]
    together, draw, drawn = run.heads(best), np.random.default_rng(seed), []
    with started_at(run.model, min(layer for layer, _ in best), run.pairs.clean):
        for _ in range(sets):
            drawn.append(float(run.heads(others(best, n_heads, draw)).mean()))
            step(1)
    return HeadShares(rows, best, together.double().numpy(), np.array(drawn))


def _head(name: str) -> tuple[int, int]:
    layer, _, index = name[1:].partition("H")
    return int(layer), int(index)


def others(heads: Heads, n_heads: int, draw: np.random.Generator) -> list[tuple[int, int]]:
    """As many random heads of the same layers, none of them among those given, as far as a layer has them."""
    found: list[tuple[int, int]] = []
    for layer, _ in heads:
        free = [(layer, i) for i in range(n_heads) if (layer, i) not in heads and (layer, i) not in found]
        if free:
            found.append(free[draw.integers(len(free))])
    return found
