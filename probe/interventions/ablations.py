"""What a removed part carries in the place of what it would write.

    resample          what it writes in the corrupted run of the same pair
    mean              its mean over all positions of the clean prompts
    positional-mean   its mean at each position, over the clean prompts of that length, of which there must be two at least
    zero              0
    optimal           one constant, the same everywhere, at which the circuit's prediction is nearest to the whole model's (KL):
                      an ablation that takes information away and adds none (Li & Janson 2024). Found for each circuit anew
                      by gradient steps from the mean, and never worse than it on the pairs it is found on

Means and constants are taken over reference pairs: all that a task gave, where circuits are looked at on some of them. Tensors
are `batch part pos width`, whatever the parts are.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput, brief

Ablation = Literal["resample", "mean", "positional-mean", "zero", "optimal"]
ABLATIONS: dict[str, str] = {
    "resample": "what it writes in the corrupted run",
    "mean": "its mean over the clean prompts and all their positions",
    "positional-mean": "its mean over the clean prompts at each position",
    "zero": "0",
    "optimal": "the constant at which each circuit's prediction is nearest to the model's",
}
STEPS, RATE = 20, 0.1
"""Of the gradient steps for `optimal`; a step is a share of the root mean square of what a part writes."""
Values = Float[Tensor, "batch part pos width"]


def require_ablation(name: object) -> None:
    """BadInput for one there is not."""
    if name not in ABLATIONS:
        raise BadInput(f"There is no ablation {brief(name)}; choose {', '.join(ABLATIONS)}.")


def mean_values(runs: Iterable[Tensor]) -> Values:
    """The mean over every prompt and position, one for each part."""
    total, n = None, 0
    for values in runs:
        here = values.double().sum((0, 2), keepdim=True)
        total = here if total is None else total + here
        n, like = n + values.shape[0] * values.shape[2], values
    if total is None:
        raise BadInput("There are no prompts to take a mean over.")
    return (total / n).to(like)


def positional_means(runs: Iterable[Tensor], looked: Collection[int]) -> dict[int, Tensor]:
    """The mean at each position, of each length that is looked at. BadInput as of `require_positional`."""
    sums: dict[int, tuple[Tensor, int]] = {}
    for values in runs:
        total, n = sums.get(values.shape[2], (torch.zeros_like(values[:1], dtype=torch.float64), 0))
        sums[values.shape[2]] = (total + values.double().sum(0, keepdim=True), n + len(values))
        like = values
    require_positional({length: n for length, (_, n) in sums.items()}, looked)
    return {length: (sums[length][0] / sums[length][1]).to(like) for length in looked}


def require_lengths(ablation: str, reference: Iterable[Sequence[int]], looked: Iterable[Sequence[int]]) -> None:
    """BadInput, before anything is run, where an ablation has no value for a prompt that is looked at. reference: the prompts
    that means are taken over."""
    if ablation == "positional-mean":
        require_positional(Counter(map(len, reference)), {len(ids) for ids in looked})


def require_positional(there: Mapping[int, int], looked: Collection[int]) -> None:
    """BadInput where a length that is looked at has no reference prompt, or one alone: its mean is itself, so nothing is removed.
    there: how many reference prompts of each length."""
    few = sorted(length for length in looked if there.get(length, 0) < 2)
    if not few:
        return
    why = (
        f"One prompt alone has {few[0]} tokens, so its positional mean is itself and nothing would be removed"
        if few[0] in there
        else f"No reference prompt has {few[0]} tokens, so there is no mean at each position of those that have"
    )
    more = f" (and so it is of {len(few) - 1} other lengths)" if len(few) > 1 else ""
    raise BadInput(
        f"{why}{more}. Ask for more pairs, give pairs of one length (a JSONL file of them), or take the ablation `mean`."
    )


def replaced(ablation: str, corrupted: Sequence[Tensor], runs: Callable[[], Iterable[Tensor]]) -> list[Tensor]:
    """What every part carries once it is removed, for each group of pairs. corrupted: the groups' own corrupted runs, whose
    shapes all others take; runs: the reference pairs' clean ones."""
    if ablation == "resample":
        return list(corrupted)
    if ablation == "zero":
        return [torch.zeros_like(one[:1, :, :1]).expand_as(one) for one in corrupted]
    if ablation == "positional-mean":
        means = positional_means(runs(), {one.shape[2] for one in corrupted})
        return [means[one.shape[2]].expand_as(one) for one in corrupted]
    mean = mean_values(runs())  # of `optimal` the start
    return [mean.expand_as(one) for one in corrupted]


def least(
    start: Values, loss: Callable[[Values], Float[Tensor, ""]], scale: Tensor | None = None, steps: int = STEPS
) -> Values:
    """The constants of least loss among those that Adam visits from a start, which is one of them. scale: of a step; by default
    the root mean square of what each part carries."""
    if scale is None:
        scale = start.square().mean(-1, keepdim=True).sqrt()
    scale = scale.clamp(min=1e-4)
    shift = torch.zeros_like(start, requires_grad=True)
    adam, best, lowest = torch.optim.Adam([shift], lr=RATE), start, float("inf")
    for step in range(steps + 1):
        with torch.enable_grad():
            value = loss(start + scale * shift)
        if (far := float(value.detach())) < lowest:
            best, lowest = (start + scale * shift).detach(), far
        if step < steps:
            (shift.grad,) = torch.autograd.grad(value, [shift])
            adam.step()
    return best
