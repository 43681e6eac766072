"""Activation patching sweeps (Vig et al. 2020; Meng et al. 2022; named and compared by Heimersheim and Nanda 2024).

    patch_sweep(model, clean, corrupted, target=Difference(" Mary", " John"), over="heads")

Denoising runs the corrupted prompt and patches in the clean run: a cell near 1 restores the clean answer by itself (sufficient).
Noising runs the clean prompt and patches in the corrupted run: a cell near 0 breaks it (necessary). Either way

    value = (m(patched) - m(corrupted)) / (m(clean) - m(corrupted))          1 is the clean run, 0 the corrupted one

Attention is causal, so a patch at a position before the first token that differs puts in what is there already: those cells are
not run but set to the unpatched run's value (`exact=True` runs them all).
"""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch

from circuits.patching.control import DRAWN, control_ids
from circuits.patching.kinds import DIRECTIONS, METRICS, Kind
from circuits.patching.pair import Answers, last_logits, read_pair, scorer
from circuits.patching.plan import PatchConfig, PatchingPlan, cells_of, cells_to_run, kind_of, plan_patching
from circuits.patching.record import Control, PatchingSweep
from circuits.patching.runs import Cell, check_site, donors, run_cells
from circuits.patching.sides import Pair
from probe.errors import BadInput
from probe.methods import Doc, Layers, chosen_layers, method
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.text.display import display_tokens
from probe.text.prompts import Prompt, several
from probe.text.targets import Target

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

KEPT = 5
"""Likeliest next tokens kept of every patched run."""


@method(
    "patch",
    group="circuits",
    plan="plan_sweep",
    paper="Causal Mediation Analysis (Vig et al. 2020); Locating Factual Associations in GPT (Meng et al. 2022)",
)
@takes_fields("config", PatchConfig)
def patch_sweep(
    model: "TransformerBridge",
    clean: Annotated[Prompt, Doc("The prompt with the behaviour to explain.")],
    corrupted: Annotated[Prompt, Doc("The same with another answer; it needs equally many tokens.")],
    *,
    target: Annotated[
        Target | Answers | None,
        Doc("The right answer minus the wrong one, one token each; by default what each run says itself."),
    ] = None,
    answers: Annotated[Answers | None, Doc("The same as target.", in_python=True)] = None,
    config: PatchConfig = PatchConfig(),
    progress: Progress = SILENT,
) -> PatchingSweep:
    """Which layer, position or head carries the difference between two prompts: activation patching, one piece at a time.

    Every piece of one run is put into the other by itself, and the answer is looked at: 1 is the clean run, 0 the corrupted one.

    >>> sweep = ow.patch_sweep(model, "Mary went to", "Rome went to", metric="kl", over="attn_out")
    >>> sweep.raw.shape
    (4, 5)
    """
    metric, over, direction = config.metric, config.over, config.direction
    if direction not in DIRECTIONS:
        raise BadInput(f"There is no direction '{direction}'; choose {' or '.join(DIRECTIONS)}.")
    kind = kind_of(over)
    check_site(model, kind)
    pair = read_pair(model, clean, corrupted, target=target, answers=answers, metric=metric).require()
    base, donor = (pair.corrupted, pair.clean) if direction == "denoise" else (pair.clean, pair.corrupted)
    others = control_ids(model, donor, base, config.control, config.seed)
    plan = plan_patching(model, pair, over, control=len(others), config=config)
    every = cells_of(model, kind, len(base.tokens))
    run = cells_to_run(model, kind, every, pair, config)
    swept = _Swept(model, kind, base.token_ids, run, plan.batch, pair, config)
    with progress.stage(f"patch {over}", total=len(run) * (1 + len(others)), unit="patch") as step:
        found = swept.patched(donor.token_ids, step)
        drawn = [swept.patched(ids, step)["raw"] for ids in others]
    arrays = _placed(every, run, found, base.value, _base_row(model, base.token_ids, pair))
    _forget_unasked(arrays, config.layers)
    controls = _controls(every, run, drawn, arrays["raw"].shape) if drawn else None
    known = np.unique(arrays["top_ids"]).tolist()
    sweep = PatchingSweep(
        pair,
        over,
        direction,
        raw=arrays["raw"],
        answer_probs=arrays["answer_probs"],
        top_ids=arrays["top_ids"],
        top_probs=arrays["top_probs"],
        computed=arrays["computed"],
        words=dict(zip(known, display_tokens(model, known), strict=True)),
        control=controls,
        convention=_convention(pair, direction, others, config, plan),
        positions=config.positions if kind.by_pos else 1,
    )
    return came_from(sweep, model)


