"""Heads that move the topic to the last token, what they write there, and what the next MLP makes of each of them.

Moving      the heads that attend most from the last token to the topic are patched from the prompt about another topic, the
            strongest six together: a share of the way to the other answer (`patched_layers`).
Passing     what those six write together, read by the unembedding (through the final norm's weight), names the topic: its token
gains
            more over its mean for all topics than every other topic's.
Gain        an MLP is asked again with one head's write w taken out of the stream it reads:

                change = MLP(x) - MLP(x - w)        gain = change . w / w . w        share = change . MLP(x) / MLP(x) . MLP(x)

            -1: what the head wrote is erased; above 0: it is amplified. The norm before the MLP answers too. The decomposition is
            ours; the paper's is a regression of the MLP's output on the heads.
"""

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
from circuits.studies.factual_recall.mlp_alone import MLPAlone, mlp_that_reads
from circuits.studies.patched_layers import Heads, Patching, by_head, others
from circuits.studies.study import Bench, Found, Table
from probe.interventions.forward import capture
from probe.model.writes import norm_of, unembedding
from probe.statistics import bootstrap


@dataclass(frozen=True)
class Written:
    """What every head writes at the last position, and what stands there for each layer's MLP to read."""

    facts: Facts
    heads: list[Float[Tensor, "fact head d_model"]]

    @classmethod
    def of(cls, facts: Facts) -> "Written":
        """In the clean prompts. BadInput for a model that is no sum of heads and MLPs."""
        made = components(facts.model)
        held = capture(facts.model, facts.clean, sites_read(facts.model, made.layout))
        return cls(facts, [made.writers.heads(i, held)[:, :, -1] for i in range(made.layout.n_layers)])

    def named(self) -> Float[Tensor, "layer head fact topic"]:
        """How much each head's write favours each topic's token, less its mean over facts."""
        W_U, _ = unembedding(self.facts.model)
        norm = norm_of(self.facts.model, "ln_final", None, W_U)
        found = []
        for write in self.heads:
            read = (write if norm is None else norm.scaled(write)) @ W_U[:, self.facts.topic]
            found.append((read - read.mean(0)).transpose(0, 1))
        return torch.stack(found)


def names_own_topic(named: Float[Tensor, "layer head fact topic"], heads: Heads) -> Float[np.ndarray, " fact"]:
    """1 where these heads together favour the fact's own topic most."""
    if not heads:
        return np.zeros(named.shape[2])
    total = torch.stack([named[layer, head] for layer, head in heads]).sum(0)
    best = total.argmax(-1) == torch.arange(len(total))
    return (best & (total.max(-1).values > 0)).double().numpy()


def moving(facts: Facts, bench: Bench) -> Found:
    """The claims about heads and about the MLPs that read them."""
    facts = facts.some(bench.scale.some(range(len(facts))))
    sets, seed = bench.scale.sets, bench.scale.seed
    patched = by_head(Patching(facts.model, facts.pairs()), sets, seed, bench.step)
    written, n_heads = Written.of(facts), int(facts.model.cfg.n_heads)
    named, draw = written.named(), np.random.default_rng(seed)
    random = [names_own_topic(named, others(patched.chosen, n_heads, draw)).mean() for _ in range(sets)]
    gains = gains_of(written, patched.chosen, sets, seed)
    bench.step(1)
    return Found(
        measured={
            "topic-moved": Measured.of(patched.together, patched.draws, over="facts", seed=seed),
            "topic-named": Measured.of(
                names_own_topic(named, patched.chosen), np.array(random), over="facts", seed=seed
            ),
            "heads-erased-or-amplified": gains.measured(seed),
        },
        tables=[
            Table(f"Heads that move the topic in {facts.name}: share of the way", patched.rows),
            Table("What the next MLP makes of each of them", gains.rows),
        ],
    )


@dataclass(frozen=True)
class Gains:
    """size: mean size of the heads' gains, fact by fact; draws: of random writes as long. rows: head by head."""

    size: Float[np.ndarray, " fact"]
    draws: Float[np.ndarray, " set"]
    rows: list[dict[str, Any]]

    def measured(self, seed: int) -> Measured:
        """The number of the claim."""
        return Measured.of(self.size, self.draws, over="facts", seed=seed)


def gains_of(written: Written, heads: Heads, sets: int, seed: int) -> Gains:
    """What the MLP behind each head makes of it, beside random writes as long in its place."""
    generator = torch.Generator().manual_seed(seed)
    sizes, draws, rows = [], [], []
    for layer, head in heads:
        w, reading = written.heads[layer][:, head], mlp_that_reads(written.facts.model, layer)
        if reading is None or not bool(w.norm(dim=-1).min() > 0):
            continue
        mlp = MLPAlone.of(written.facts, reading)
        gain, share = mlp.gain(w), mlp.share(w)
        sizes.append(gain.abs())
        draws.append(torch.stack([mlp.gain(_as_long(w, generator)).abs().mean() for _ in range(sets)]))
        rows.append(_row(f"L{layer}H{head}", reading, gain, share))
    if not sizes:
        n = len(written.facts)
        return Gains(np.zeros(n), np.zeros(sets), [])
    size, random = (torch.stack(some).mean(0).double().numpy() for some in (sizes, draws))
    return Gains(size, random, rows)


def _as_long(w: Float[Tensor, "fact d_model"], generator: torch.Generator) -> Float[Tensor, "fact d_model"]:
    drawn = torch.randn(w.shape, generator=generator, dtype=torch.float32).to(w)
    return drawn * (w.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True))


def _row(head: str, mlp: int, gain: Float[Tensor, " fact"], share: Float[Tensor, " fact"]) -> dict[str, Any]:
    found = bootstrap(gain.double().numpy())
    said = "amplified" if found.low > 0 else "erased" if found.high < 0 else "neither"
    return {
        "head": head,
        "read by MLP": mlp,
        "gain": found.mean,
        "low": found.low,
        "high": found.high,
        "what": said,
        "share of the MLP's output": float(share.mean()),
    }
