"""Attention knockout (Geva et al. 2023): which positions must be read, and in which layers, for the answer to come out?

In a window of layers around each layer, no head lets the positions that read attend to a set of source positions: their scores
are minus infinity, so the rest of the pattern shares what they had. The change of the answer's probability p after the last
token,

    change = p(blocked) / p - 1

says how much of it came over that edge; a critical edge is one whose blocking takes much of it. Beside each set stand as many
random other positions that the readers can see, blocked in the same layers (ours). The first token, where heads rest, is not
drawn; where a set has it, its random ones have it too. By default every earlier token is a set of its own, and the window is a
fifth of the layers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuits.patching.kinds import KINDS
from circuits.patching.knockout.record import Blocked, KnockoutCurves
from circuits.patching.rows.answer import asked_about
from circuits.patching.rows.plan import AtOnce, RowsPlan, plan_rows
from circuits.patching.rows.run import run_rows
from circuits.patching.rows.windows import a_fifth, layers_around, window_of
from circuits.patching.runs import check_site
from probe.errors import BadInput, brief
from probe.interventions.attention_blocked import without_attention
from probe.methods import Doc, Layers, Token, chosen_layers, method
from probe.model.sites import Site, layers_with
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.text.positions import positions_of
from probe.text.prompts import Prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Block = tuple[int, Sequence[int]]
"""A run: the layer in the middle of its window, and the positions that are out of reach."""


@dataclass(frozen=True, eq=False)
class KnockoutConfig(Settings):
    """Where attention is blocked, and what stands beside it."""

    readers: str = "@-1"
    "Who cannot look: words of the prompt, or positions like @2:5; by default the last token."
    window: Annotated[int | None, Doc(least=1)] = None
    "Layers around one that are blocked together; by default a fifth of them."
    layers: Layers = None
    "Which layers are in the middle of a window."
    random: Annotated[int, Doc(least=0, most=100)] = 3
    "Sets of as many random positions beside each set."
    seed: Annotated[int, Doc(least=0, most=2_147_483_647)] = 0
    "Of the random positions."


@method(
    "knockout",
    group="circuits",
    plan="plan_knockout",
    paper="Dissecting Recall of Factual Associations in Auto-Regressive Language Models (Geva et al. 2023)",
)
@takes_fields("config", KnockoutConfig)
@takes_fields("at_once", AtOnce)
def knockout(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    sources: Annotated[
        Sequence[str], Doc("Who cannot be looked at, a set each: words, or positions like @2:5; by default each token.")
    ] = (),
    target: Annotated[Token | None, Doc("The answer, one token; by default what the model says.")] = None,
    config: KnockoutConfig = KnockoutConfig(),
    at_once: AtOnce = AtOnce(),
    progress: Progress = SILENT,
) -> KnockoutCurves:
    """What the answer loses when attention from some positions to others is blocked in a window of layers, by layer.

    Definitions and what is ours: the docstring of `circuits.patching.knockout.blocking`. Raises BadInput where a reader would
    have nothing left to look at.

    >>> curves = ow.knockout(model, "When Mary and John went to", sources=["Mary", "@2:4"], random=1)
    >>> curves.probability.shape, curves.window  # source, layer
    ((2, 4), 1)
    """
    asked = _Asked(model, prompt, sources, target, config)
    blocks = asked.blocks()
    plan = asked.plan(at_once)
    found = np.empty(len(blocks))
    with progress.stage("knockout", total=len(blocks), unit="run") as step:
        for at in range(0, len(blocks), plan.batch):
            some = blocks[at : at + plan.batch]
            found[at : at + len(some)] = asked.probability(some)
            step(len(some))
    return came_from(asked.record(found), model)


@takes_fields("config", KnockoutConfig)
@takes_fields("at_once", AtOnce)
def plan_knockout(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    sources: Sequence[str] = (),
    target: Token | None = None,
    config: KnockoutConfig = KnockoutConfig(),
    at_once: AtOnce = AtOnce(),
) -> RowsPlan:
    """What knockouts take."""
    return _Asked(model, prompt, sources, target, config).plan(at_once)


class _Asked:
    """A prompt, who cannot look at whom in it, the answer, and runs with blocked attention."""

    def __init__(
        self, model: Any, prompt: Prompt, sources: Sequence[str], target: Token | None, config: KnockoutConfig
    ):
        self.model, self.config = model, config
        check_site(model, KINDS["head_pattern"])
        self.about = asked_about(model, prompt, target)
        self.readers = positions_of(model, self.about.ids, config.readers)
        self.sources = self._sources(sources)
        there, n_layers = set(layers_with("pattern", model)), int(model.cfg.n_layers)
        self.window = window_of(config.window, a_fifth(n_layers), n_layers)
        self.layers = [i for i in chosen_layers(n_layers, config.layers) if there & set(self._around(i))]
        draw = np.random.default_rng(config.seed)
        self.drawn = [self._drawn(source, draw) for source in self.sources]

    def _around(self, layer: int) -> range:
        return layers_around(layer, self.window, int(self.model.cfg.n_layers))

    def _sources(self, named: Sequence[str]) -> list[Blocked]:
        last = max(self.readers)
        if not named:
            words = self.about.words
            each = [Blocked(name=f"{words[i]} @{i}", positions=[i]) for i in range(last) if i not in self.readers]
            return [one for one in each if not self._blinded(one.positions)] or self._nothing_earlier()
        found = [Blocked(name=text, positions=positions_of(self.model, self.about.ids, text)) for text in named]
        for one in found:
            if min(one.positions) > last:
                raise BadInput(f"{brief(one.name)} stands after {brief(self.config.readers)}, which cannot look at it.")
            if self._blinded(one.positions):
                raise BadInput(
                    f"With {brief(one.name)} out of reach, {brief(self.config.readers)} would have nothing left to look at. "
                    "Leave something, or name other readers."
                )
        return found

    def _blinded(self, positions: list[int]) -> bool:
        """Whether a reader would see nothing, itself included."""
        return any(set(range(reader + 1)) <= set(positions) for reader in self.readers)

    def _nothing_earlier(self) -> list[Blocked]:
        raise BadInput(
            f"Before {brief(self.config.readers)} there is no token to look at. Give a longer prompt, or later readers."
        )

    def _drawn(self, source: Blocked, draw: np.random.Generator) -> list[list[int]]:
        """Random sets as large as what of this one the readers can see; none where too few other positions are left."""
        seen = [i for i in source.positions if i <= max(self.readers)]
        others = [i for i in range(1, max(self.readers)) if i not in {*seen, *self.readers}]
        first = [0] if 0 in seen else []
        n = len(seen) - len(first)
        if not 0 < n <= len(others):
            return []
        sets = [draw.choice(others, n, replace=False).tolist() for _ in range(self.config.random)]
        return [sorted([*first, *one]) for one in sets]

    def blocks(self) -> list[Block]:
        """Every run, by layer: of each set, then of its random ones."""
        sets = [
            one for source, drawn in zip(self.sources, self.drawn, strict=True) for one in (source.positions, *drawn)
        ]
        return [(layer, positions) for layer in self.layers for positions in sets]

    def plan(self, at_once: AtOnce) -> RowsPlan:
        return plan_rows(self.model, "Knockouts", len(self.blocks()), len(self.about.ids), at_once, depth=0.6)

    def probability(self, blocks: Sequence[Block]) -> Float[np.ndarray, " run"]:
        """The answer's probability in each of these runs."""
        rows: dict[int, list[int]] = {}
        for row, (layer, _) in enumerate(blocks):
            for one in self._around(layer):
                rows.setdefault(one, []).append(row)
        there = set(layers_with("pattern", self.model))
        changes = {Site("pattern", i): self._blocking(blocks, rows[i]) for i in rows if i in there}
        return self.about.probability(run_rows(self.model, self.about.tokens, len(blocks), changes))

    def _blocking(self, blocks: Sequence[Block], rows: list[int]) -> Callable[[Tensor], Tensor]:
        n = len(self.about.ids)
        blocked: Bool[Tensor, "run q_pos k_pos"] = torch.zeros(len(blocks), n, n, dtype=torch.bool)
        for row in rows:
            for reader in self.readers:
                blocked[row, reader, list(blocks[row][1])] = True
        blocked = blocked.tril()[:, None]
        return lambda value: without_attention(value, blocked.to(value.device))

    def record(self, found: Float[np.ndarray, " run"]) -> KnockoutCurves:
        by_layer = found.reshape(len(self.layers), -1).T  # set layer
        most = self.config.random
        random = np.full((len(self.sources), most, len(self.layers)), np.nan)
        values, at = np.empty((len(self.sources), len(self.layers))), 0
        for s, drawn in enumerate(self.drawn):
            values[s] = by_layer[at]
            random[s, : len(drawn)] = by_layer[at + 1 : at + 1 + len(drawn)]
            at += 1 + len(drawn)
        return KnockoutCurves(
            prompt=self.about.text,
            token_ids=self.about.ids,
            tokens=self.about.words,
            answer=self.about.named,
            readers=self.readers,
            sources=self.sources,
            layers=self.layers,
            window=self.window,
            clean=self.about.clean,
            probability=values,
            random=random,
            convention={
                "measure": "probability of the answer after the last token",
                "change": "p(blocked) / p - 1",
                "blocked": "attention of all heads from the readers, scores of minus infinity",
                "window": f"{self.window} layers around each",
                "random": "as many other positions before the last reader; the first among them where the set has it",
                "seed": self.config.seed,
            },
        )
