"""What single neurons do with a start year: activations by its tens digit, digits promoted, and what a set writes together.

What a unit writes at the last position reaches the logits through the final norm's weight and divisor and the unembedding; with
the divisor of the run itself these direct writes add up, with the embedding, to the logits exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.studies.last_token import Task
from probe.interventions.forward import capture
from probe.model.sites import parse_site
from probe.statistics import DRAWS

Neurons = Sequence[tuple[int, int]]
RULER = 0.7
"""A neuron is a ruler if its activation goes with the start digit, and what it promotes with the digit, beyond this."""


@dataclass(frozen=True)
class Digits:
    """By start digit 0 to 9, means over nouns: the demeaned logits of the digits, activations of every neuron of some layers, the
    demeaned logits each promotes, and the final norm's divisor."""

    logits: Float[Tensor, "start digit"]
    activations: dict[int, Float[Tensor, "start d_mlp"]]
    promoted: dict[int, Float[Tensor, "d_mlp digit"]]
    scale: Float[Tensor, " start"]

    def written(self, units: Neurons) -> Float[Tensor, "start digit"]:
        """What neurons add to the demeaned logits of the digits, directly."""
        found = torch.zeros_like(self.logits)
        for layer, unit in units:
            found += torch.outer(self.activations[layer][:, unit], self.promoted[layer][unit])
        return found / self.scale[:, None]

    def row(self, layer: int, unit: int) -> dict[str, Any]:
        """One neuron; the correlations say whether it fires more for later starts and promotes later digits."""
        fires, gives = self.activations[layer][:, unit], self.promoted[layer][unit]
        return {
            "unit": f"L{layer}N{unit}",
            "activation with start": _with_order(fires),
            "promotion with digit": _with_order(gives),
            "with order": agreement(torch.outer(fires, gives), order()),
            "activation by start": fires.tolist(),
            "promotes": gives.tolist(),
        }

    def ruler(self, layer: int, unit: int) -> float:
        """1 if the neuron fires more for later starts and promotes the later digits, or both the other way about; else 0."""
        a, b = _with_order(self.activations[layer][:, unit]), _with_order(self.promoted[layer][unit])
        return float(abs(a) > RULER and abs(b) > RULER and a * b > 0)


def _with_order(values: Float[Tensor, " ten"]) -> float:
    return float(torch.corrcoef(torch.stack([values, torch.arange(10).to(values)]))[0, 1].nan_to_num())


def order() -> Float[Tensor, "start digit"]:
    """1 where the digit is later than the start, -1 where it is earlier, 0 where it is the same."""
    digits = torch.arange(10)
    return (digits[None] - digits[:, None]).sign().float()


def agreement(
    one: Float[Tensor, "start digit"], other: Float[Tensor, "start digit"], starts: Sequence[int] | None = None
) -> float:
    """Correlation over starts and digits that differ, after the mean over starts of each digit was taken away from both: what
    is promoted whatever the start year is no use. starts: which, each as often as it is named; by default every one."""
    some = torch.as_tensor(range(10) if starts is None else starts)
    apart = ~torch.eye(10, dtype=torch.bool)[some]
    one, other = ((m[some] - m[some].mean(0))[apart] for m in (one, other))
    return float(torch.corrcoef(torch.stack([one, other]))[0, 1])


def resampled(
    one: Float[Tensor, "start digit"], other: Float[Tensor, "start digit"], seed: int = 0, resamples: int = DRAWS
) -> tuple[float, float]:
    """Where 95% of the agreements lie, start digits drawn anew with replacement."""
    draw = np.random.default_rng(seed)
    found = [agreement(one, other, draw.integers(0, 10, 10).tolist()) for _ in range(resamples)]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


def matched(units: Neurons, pool: Neurons, draw: np.random.Generator) -> list[tuple[int, int]]:
    """As many of each layer from the pool, as far as it has them."""
    found: list[tuple[int, int]] = []
    for layer in sorted({layer for layer, _ in units}):
        free = [u for u in pool if u[0] == layer]
        n = min(sum(a == layer for a, _ in units), len(free))
        found += [free[i] for i in draw.choice(len(free), n, replace=False)]
    return found


def digits_of(task: Task, digits: Sequence[int], layers: Sequence[int]) -> Digits:
    """task: for each noun in turn, prompts of the ten start digits. digits: their token ids."""
    model = task.model
    found = capture(model, task.tokens, [*[f"mlp_post.{i}" for i in layers], "final_scale", "logits"])

    def mean(site: str) -> Tensor:
        return found[parse_site(site).name][:, -1].reshape(-1, 10, found[parse_site(site).name].shape[-1]).mean(0)

    def demeaned(rows: Tensor) -> Tensor:
        return rows - rows.mean(1, keepdim=True)

    reader = model.W_U.detach()[:, list(digits)] * model.ln_final.weight.detach()[:, None]
    promoted = {i: demeaned(model.blocks[i].mlp.W_out.detach() @ reader) for i in layers}
    activations = {i: mean(f"mlp_post.{i}") for i in layers}
    return Digits(demeaned(mean("logits")[:, list(digits)]), activations, promoted, mean("final_scale")[:, 0])
