"""What a model writes with some units changed: the same prompt continued twice, without the edits and with them.

Both continuations are greedy, or drawn with the same random numbers: the next token is the first at which the cumulative
probability passes the step's number. So the texts differ only where the edits made them differ. Keys and values are kept where
the model can; edits at positions of the prompt then act when the prompt is read, and open-ended ones on every new token too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.interventions.changes import names_of, read_changes
from probe.interventions.running import intervene
from probe.model.key_value_cache import NextToken
from probe.show.opening import came_from
from probe.show.record import Record
from probe.show.values import quoted
from probe.text.display import decoded, end_tokens
from probe.text.prompts import Prompt, read_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Continuation(Record):
    """Generated tokens, each with its probability in this run and, where the texts before it agree, in the other."""

    text: str
    ids: list[int]
    tokens: list[str]
    probability: list[float]
    in_other_run: list[float | None]


@dataclass(frozen=True, kw_only=True)
class Generations(Record, figure=True, page=True):
    """One prompt continued without edits (`clean`) and with them (`edited`). differs_at: first position of the whole text that
    differs, or None. kl: of the first new token's distribution, from the clean run's, in nats."""

    prompt: str
    prompt_tokens: list[str]
    edits: list[str]
    clean: Continuation
    edited: Continuation
    differs_at: int | None
    kl: float
    seed: int | None

    def rows(self) -> list[dict[str, Any]]:
        """One row a new token."""
        found = []
        for i in range(max(len(self.clean.ids), len(self.edited.ids))):
            row: dict[str, Any] = {"position": len(self.prompt_tokens) + i}
            for name, run in (("without", self.clean), ("with", self.edited)):
                there = i < len(run.ids)
                row[name] = run.tokens[i] if there else ""
                row[f"p {name}"] = run.probability[i] if there else None
            found.append(row)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def summary(self) -> str:
        """One sentence: both continuations."""
        done = ", ".join(self.edits) or "no edit"
        return f"{quoted(self.prompt)} goes on {quoted(self.clean.text)}; with {done} {quoted(self.edited.text)}."


def generate_with(
    model: "TransformerBridge",
    prompt: Prompt,
    edits: Sequence[Any],
    max_new_tokens: int = 20,
    seed: int | None = None,
    *,
    temperature: float = 1.0,
    dictionaries: Sequence[Any] = (),
) -> Generations:
    """Continue a prompt without and with `edits` (anything `intervene` takes; dictionaries: those that named latents belong to).

    seed: None takes the likeliest token each time; a number draws at `temperature`. Both end at an end-of-text token. Raises
    BadInput for a prompt that leaves no room, OpenworkError if an edit never fired.

    >>> told = ow.generate_with(model, "When Mary and John went to", ["ablate:L1H0"], max_new_tokens=4)
    >>> len(told.clean.ids), len(told.edited.ids)
    (4, 4)
    """
    from probe.text.tokens import display_tokens

    prompt, ids = read_prompt(model, prompt)
    room = int(model.cfg.n_ctx) - len(ids)
    if not 1 <= max_new_tokens <= room or not temperature > 0:
        raise BadInput(
            f"{max_new_tokens} new tokens at temperature {temperature} were asked for; after this prompt there is room for 1 to "
            f"{room}, and the temperature must be above 0."
        )
    numbers = _numbers(max_new_tokens, seed)
    edits = read_changes(model, edits, dictionaries, ids)
    clean = _continue(model, ids, numbers, temperature)
    with intervene(model, edits):
        edited = _continue(model, ids, numbers, temperature)
    same = next(
        (i for i, (a, b) in enumerate(zip(clean.ids, edited.ids)) if a != b), min(len(clean.ids), len(edited.ids))
    )
    differs = None if clean.ids == edited.ids else len(ids) + same
    p, q = clean.log_probs[0], edited.log_probs[0]
    found = Generations(
        prompt=prompt,
        prompt_tokens=display_tokens(model, ids),
        edits=names_of(edits),
        clean=_told(model, clean, edited, same),
        edited=_told(model, edited, clean, same),
        differs_at=differs,
        kl=max(float((p.exp() * (p - q)).sum()), 0.0),
        seed=seed,
    )
    return came_from(found, model)


@dataclass(frozen=True)
class _Run:
    ids: list[int]
    log_probs: list[Float[Tensor, " d_vocab"]]


def _numbers(n: int, seed: int | None) -> list[float | None]:
    """A uniform number for each step; None where the likeliest token is taken."""
    if seed is None:
        return [None] * n
    return list(torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).tolist())


def _continue(
    model: "TransformerBridge", prompt: list[int], numbers: Sequence[float | None], temperature: float
) -> _Run:
    ends, found, predict = end_tokens(model), _Run([], []), NextToken(model)
    ids = torch.tensor([prompt], device=model.cfg.device)
    for number in numbers:
        found.log_probs.append(predict(ids)[0].double().log_softmax(-1).cpu())
        found.ids.append(_next(found.log_probs[-1], number, temperature))
        if found.ids[-1] in ends:
            break
        ids = torch.cat([ids, ids.new_tensor([[found.ids[-1]]])], 1)
    return found


def _next(log_probs: Float[Tensor, " d_vocab"], number: float | None, temperature: float) -> int:
    if number is None:
        return int(log_probs.argmax())
    total = (log_probs / temperature).softmax(-1).cumsum(-1)
    at = total.new_tensor(number) * total[-1]  # scaled by the sum, which is 1 but for rounding
    return min(int(torch.searchsorted(total, at, right=True)), len(total) - 1)


def _told(model: "TransformerBridge", run: _Run, other: _Run, same: int) -> Continuation:
    """A run's tokens as people read them. Up to the first difference both runs read the same text."""
    from probe.text.tokens import display_tokens

    there = [i <= same and i < len(other.log_probs) for i in range(len(run.ids))]
    return Continuation(
        decoded(model, run.ids),
        run.ids,
        display_tokens(model, run.ids),
        [float(x[i].exp()) for x, i in zip(run.log_probs, run.ids, strict=True)],
        [float(other.log_probs[k][i].exp()) if there[k] else None for k, i in enumerate(run.ids)],
    )
