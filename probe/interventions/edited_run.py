"""One prompt read twice, without and with changes: what is predicted after a token, and how far each prediction moved.

    edited_run(model, "The capital of France is", [Zero(head(9, 6))])

Both runs are whole forward passes over the same tokens, so all that differs is what the interventions (or unit edits) changed
and what followed from it. With `generate`, both texts are continued greedily, the changes still in force.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.artifacts.json import finite
from probe.errors import BadInput
from probe.interventions.changes import names_of, read_changes
from probe.interventions.generation import generate_with
from probe.interventions.running import intervene
from probe.methods import Change, DictionaryName, Doc, method
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Panel, Rows, Tokens
from probe.show.record import Record
from probe.text.prompts import Prompt, read_prompt
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

TABLE = 1 << 23
"""Log-probabilities compared at once."""


@dataclass(frozen=True)
class Candidate:
    """A next token with its probability and logit (minus the mean logit) in both runs."""

    id: int
    token: str
    before: float
    after: float
    logit_before: float
    logit_after: float


@dataclass(frozen=True, kw_only=True)
class EditedRun(Record, figure=True, page=True):
    """What changed. edits: their names. pos: after which token `candidates` stand: the likeliest of either run, by the larger
    of both probabilities. kl: from the unchanged prediction to the changed one, nats, at every position. loss_before,
    loss_after: of each token of the prompt, nats (NaN for the first). text_before, text_after: greedy continuations, or None.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    edits: list[str]
    pos: int
    candidates: list[Candidate]
    kl: Float[np.ndarray, " pos"]
    loss_before: Float[np.ndarray, " pos"]
    loss_after: Float[np.ndarray, " pos"]
    text_before: str | None = None
    text_after: str | None = None

    @property
    def before(self) -> Candidate:
        """The likeliest token without the changes."""
        return max(self.candidates, key=lambda c: c.before)

    @property
    def after(self) -> Candidate:
        """The likeliest token with them."""
        return max(self.candidates, key=lambda c: c.after)

    def rows(self) -> list[dict[str, Any]]:
        """One row a candidate."""
        return [
            {
                "token": c.token,
                "before": c.before,
                "after": c.after,
                "change": c.after - c.before,
                "logit change": c.logit_after - c.logit_before,
            }
            for c in self.candidates
        ]

    def panels(self) -> list[Panel]:
        """The candidates, how far each prediction moved, and how both runs go on where that was asked."""
        *shown, said = super().panels()
        moved = Tokens("KL from the unchanged prediction, nats", self.tokens, self.kl.tolist())
        texts = [{"run": "unchanged", "continues": self.text_before}, {"run": "changed", "continues": self.text_after}]
        return [*shown, *([Rows("How both runs go on", texts)] if self.text_after is not None else []), moved, said]

    def summary(self) -> str:
        """One sentence."""
        kl = float(self.kl[self.pos])
        same = self.before.id == self.after.id
        then = f"stays {self.after.token!r}" if same else f"becomes {self.after.token!r}"
        return (
            f"With {', '.join(self.edits) or 'no change'}: after position {self.pos} the likeliest token {self.before.token!r} "
            f"({self.before.before:.3f}) {then} ({self.after.after:.3f}); KL {kl:.3g} nats."
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        plain = asdict(self)
        for name in ("kl", "loss_before", "loss_after"):
            plain[name] = [finite(x) for x in plain[name]]
        return plain


@dataclass(frozen=True)
class EditTold(Settings):
    """What is told of both runs."""

    pos: int = -1
    "Where the next token is compared; -1 is the last."
    k: Annotated[int, Doc(least=1)] = 8
    "Likeliest tokens of each run, to list."
    generate: Annotated[int, Doc(least=0)] = 0
    "Tokens that both runs go on with."


@method("edit", group="prompts")
@takes_fields("told", EditTold)
def edited_run(
    model: "TransformerBridge",
    prompt: Prompt,
    changes: Annotated[
        Sequence[Change],
        Doc("What is changed: ablate:L9H6, mean:L9H6, scale=2:L5N120, clamp=8:L4F650@3, add=5:L5N120."),
    ],
    *,
    other: Annotated[Prompt | None, Doc("The prompt whose values patch:L9H6 puts in.")] = None,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Dictionaries whose latents are changed.")] = (),
    told: EditTold = EditTold(),
    progress: Progress = SILENT,
) -> EditedRun:
    """Run a prompt without and with `changes`: interventions, unit edits, or text like `ablate:L9H6` (see
    `probe.interventions.changes`). other: the prompt that `patch:L9H6` takes values of. dictionaries: those that latents
    named in them belong to. told: its fields are keywords too.

    Raises BadInput for a position the prompt does not have, and what `intervene` raises.

    >>> run = ow.edited_run(model, "When Mary and John went to", ["ablate:L1H0", "scale=2:L2N5"])
    >>> run.edits
    ['ablate L1H0', 'scale L2N5']
    """
    prompt, ids = read_prompt(model, prompt)
    pos, k, generate = told.pos, told.k, told.generate
    changes = read_changes(model, changes, dictionaries, ids, None if other is None else read_prompt(model, other).ids)
    if not -len(ids) <= pos < len(ids) or k < 1:
        raise BadInput(f"The prompt has positions 0 to {len(ids) - 1} and k must be at least 1; got {pos} and {k}.")
    at = pos % len(ids)
    with progress.stage("run without and with", total=2 + bool(generate), unit="run") as step:
        before = _logits(model, ids, [])
        step(1)
        after = _logits(model, ids, changes)
        step(1)
        texts = None
        if generate:
            texts = generate_with(model, ids, changes, generate)
            step(1)
    kl, losses = _moved(before, after, ids)
    found = EditedRun(
        prompt=prompt,
        token_ids=ids,
        tokens=display_tokens(model, ids),
        edits=names_of(changes),
        pos=at,
        candidates=_candidates(model, _log_probs(before[at]), _log_probs(after[at]), k),
        kl=kl,
        loss_before=losses[0],
        loss_after=losses[1],
        text_before=texts.clean.text if texts else None,
        text_after=texts.edited.text if texts else None,
    )
    return came_from(found, model)


@torch.no_grad()
def _logits(model: "TransformerBridge", ids: list[int], changes: Sequence[Any]) -> Float[Tensor, "pos d_vocab"]:
    tokens = torch.tensor([ids], device=model.W_E.device)
    with intervene(model, changes):
        return model(tokens)[0]


def _log_probs(logits: Float[Tensor, "*pos d_vocab"]) -> Float[Tensor, "*pos d_vocab"]:
    return logits.double().log_softmax(-1).cpu()


def _moved(
    before: Float[Tensor, "pos d_vocab"], after: Float[Tensor, "pos d_vocab"], ids: list[int]
) -> tuple[Float[np.ndarray, " pos"], list[Float[np.ndarray, " pos"]]]:
    """KL at every position, and the loss of every token in both runs; some positions at a time, because a long prompt's
    distributions in double precision would take several times the model."""
    chunk, kl = max(1, TABLE // before.shape[-1]), np.zeros(len(ids))
    losses = [np.full(len(ids), np.nan) for _ in range(2)]
    for start in range(0, len(ids), chunk):
        logs = [_log_probs(one[start : start + chunk]) for one in (before, after)]
        kl[start : start + chunk] = (logs[0].exp() * (logs[0] - logs[1])).sum(-1).clamp_min(0).numpy()
        following = torch.tensor(ids[start + 1 : start + chunk + 1], dtype=torch.long)[:, None]
        for loss, own in zip(losses, logs, strict=True):
            loss[start + 1 : start + 1 + len(following)] = -own[: len(following)].gather(1, following)[:, 0].numpy()
    return kl, losses


def _candidates(
    model: "TransformerBridge", before: Float[Tensor, " d_vocab"], after: Float[Tensor, " d_vocab"], k: int
) -> list[Candidate]:
    k = min(k, len(before))
    union = list(dict.fromkeys([*before.topk(k).indices.tolist(), *after.topk(k).indices.tolist()]))
    union.sort(key=lambda i: -max(float(before[i]), float(after[i])))
    words = display_tokens(model, union)
    means = before.mean(), after.mean()
    return [
        Candidate(
            i,
            word,
            float(before[i].exp()),
            float(after[i].exp()),
            float(before[i] - means[0]),
            float(after[i] - means[1]),
        )
        for i, word in zip(union, words, strict=True)
    ]