@takes_fields("config", PatchConfig)
def plan_sweep(
    model: "TransformerBridge",
    clean: Prompt,
    corrupted: Prompt,
    *,
    target: Answers | None = None,
    config: PatchConfig = PatchConfig(),
) -> PatchingPlan:
    """What a sweep would take, and the two runs before it."""
    pair = read_pair(model, clean, corrupted, target=target, metric=config.metric).require()
    control = config.control if isinstance(config.control, int) else len(several(config.control))
    return plan_patching(model, pair, config.over, control=control, config=config)


class _Swept:
    """The passes of one sweep: the same cells of the same base, patched from one donor or another."""

    def __init__(
        self, model: Any, kind: Kind, base: list[int], cells: list[Cell], batch: int, pair: Pair, config: PatchConfig
    ):
        self.model, self.kind, self.base, self.cells, self.batch, self.pair = model, kind, base, cells, batch, pair
        self.tokens, self.positions = torch.tensor([base], device=model.W_E.device), config.positions
        self.score = scorer(config.metric, pair.answer_ids, last_logits(model, pair.clean.token_ids))

    def patched(self, donor: list[int], step: Any) -> dict[str, np.ndarray]:
        """Metric, answers' probabilities and likeliest tokens of every cell."""
        given = donors(self.model, self.kind, donor)
        parts: list[dict[str, np.ndarray]] = []
        for start in range(0, len(self.cells), self.batch):
            some = self.cells[start : start + self.batch]
            parts.append(
                self._read(run_cells(self.model, self.tokens, self.kind, given, some, positions=self.positions))
            )
            step(len(some))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _read(self, logits: torch.Tensor) -> dict[str, np.ndarray]:
        wide = logits.double().cpu()
        return {"raw": self.score(wide).numpy(), **read_rows(wide, self.pair.answer_ids)}


def read_rows(logits: torch.Tensor, answers: list[int]) -> dict[str, np.ndarray]:
    """What else is kept of every run, rows first."""
    probs = logits.softmax(-1)
    best = probs.topk(min(KEPT, probs.shape[-1]))
    return {
        "answer_probs": probs[:, answers].numpy(),
        "top_ids": best.indices.numpy(),
        "top_probs": best.values.numpy(),
    }


def _base_row(model: Any, ids: list[int], pair: Pair) -> dict[str, np.ndarray]:
    with torch.no_grad():
        return read_rows(last_logits(model, ids)[None], pair.answer_ids)


def _placed(
    every: list[Cell],
    run: list[Cell],
    found: dict[str, np.ndarray],
    value: float,
    base: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Arrays over the whole grid; cells that were not run hold what the unpatched run has."""
    shape = tuple(np.max(np.array(every), 0) + 1)
    computed = np.zeros(shape, bool)
    at = tuple(np.array(run).T)
    computed[at] = True
    arrays = {"computed": computed}
    for name, rows in found.items():
        still = np.array([value]) if name == "raw" else base[name]
        full = np.empty((*shape, *rows.shape[1:]), rows.dtype)
        full[...] = still[0]
        full[at] = rows
        arrays[name] = full
    return arrays


def _forget_unasked(arrays: dict[str, np.ndarray], layers: Layers) -> None:
    """NaN in layers that were not asked for: nothing is known of them."""
    n_layers = len(arrays["raw"])
    unasked = np.setdiff1d(np.arange(n_layers), chosen_layers(n_layers, layers))
    arrays["raw"][unasked] = np.nan


def _controls(every: list[Cell], run: list[Cell], drawn: list[np.ndarray], shape: tuple[int, ...]) -> Control:
    full = np.full((len(drawn), *shape), np.nan)
    at = tuple(np.array(run).T)
    for one, rows in zip(full, drawn, strict=True):
        one[at] = rows
    return Control(full)


def _convention(
    pair: Pair, direction: str, others: list[list[int]], config: PatchConfig, plan: PatchingPlan
) -> dict[str, Any]:
    return {
        "direction": DIRECTIONS[direction],
        "metric": METRICS.get(pair.metric, pair.metric),
        "position": "last",
        "normalisation": "(m - m_corrupted) / (m_clean - m_corrupted): 1 is the clean run, 0 the corrupted one",
        "effect": "normalised value minus the unpatched run's (0 when denoising, 1 when noising)",
        "answers": "given" if pair.answers_given else "each run's likeliest token" if pair.answers else "none",
        "controls": len(others),
        "control donor": (DRAWN if isinstance(config.control, int) else "prompts given") if others else None,
        "seed": config.seed if others else None,
        "not_run": plan.cells - plan.run,
        "positions together": config.positions,
    }
