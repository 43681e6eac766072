"""Two prompts made ready for patching: tokens beside each other, what each run predicts, the metric's value in both.

A patch copies position p of one run to position p of the other, so the prompts must have equally many tokens; `read_pair` says
where they part when they have not. Its record tells a problem instead of raising it, so that a page can show the tokens.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.patching.kinds import METRICS, Metric
from circuits.patching.pair_problems import pair_problem
from circuits.patching.sides import Pair, Side
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.model.load import stamp
from probe.show.opening import came_from
from probe.text.display import display_tokens
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Difference, Target, listed, one_target, single, token_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Answers = str | int | Difference | Sequence[str | int]
Custom = Callable[[Float[Tensor, "row d_vocab"]], Float[Tensor, " row"]]
TOP = 6
"""Likeliest next tokens kept of each run."""


@torch.no_grad()
@method("patch-pair", group="circuits")
def read_pair(
    model: "TransformerBridge",
    clean: Annotated[Prompt, Doc("The prompt with the behaviour to explain.")],
    corrupted: Annotated[Prompt, Doc("The same with another answer; it needs equally many tokens.")],
    *,
    target: Annotated[
        Target | Answers | None,
        Doc("The right answer minus the wrong one, one token each; by default what each run says itself."),
    ] = None,
    answers: Annotated[Answers | None, Doc("The same as target.", in_python=True)] = None,
    metric: Annotated[
        Metric | Custom,
        Doc(
            "What is measured after the last token: a logit difference, a log probability, or the KL from the clean run."
        ),
    ] = "logit_diff",
) -> Pair:
    """Two prompts made ready for patching: run once each, tokens beside each other, the metric in both.

    target: what the metric is about, a `Difference` of the right and the wrong token, or two tokens (one, the right one, for
    `log_prob`). Raises BadInput for a metric or a target that cannot be; a pair that does not fit says so.

    >>> pair = ow.read_pair(model, "Mary went to", "John went to", target=ow.Difference(" the", " of"))
    >>> pair.clean.tokens
    ['<bos>', 'Mar', 'y', ' went', ' to']
    """
    if isinstance(metric, str) and metric not in METRICS:
        raise BadInput(f"There is no metric '{metric}'; choose {', '.join(METRICS)}, or give a function of the logits.")
    read = [read_prompt(model, one) for one in (clean, corrupted)]
    texts, ids = [one.text for one in read], [one.ids for one in read]
    asked = answers_of(target, answers)
    logits = [last_logits(model, i) for i in ids]
    given = [token_id(model, a) for a in asked]
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
    problem = pair_problem(sides[0], sides[1], logits, chosen, named, metric)
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
        note=_note(model, asked, logits[0]),
    )
    return came_from(pair, model)


def answers_of(target: Answers | None, answers: Answers | None = None) -> list[str | int]:
    """The tokens of a target as a list, the right one first."""
    given = one_target(target, answers=answers)
    return [given.token, given.other] if isinstance(given, Difference) else listed(given)


def last_logits(model: "TransformerBridge", ids: list[int]) -> Float[Tensor, " d_vocab"]:
    """What is predicted after the last token, in float64 on the CPU."""
    return model(torch.tensor([ids], device=model.W_E.device))[0, -1].double().cpu()


def _chosen(metric: str | Custom, given: list[int], logits: list[Float[Tensor, " d_vocab"]]) -> list[int]:
    """Answers that the metric needs: those given, else what each run itself finds likeliest."""
    needed = {"logit_diff": 2, "log_prob": 1}.get(metric, 0) if isinstance(metric, str) else 0
    if given and len(given) < needed:
        raise BadInput(
            "A logit difference needs two answers, the right and the wrong one, and one was given; write "
            "target=Difference(' Mary', ' John'), in a shell --target and --minus."
        )
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


def _note(model: "TransformerBridge", answers: Sequence[str | int], clean: Float[Tensor, " d_vocab"]) -> str:
    """The usual slip: an answer written without the space that the model would write."""
    chance = clean.softmax(-1)
    for answer in answers:
        if isinstance(answer, str) and not answer.startswith(" "):
            own, spaced = single(model, answer), single(model, " " + answer)
            if own is not None and spaced is not None and chance[spaced] > 10 * chance[own]:
                return (
                    f"The model is likelier to write ' {answer}' with a space than {answer!r}; did you mean that token?"
                )
    return ""
