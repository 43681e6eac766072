"""The last layer against the right answer: what each of its parts writes, and a switch that takes them out.

Suppressed  what the last layer's heads and MLP together take from the right answer's logit (less the mean logit), directly, at
            the final norm's divisor, as a share of what all layers below had given it; beside the same of other facts' answers.
Switch      the parts that write against the right answers of half of the facts are set to zero at the last position. Which they
            are is decided by those facts; what it does to the probability and the rank of the right answer is asked of the other
            half, beside as many heads and MLPs of random other layers.

That suppression is taken for a share of the logit, and undone by zero, is our choice; the paper's abstract says neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.components import components
from circuits.edge_attribution.writes import sites_read
from circuits.studies.claim import Measured
from circuits.studies.factual_recall.facts_asked import Facts
from circuits.studies.study import Bench, Found, Table
from probe.interventions.forward import capture
from probe.interventions.places import head, place
from probe.interventions.running import intervene
from probe.interventions.values import Zero
from probe.model.sites import Site
from probe.model.writes import wide

Part = tuple[int, int | None]
"""A layer and a head of it, or None for its MLP."""


def part_name(part: Part) -> str:
    """`L29H3`, `MLP 29`."""
    layer, index = part
    return f"MLP {layer}" if index is None else f"L{layer}H{index}"


@dataclass(frozen=True)
class LastLayer:
    """What its parts write at the last position, and what all layers below had written."""

    facts: Facts
    parts: list[Part]
    writes: Float[Tensor, "part fact d_model"]
    below: Float[Tensor, "fact d_model"]

    @classmethod
    def of(cls, facts: Facts) -> "LastLayer":
        """In the clean prompts."""
        made = components(facts.model)
        last = made.layout.n_layers - 1
        held = capture(facts.model, facts.clean, [*sites_read(facts.model, made.layout), Site("resid_pre", last)])
        heads = made.writers.heads(last, held)[:, :, -1].transpose(0, 1)
        mlp = wide(held[Site("mlp_write", last).name])[:, -1]
        parts: list[Part] = [*((last, i) for i in range(len(heads))), (last, None)]
        return cls(facts, parts, torch.cat([heads, mlp[None]]), wide(held[Site("resid_pre", last).name])[:, -1])

    def adds(self, answers: Sequence[int]) -> Float[Tensor, "part fact"]:
        """What each part adds to the logit of an answer of each fact."""
        return (self.writes * self.facts.toward(answers)).sum(-1)

    def given_below(self) -> Float[Tensor, " fact"]:
        """What all layers below had given the right answer."""
        return (self.below * self.facts.toward(self.facts.right)).sum(-1)

    def suppressors(self) -> list[Part]:
        """The parts that write against the right answers, mean over facts."""
        against = self.adds(self.facts.right).mean(1) < 0
        return [part for part, is_one in zip(self.parts, against.tolist(), strict=True) if is_one]


def switch(facts: Facts, parts: Sequence[Part]) -> list[Zero]:
    """Changes that take parts out at the last position of a fact's prompt, for `intervene`."""
    last = facts.clean.shape[1] - 1
    return [Zero(place(Site("mlp_write", layer), last) if i is None else head(layer, i, last)) for layer, i in parts]


def without(facts: Facts, parts: Sequence[Part]) -> Float[Tensor, "fact d_vocab"]:
    """Logits with the switch on."""
    with intervene(facts.model, switch(facts, parts)):
        return facts.logits()


def elsewhere(parts: Sequence[Part], n_layers: int, n_heads: int, draw: np.random.Generator) -> list[Part]:
    """As many heads and MLPs of random layers below the last, none of them twice, as far as there are."""
    heads = [(layer, i) for layer in range(n_layers - 1) for i in range(n_heads)]
    mlps = [(layer, None) for layer in range(n_layers - 1)]
    found: list[Part] = []
    for pool, n in ((heads, sum(i is not None for _, i in parts)), (mlps, sum(i is None for _, i in parts))):
        found += [pool[i] for i in draw.choice(len(pool), min(n, len(pool)), replace=False)]
    return found


def suppression(facts: Facts, bench: Bench) -> Found:
    """The claims about the last layer."""
    seen, left = facts.halves(bench.scale.prompts)
    last, draw = LastLayer.of(left), np.random.default_rng(bench.scale.seed)
    given = float(last.given_below().mean())
    taken = -last.adds(left.right).sum(0).double().numpy() / given
    random = [
        -float(last.adds(draw.permutation(left.right).tolist()).sum(0).mean()) / given for _ in range(bench.scale.sets)
    ]
    suppressed = Measured.of(taken, np.array(random), over="facts", seed=bench.scale.seed)
    chosen = LastLayer.of(seen).suppressors()
    measured, rows = switched(left, chosen, bench)
    return Found(
        measured={"right-suppressed": suppressed, **measured},
        tables=[Table("What the last layer's parts add to logits, directly", _by_part(last, chosen)), rows],
    )


def _by_part(last: LastLayer, chosen: Sequence[Part]) -> list[dict[str, Any]]:
    own = last.adds(last.facts.right).mean(1).tolist()
    other = last.adds(last.facts.wrong).mean(1).tolist()
    return [
        {
            "part": part_name(p),
            "right answer": a,
            "next topic's answer": b,
            "switched off": "yes" if p in chosen else "",
        }
        for p, a, b in zip(last.parts, own, other, strict=True)
    ]


def switched(facts: Facts, chosen: Sequence[Part], bench: Bench) -> tuple[dict[str, Measured], Table]:
    """Confidence and accuracy with the switch on, minus before."""
    cfg, draw = facts.model.cfg, np.random.default_rng(bench.scale.seed + 1)
    before = _scores(facts, facts.logits())
    after = _scores(facts, without(facts, chosen)) if chosen else before
    drawn = np.empty((bench.scale.sets, 2))
    for row in range(bench.scale.sets):
        parts = elsewhere(chosen, int(cfg.n_layers), int(cfg.n_heads), draw)
        drawn[row] = (_scores(facts, without(facts, parts)) if parts else before).mean(1)
        bench.step(1)
    means, seed = before.mean(1), bench.scale.seed
    measured = {
        name: Measured.of(after[i] - before[i], drawn[:, i] - means[i], over="facts", seed=seed)
        for i, name in enumerate(("switch-confidence", "switch-accuracy"))
    }
    runs = {
        "nothing": means,
        f"{len(chosen)} parts of the last layer": after.mean(1),
        "as many random others": drawn.mean(0),
    }
    rows = [
        {"switched off": what, "probability right": float(p), "likeliest right": float(a)}
        for what, (p, a) in runs.items()
    ]
    return measured, Table("Confidence and accuracy before and after", rows)


def _scores(facts: Facts, logits: Float[Tensor, "fact d_vocab"]) -> Float[np.ndarray, "score fact"]:
    """Probability of the right answer, and whether it is the likeliest token."""
    return np.stack([facts.of_right(logits.softmax(-1)), facts.likeliest(logits)])
