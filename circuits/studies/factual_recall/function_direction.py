"""The function-like direction of a deep MLP: what it adds whatever the topic, by which another question about it becomes this
one.

Asked are two relations of the same topics (the capital of a country, the language spoken there). Of half of the topics

    direction = mean over topics of what the MLP writes at the last position in the one relation, minus the same in the other

of the layer, below the last, whose MLP adds most to (this relation's answer - the other's) directly. It is added to what that MLP
writes in the other relation's prompts about the other half of the topics. The difference of the two answers' logits moves a share
of the way to what it is when this relation is asked. That the direction is a mean, and how the layer is chosen, is ours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.studies.claim import Measured
from circuits.studies.factual_recall.facts_asked import Facts
from circuits.studies.study import Bench, Found, Table
from probe.interventions.forward import capture
from probe.interventions.places import place
from probe.interventions.running import intervene
from probe.interventions.values import Steer
from probe.model.sites import Site
from probe.model.writes import wide


def mlp_writes(facts: Facts) -> Float[Tensor, "layer fact d_model"]:
    """What every MLP writes at the last position."""
    sites = [Site("mlp_write", i) for i in range(facts.model.cfg.n_layers)]
    held = capture(facts.model, facts.clean, sites)
    return torch.stack([wide(held[site.name])[:, -1] for site in sites])


@dataclass(frozen=True)
class Direction:
    """Of which layer's MLP, and what it adds whatever the topic. by_layer: what each layer's MLP adds to the one answer's logit
    over the other's."""

    layer: int
    value: Float[Tensor, " d_model"]
    by_layer: list[float]

    @classmethod
    def of(cls, asked: Facts, other: Facts) -> "Direction":
        """From topics that are looked at."""
        writes = mlp_writes(asked)
        toward = asked.toward(asked.right) - asked.toward(other.right)
        added = (writes * toward).sum(-1).mean(1)
        layer = int(added[:-1].argmax()) if len(added) > 1 else 0
        return cls(layer, (writes[layer] - mlp_writes(other)[layer]).mean(0), added.tolist())


def answered(
    asked: Facts, other: Facts, layer: int, direction: Float[Tensor, " d_model"] | None
) -> Float[Tensor, "fact d_vocab"]:
    """Logits of the other relation's prompts with a direction added to what an MLP writes at the last position."""
    if direction is None:
        return other.logits()
    at = place(Site("mlp_write", layer), other.clean.shape[1] - 1)
    with intervene(other.model, [Steer(at, direction)]):
        return other.logits()


def of_answers(asked: Facts, other: Facts, logits: Float[Tensor, "fact d_vocab"]) -> Float[np.ndarray, " fact"]:
    """Logit of this relation's answer minus the other's."""
    return asked.of_right(logits) - other.of_right(logits)


def function_like(asked: Facts, other: Facts, bench: Bench) -> Found:
    """The claim about a deep MLP."""
    (seen, left), (seen_other, left_other) = (f.halves(bench.scale.prompts) for f in (asked, other))
    found, seed = Direction.of(seen, seen_other), bench.scale.seed
    start, end = left_other.logits(), left.logits()
    way = of_answers(left, left_other, end) - of_answers(left, left_other, start)

    def share(logits: Float[Tensor, "fact d_vocab"]) -> Float[np.ndarray, " fact"]:
        return (of_answers(left, left_other, logits) - of_answers(left, left_other, start)) / way

    after, generator, draws = (
        answered(left, left_other, found.layer, found.value),
        torch.Generator().manual_seed(seed),
        [],
    )
    bench.step(4)
    with left_other.from_layer(found.layer):
        for _ in range(bench.scale.sets):
            drawn = torch.randn(found.value.shape, generator=generator, dtype=torch.float32).to(found.value)
            drawn = drawn * (found.value.norm() / drawn.norm())
            draws.append(share(answered(left, left_other, found.layer, drawn)).mean())
            bench.step(0.5)
    runs = {f"{other.name}": start, f"{other.name}, direction of MLP {found.layer} added": after, f"{asked.name}": end}
    rows = [_row(what, left, left_other, logits) for what, logits in runs.items()]
    by_layer = [{"MLP": i, f"adds to {asked.name} over {other.name}": v} for i, v in enumerate(found.by_layer)]
    return Found(
        measured={"function-like": Measured.of(share(after), np.array(draws), over="facts", seed=seed)},
        tables=[
            Table(f"{other.name} turned into {asked.name} by one direction", rows),
            Table("What each MLP adds to the one answer's logit over the other's, directly", by_layer),
        ],
    )


def _row(what: str, asked: Facts, other: Facts, logits: Float[Tensor, "fact d_vocab"]) -> dict[str, Any]:
    return {
        "asked": what,
        f"logit, {asked.name} minus {other.name}": float(of_answers(asked, other, logits).mean()),
        f"likeliest is the answer of {asked.name}": float(asked.likeliest(logits).mean()),
        f"of all answers of {asked.name} the own is best": float(asked.best_of_answers(logits).mean()),
        f"likeliest is the answer of {other.name}": float(other.likeliest(logits).mean()),
    }
