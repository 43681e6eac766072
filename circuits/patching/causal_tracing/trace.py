"""Causal tracing (Meng et al. 2022): where is what a model recalls of a subject?

    clean       the plain run                                                       p
    noisy       Gaussian noise on the embeddings of the subject's tokens            p*
    restored    noisy, with one piece of the clean run put back                     p*(layer, position)

    total effect = p - mean p*          indirect effect = mean (p*(layer, position) - p*)

with p the probability of the answer after the last token, means over draws of the noise. A piece is the stream at a layer and
position, or what the MLPs or attention of a window of layers around it write there. The same draws serve every piece. Noise is
added where the embeddings enter the stream, so putting back the stream before layer 0 on a subject of one token is the clean run.
Attention is causal, so pieces before the subject put in what is there already: they are not run. The interval is over draws.

Ours: the size of the noise (see `noise`), the default window for MLPs and attention of a fifth of the layers (the paper's is 10
of 48), and that noise which takes less than `LEAST` of the probability, or no more than chance does over its draws, is refused:
there is nothing to give back then.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from circuits.patching.causal_tracing.noise import embedding_sd, noisy_streams
from circuits.patching.causal_tracing.record import CausalTrace
from circuits.patching.kinds import KINDS, Kind
from circuits.patching.plan import cells_of
from circuits.patching.rows.answer import asked_about
from circuits.patching.rows.plan import AtOnce, RowsPlan, plan_rows
from circuits.patching.rows.run import run_rows
from circuits.patching.rows.windows import a_fifth, window_of
from circuits.patching.runs import Cell, check_site, donors, run_cells
from probe.errors import BadInput, brief
from probe.methods import Doc, Token, method
from probe.model.sites import layers_with
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.statistics import bootstrap
from probe.text.positions import positions_of
from probe.text.prompts import Prompt
from probe.words import figures

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LEAST = 0.01
"""Share of the answer's probability; noise that takes less of it has not changed the answer."""
Traced = Literal["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out"]


@dataclass(frozen=True, eq=False)
class TracingConfig(Settings):
    """What is put back, and how the noise is drawn."""

    over: Traced = "resid_post"
    "What is put back: the stream before, within or after a layer, or what attention or the MLP writes to it."
    window: Annotated[int | None, Doc(least=1)] = None
    "Layers around one that are put back together; by default 1 of the stream, a fifth of the layers of attention and MLPs."
    noise: Annotated[float, Doc(least=0)] = 3.0
    "Standard deviation of the noise, in those of the token embeddings' entries."
    draws: Annotated[int, Doc(least=1, most=1000)] = 10
    "Draws of the noise."
    seed: Annotated[int, Doc(least=0, most=2_147_483_647)] = 0
    "Of the noise."


@method(
    "causal-tracing",
    group="circuits",
    plan="plan_tracing",
    paper="Locating and Editing Factual Associations in GPT (Meng et al. 2022)",
)
@takes_fields("config", TracingConfig)
@takes_fields("at_once", AtOnce)
def causal_tracing(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    subject: Annotated[str, Doc("Words of the prompt that get noise, or their positions, like @2:5.")],
    target: Annotated[Token | None, Doc("The answer, one token; by default what the model says.")] = None,
    config: TracingConfig = TracingConfig(),
    at_once: AtOnce = AtOnce(),
    progress: Progress = SILENT,
) -> CausalTrace:
    """Where a model holds what it recalls of a subject: noise on the subject's tokens, and one clean piece at a time put back.

    Of every layer and position: how much of the answer's probability it gives back, with an interval over draws of the noise.
    Definitions and what is ours: the docstring of `circuits.patching.causal_tracing.trace`. Raises BadInput where the noise does
    not change the answer.

    >>> trace = ow.causal_tracing(model, "When Mary and John went to", subject="Mary", over="mlp_out", draws=2)
    >>> trace.restored.shape, trace.window  # draw, layer, position
    ((2, 4, 8), 1)
    """
    asked = _Asked(model, prompt, subject, target, config)
    plan = asked.plan(at_once)
    noisy = asked.noisy()
    restored = np.repeat(noisy[:, None], asked.size, 1)
    with progress.stage("causal tracing", total=plan.runs, unit="run") as step:
        for draw in range(config.draws):
            for at in range(0, len(asked.run), plan.batch):
                some = asked.run[at : at + plan.batch]
                restored[draw, some] = asked.restored(draw, some)
                step(len(some))
    return came_from(asked.record(noisy, restored), model)


