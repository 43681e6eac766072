"""Where the information is, and what moves it: patching between prompts that differ in one token.

For windows of three layers, what attention or the MLPs write at one position is replaced by what they write in the corrupted
prompt; for single layers the whole residual stream. Then single heads at the last position, and the strongest of them together
against random heads of the same layers. All effects are shares of the way from the clean to the corrupted contrast.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from two_circuits_tasks import Pairs

from probe.interventions.forward import capture
from probe.interventions.places import head, place
from probe.interventions.running import intervene
from probe.interventions.values import Patch

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

WINDOW = 3
N_HEADS, N_RANDOM = 12, 10


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

    def heads(self, some: Sequence[tuple[int, int]]) -> Float[Tensor, " pair"]:
        """Several heads at the last position together."""
        last = self.pairs.clean.shape[1] - 1
        return self.share([self.patch(f"z.{layer}", last, index) for layer, index in some])


def _at(found: dict[str, Tensor], site: str) -> Tensor:
    from probe.model.sites import parse_site

    return found[parse_site(site).name]


def summary(shares: Float[Tensor, " pair"]) -> dict[str, float]:
    """Mean and standard error over pairs."""
    return {"mean": float(shares.mean()), "error": float(shares.std() / len(shares) ** 0.5)}


def by_layer(run: Patching) -> list[dict[str, Any]]:
    """Windows of attention and of MLPs, and the stream after each third layer, at the varied token and at the last."""
    rows, last = [], run.pairs.clean.shape[1] - 1
    for where, pos in (("varied", run.pairs.varied), ("last", last)):
        for first in range(0, len(run.layers), WINDOW):
            window = range(first, first + WINDOW)
            for kind in ("attn_out", "mlp_out"):
                shares = run.share([run.patch(f"{kind}.{i}", pos) for i in window])
                rows.append(
                    {"what": kind, "where": where, "first": first, "last": first + WINDOW - 1, **summary(shares)}
                )
            shares = run.share([run.patch(f"resid_post.{first + WINDOW - 1}", pos)])
            rows.append({"what": "resid_post", "where": where, "last": first + WINDOW - 1, **summary(shares)})
    return rows


def by_head(run: Patching, seed: int = 0) -> dict[str, Any]:
    """The heads that attend most from the last position to the varied token, one by one; the strongest six together."""
    n_heads = run.patterns.shape[1]
    seen = run.patterns.flatten().topk(N_HEADS).indices.tolist()
    rows = []
    for layer, index in [divmod(i, n_heads) for i in seen]:
        attention = float(run.patterns[layer, index])
        rows.append({"head": f"L{layer}H{index}", "attention": attention, **summary(run.heads([(layer, index)]))})
    rows.sort(key=lambda row: -abs(row["mean"]))
    best = [tuple(map(int, row["head"][1:].split("H"))) for row in rows[:6]]
    draw = np.random.default_rng(seed)
    drawn = [float(run.heads(_others(best, n_heads, draw)).mean()) for _ in range(N_RANDOM)]
    together = summary(run.heads(best))
    return {"heads": rows, "together": [f"L{a}H{b}" for a, b in best], "share": together, "random": drawn}


def _others(heads: Sequence[tuple[int, int]], n_heads: int, draw: np.random.Generator) -> list[tuple[int, int]]:
    """As many random heads of the same layers, none of them among those given."""
    found: list[tuple[int, int]] = []
    for layer, _ in heads:
        free = [(layer, i) for i in range(n_heads) if (layer, i) not in heads and (layer, i) not in found]
        found.append(free[draw.integers(len(free))])
    return found


def measure(model: "TransformerBridge", pairs: Pairs) -> dict[str, Any]:
    """Everything of one task."""
    run = Patching(model, pairs)
    return {"pairs": len(pairs.clean), "way": summary(run.way.abs()), "by_layer": by_layer(run), **by_head(run)}
