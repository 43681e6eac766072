"""Which parts write the margin, and what single neurons do with the start year: activations by start digit, digits promoted.

What a unit writes at the last position reaches the logits through the final norm's weight and divisor and the unembedding; with
the divisor of the run itself these direct writes add up, with the embedding, to the logits exactly.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from two_circuits_tasks import NOUNS, Task, digit_ids, greater_than

from probe.interventions.forward import capture
from probe.model.sites import parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

N_SHOWN = 8


def direct_writes(task: Task) -> dict[str, list[float]]:
    """Mean margin that each layer's attention and MLP write directly at the last position."""
    model, kinds = task.model, ("attn_out", "mlp_out")
    layers = range(model.cfg.n_layers)
    found = capture(model, task.tokens, [*[f"{k}.{i}" for k in kinds for i in layers], "final_scale"])
    readers = torch.stack([task.direction(i).vector for i in range(len(task.prompts))]) * model.ln_final.weight.detach()
    readers = readers / found[parse_site("final_scale").name][:, -1]
    return {
        k: [float((found[parse_site(f"{k}.{i}").name][:, -1] * readers).sum(1).mean()) for i in layers] for k in kinds
    }


def tuning(
    model: "TransformerBridge", units: Sequence[tuple[int, int]], pool: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """Activations of neurons by start digit and the digits they promote; what the set writes together against random sets."""
    table = _table(model, sorted({layer for layer, _ in [*units, *pool]}))
    together, chosen = table.written(units), set(units)
    draw = np.random.default_rng(0)
    sets = [_matched(units, [u for u in pool if u not in chosen], draw) for _ in range(100)]
    return {
        "logits": table.logits.tolist(),
        "written": together.tolist(),
        "with order": agreement(together, order()),
        "with logits": agreement(together, table.logits),
        "logits with order": agreement(table.logits, order()),
        "random with order": [agreement(table.written(s), order()) for s in sets],
        "random with logits": [agreement(table.written(s), table.logits) for s in sets],
        "neurons": [table.row(*unit) for unit in units],
    }


def order() -> Float[Tensor, "start digit"]:
    """1 where the digit is later than the start, -1 where it is earlier, 0 where it is the same."""
    digits = torch.arange(10)
    return (digits[None] - digits[:, None]).sign().float()


def agreement(one: Float[Tensor, "start digit"], other: Float[Tensor, "start digit"]) -> float:
    """Correlation over starts and digits that differ, after the mean over starts of each digit was taken away from both: what
    is promoted whatever the start year is no use."""
    apart = ~torch.eye(10, dtype=torch.bool)
    one, other = ((m - m.mean(0))[apart] for m in (one, other))
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def _matched(units: Sequence[tuple[int, int]], pool: Sequence[tuple[int, int]], draw: np.random.Generator) -> list:
    """As many of each layer from the pool, as far as it has them."""
    found: list[tuple[int, int]] = []
    for layer in sorted({layer for layer, _ in units}):
        free = [u for u in pool if u[0] == layer]
        n = min(sum(a == layer for a, _ in units), len(free))
        found += [free[i] for i in draw.choice(len(free), n, replace=False)]
    return found


class _Table:
    """By start digit 0 to 9, means over nouns: the demeaned logits of the digits, and every neuron of some layers."""

    def __init__(self, logits: Tensor, activations: dict[int, Tensor], promoted: dict[int, Tensor], scale: Tensor):
        self.logits, self.activations, self.promoted, self.scale = logits, activations, promoted, scale

    def written(self, units: Sequence[tuple[int, int]]) -> Float[Tensor, "start digit"]:
        """What neurons add to the demeaned logits of the digits, directly."""
        found = torch.zeros_like(self.logits)
        for layer, unit in units:
            found += torch.outer(self.activations[layer][:, unit], self.promoted[layer][unit])
        return found / self.scale[:, None]

    def row(self, layer: int, unit: int) -> dict[str, Any]:
        """One neuron; the correlations say whether it fires more for later starts and promotes later digits."""
        fires, gives = self.activations[layer][:, unit], self.promoted[layer][unit]
        digits = torch.arange(10).float()
        return {
            "unit": f"L{layer}N{unit}",
            "activation by start": fires.tolist(),
            "promotes": gives.tolist(),
            "activation with start": float(torch.corrcoef(torch.stack([fires, digits]))[0, 1]),
            "promotion with digit": float(torch.corrcoef(torch.stack([gives, digits]))[0, 1]),
            "with order": agreement(torch.outer(fires, gives), order()),
        }


def _table(model: "TransformerBridge", layers: Sequence[int]) -> _Table:
    task = greater_than(model, [(noun, 10 * t + 4) for noun in NOUNS for t in range(10)])
    found = capture(model, task.tokens, [*[f"mlp_post.{i}" for i in layers], "final_scale", "logits"])
    digits = digit_ids(model)

    def mean(site: str) -> Tensor:
        value = found[parse_site(site).name][:, -1]
        return value.reshape(2, 10, -1).mean(0)

    def demeaned(rows: Tensor) -> Tensor:
        return rows - rows.mean(1, keepdim=True)

    reader = model.W_U.detach()[:, digits] * model.ln_final.weight.detach()[:, None]
    promoted = {i: demeaned(model.blocks[i].mlp.W_out.detach() @ reader) for i in layers}
    activations = {i: mean(f"mlp_post.{i}") for i in layers}
    return _Table(demeaned(mean("logits")[:, digits]), activations, promoted, mean("final_scale")[:, 0])