@takes_fields("config", TracingConfig)
@takes_fields("at_once", AtOnce)
def plan_tracing(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    subject: str,
    target: Token | None = None,
    config: TracingConfig = TracingConfig(),
    at_once: AtOnce = AtOnce(),
) -> RowsPlan:
    """What a trace takes."""
    return _Asked(model, prompt, subject, target, config).plan(at_once)


class _Asked:
    """A prompt, its subject and answer, the cells to put back, and runs with noise."""

    def __init__(self, model: Any, prompt: Prompt, subject: str, target: Token | None, config: TracingConfig):
        self.model, self.config = model, config
        self.kind: Kind = KINDS[config.over]
        check_site(model, self.kind)
        self.about = about = asked_about(model, prompt, target)
        self.subject = positions_of(model, about.ids, subject)
        n_layers = int(model.cfg.n_layers)
        usual = 1 if self.kind.site.startswith("resid") else a_fifth(n_layers)
        self.window = window_of(config.window, usual, n_layers)
        self.cells = cells_of(model, self.kind, len(about.ids))
        there = set(layers_with(self.kind.site, model))
        self.run = [i for i, (layer, pos) in enumerate(self.cells) if pos >= self.subject[0] and layer in there]
        self.sd = config.noise * embedding_sd(model)
        self.streams = noisy_streams(model, about.ids, self.subject, self.sd, config.draws, config.seed)
        self.given = donors(model, self.kind, about.ids)

    @property
    def size(self) -> int:
        """Cells in all."""
        return len(self.cells)

    def plan(self, at_once: AtOnce) -> RowsPlan:
        rows = self.config.draws * len(self.run)
        return plan_rows(self.model, "Causal tracing", rows, len(self.about.ids), at_once, 0.5, self.config.draws)

    def noisy(self) -> Float[np.ndarray, " draw"]:
        """The answer's probability with noise, by draw. BadInput where that is hardly less than without."""
        found = [run_rows(self.model, self.about.tokens, 1, {}, start=one[None]) for one in self.streams]
        noisy, clean = self.about.probability(torch.cat(found)), self.about.clean
        taken = bootstrap(clean - noisy, self.config.seed)
        if not taken.mean >= LEAST * clean or taken.low <= 0:
            raise BadInput(
                f"Noise of {self.config.noise:g} standard deviations on the subject leaves the probability of "
                f"{brief(self.about.named)} at {figures(float(noisy.mean()))} of {figures(clean)}, so there is nothing to "
                "give back. Name other words as the subject, an answer that depends on them, or more noise."
            )
        return noisy

    def restored(self, draw: int, some: list[int]) -> Float[np.ndarray, " cell"]:
        """The answer's probability with one draw's noise and each of these cells put back."""
        cells: list[Cell] = [self.cells[i] for i in some]
        start = self.streams[draw : draw + 1]
        logits = run_cells(self.model, self.about.tokens, self.kind, self.given, cells, window=self.window, start=start)
        return self.about.probability(logits)

    def record(self, noisy: Float[np.ndarray, " draw"], restored: Float[np.ndarray, "draw cell"]) -> CausalTrace:
        shape = tuple(np.max(np.array(self.cells), 0) + 1)
        computed = np.zeros(len(self.cells), bool)
        computed[self.run] = True
        return CausalTrace(
            prompt=self.about.text,
            token_ids=self.about.ids,
            tokens=self.about.words,
            subject=self.subject,
            answer=self.about.named,
            over=self.config.over,
            window=self.window,
            sd=self.sd,
            clean=self.about.clean,
            noisy=noisy,
            restored=restored.reshape(len(restored), *shape),
            computed=computed.reshape(shape),
            convention={
                "measure": "probability of the answer after the last token",
                "noise": f"Gaussian, {self.config.noise:g} standard deviations of the token embeddings' entries ({self.sd:.4g})",
                "noise is added": "to the stream before layer 0, on the subject's positions",
                "put back": f"{self.kind.meaning}, of the clean run, {self.window} layers together",
                "interval": "95%, bootstrap over draws",
                "seed": self.config.seed,
            },
            seed=self.config.seed,
        )
