"""Two prompts made ready for patching: tokens beside each other, what each run predicts, the metric's value in both.

A patch copies position p of one run to position p of the other, so the prompts must have equally many tokens; `read_pair` says
where they part when they have not. Its record tells a problem instead of raising it, so that a page can show the tokens.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.patching.kinds import METRICS
from circuits.patching.sides import Pair, Side
from probe.errors import BadInput
from probe.models import stamp
from probe.opening import came_from
from probe.token_text import display_tokens, tokenizer_of
from probe.tokens import encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Custom = Callable[[Float[Tensor, "row d_vocab"]], Float[Tensor, " row"]]
TOP = 6
"""Likeliest next tokens kept of each run."""


@torch.no_grad()
def read_pair(
    model: "TransformerBridge",
    clean: str,
    corrupted: str,
    *,
    answers: Sequence[str | int] | None = None,
    metric: str | Custom = "logit_diff",
) -> Pair:
    """Both prompts run once. Raises BadInput for a metric or an answer that cannot be; a pair that does not fit says so."""
    if isinstance(metric, str) and metric not in METRICS:
        raise BadInput(f"There is no metric '{metric}'; choose {', '.join(METRICS)}, or give a function of the logits.")
    texts, ids = (clean, corrupted), [encode_prompt(model, t) for t in (clean, corrupted)]
    logits = [last_logits(model, i) for i in ids]
    given = [answer_id(model, a, logits[0]) for a in answers or ()]
    chosen = _chosen(metric, given, logits)
    value = scorer(metric, chosen, logits[0])
    sides = []
    for text, own, found in zip(texts, ids, logits, strict=True):
        probs = found.softmax(-1)
        best = probs.topk(min(TOP, len(probs)))
        words = display_tokens(model, best.indices.tolist())
        top = list(zip(words, best.values.tolist(), strict=True))
        score = float(value(found[None])[0])
        sides.append(Side(text, own, display_tokens(model, own), top, probs[chosen].tolist(), score))
    named = display_tokens(model, chosen)
    problem = _problem(sides[0], sides[1], logits, chosen, named, metric)
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "custom")
    pair = Pair(
        stamp(model),
        *sides,
        metric=name,
        answers=named,
        answer_ids=chosen,
        answers_given=bool(given),
        differs=[i for i, (a, b) in enumerate(zip(*ids, strict=False)) if a != b],
        problem=problem,
        note=_note(model, answers, logits[0]),
    )
    return came_from(pair, model)


def last_logits(model: "TransformerBridge", ids: list[int]) -> Float[Tensor, " d_vocab"]:
    """What is predicted after the last token, in float64 on the CPU."""
    return model(torch.tensor([ids], device=model.W_E.device))[0, -1].double().cpu()


def answer_id(model: "TransformerBridge", answer: str | int, clean: Float[Tensor, " d_vocab"]) -> int:
    """The one token that an answer is. BadInput names the pieces of an answer that is several."""
    if isinstance(answer, int):
        if not 0 <= answer < len(clean):
            raise BadInput(f"There is no token {answer}; this model has tokens 0 to {len(clean) - 1}.")
        return answer
    if not answer:
        raise BadInput("An answer is empty. Name one token, like ' Mary' with its space.")
    pieces = _pieces(model, answer)
    if len(pieces) == 1:
        return pieces[0]
    spaced = (
        ""
        if answer.startswith(" ") or len(_pieces(model, " " + answer)) != 1
        else f" ' {answer}', with a space, is one."
    )
    listed = ", ".join(repr(t) for t in display_tokens(model, pieces))
    raise BadInput(
        f"The answer {answer!r} is {len(pieces)} tokens ({listed}), and one was wanted.{spaced} "
        "Name the first piece, or another answer."
    )


def _pieces(model: "TransformerBridge", text: str) -> list[int]:
    return list(tokenizer_of(model)(text, add_special_tokens=False, verbose=False)["input_ids"])


def _chosen(metric: str | Custom, given: list[int], logits: list[Float[Tensor, " d_vocab"]]) -> list[int]:
    """Answers that the metric needs: those given, else what each run itself finds likeliest."""
    needed = {"logit_diff": 2, "log_prob": 1}.get(metric, 0) if isinstance(metric, str) else 0
    if given and len(given) < needed:
        raise BadInput("A logit difference needs two answers, the right and the wrong one; one was given.")
    return (given or [int(found.argmax()) for found in logits])[:needed]


def scorer(metric: str | Custom, answers: list[int], clean: Float[Tensor, " d_vocab"]) -> Custom:
    """The metric as a function of the logits of several runs at the last position."""
    if not isinstance(metric, str):
        return lambda logits: torch.as_tensor(metric(logits)).double()
    if metric == "logit_diff":
        right, wrong = answers
        return lambda logits: logits[:, right] - logits[:, wrong]
    if metric == "log_prob":
        return lambda logits: logits.log_softmax(-1)[:, answers[0]]
    reference = clean.log_softmax(-1)
    return lambda logits: (reference.exp() * (reference - logits.log_softmax(-1))).sum(-1)


def _problem(
    clean: Side,
    corrupted: Side,
    logits: list[Float[Tensor, " d_vocab"]],
    answers: list[int],
    named: list[str],
    metric: Any,
) -> str:
    """Why these two cannot be patched into each other, with what to do; "" where they can."""
    if clean.token_ids == corrupted.token_ids:
        return "Both prompts are the same tokens, so there is nothing to patch. Change a word in one of them."
    if len(clean.token_ids) != len(corrupted.token_ids):
        return _lengths(clean, corrupted)
    if metric == "logit_diff" and answers[0] == answers[1]:
        return (
            f"Both answers are {named[0]!r}, so their logits do not differ. Name a right and a wrong answer, "
            "like ' Mary' and ' John', or choose another metric."
        )
    if torch.equal(logits[0], logits[1]):
        return "Both runs predict exactly the same, so no patch can matter. Choose prompts that call for different answers."
    size = max(1.0, abs(clean.value), abs(corrupted.value))
    if not abs(clean.value - corrupted.value) > 1e-9 * size:  # also NaN
        return (
            f"The metric is {clean.value:.6g} in the clean and {corrupted.value:.6g} in the corrupted run, so there is no "
            "difference to restore. Choose other answers or another metric."
        )
    return ""


def _lengths(clean: Side, corrupted: Side) -> str:
    n, m = len(clean.tokens), len(corrupted.tokens)
    at = next(
        (i for i, (a, b) in enumerate(zip(clean.token_ids, corrupted.token_ids, strict=False)) if a != b), min(n, m)
    )
    words = [repr(s.tokens[at]) if at < len(s.tokens) else "the end" for s in (clean, corrupted)]
    return (
        f"The clean prompt has {n} tokens and the corrupted one {m}; patching needs equally many, because a position is put in "
        f"the place of the same position. They first differ at position {at}: {words[0]} and {words[1]}. "
        "Choose words with the same number of tokens there."
    )


def _note(model: "TransformerBridge", answers: Sequence[str | int] | None, clean: Float[Tensor, " d_vocab"]) -> str:
    """The usual slip: an answer written without the space that the model would write."""
    chance = clean.softmax(-1)
    for answer in answers or ():
        if isinstance(answer, str) and not answer.startswith(" ") and len(spaced := _pieces(model, " " + answer)) == 1:
            own = _pieces(model, answer)
            if len(own) == 1 and chance[spaced[0]] > 10 * chance[own[0]]:
                return (
                    f"The model is likelier to write ' {answer}' with a space than {answer!r}; did you mean that token?"
                )
    return ""
