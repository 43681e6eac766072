"""The sums a model is asked, and what else: other operators, other forms, a story, and a task that is no arithmetic.

Of every task half of the pairs are looked at, the other half is what claims are tried on. Corrupted prompts have another second
number (another country), so both prompts of a pair are of equal length, and so are all pairs of a task.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from probe.errors import BadInput
from probe.tasks.chance import require_done
from probe.tasks.pairs import Pairs, task_pairs
from probe.text.prompts import encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

STUDIED = "+"
SHOTS, N, CHECKED = 1, 12, 32
"""Worked examples before a question; pairs of each task, half of them to look at; pairs by which it is seen whether a model does
it."""
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    STUDIED: ("arithmetic", {"operators": ("+",), "shots": SHOTS}),
    "-": ("arithmetic", {"operators": ("-",), "shots": SHOTS}),
    "*": ("arithmetic", {"operators": ("*",), "shots": SHOTS}),
    "words": ("arithmetic", {"form": "words", "shots": SHOTS}),
    "question": ("arithmetic", {"form": "question", "shots": SHOTS}),
    "story": ("arithmetic", {"form": "story", "shots": SHOTS}),
    "capitals": ("capitals", {"templates": ("is",)}),
}
OPERATORS, FORMS, STORIES, OTHER = ("-", "*"), ("words", "question"), ("story",), "capitals"
MIXED: tuple[str, dict[str, Any]] = ("arithmetic", {"operators": ("+", "-", "*"), "shots": 1})
"""What heads are trained on."""
N_TRAINED, N_TESTED = 48, 32


@dataclass(frozen=True)
class Asked:
    """A task's pairs: those that are looked at, and those that claims are tried on."""

    seen: Pairs
    left: Pairs


def asked(model: "TransformerBridge", name: str) -> Asked:
    """One of `TASKS`. BadInput where the model does not do it."""
    task, settings = TASKS[name]
    drawn = task_pairs(model, task, 2 * CHECKED if task == "capitals" else CHECKED, **settings)
    pairs = drawn.some(max(drawn.groups(len(drawn)), key=len)[:CHECKED])
    if len(pairs) < N:
        raise BadInput(f"Only {len(pairs)} of {N} pairs of {name} have prompts of one length on this model.")
    require_done(model, f"the task {name}", right_of(model, pairs))
    return Asked(pairs.some(range(N // 2)), pairs.some(range(N // 2, N)))


def those_done(model: "TransformerBridge", names: tuple[str, ...]) -> tuple[dict[str, Asked], dict[str, str]]:
    """Of some tasks those that the model does, and of the others why not."""
    found, refused = {}, {}
    for name in names:
        try:
            found[name] = asked(model, name)
        except BadInput as why:
            refused[name] = str(why)
    return found, refused


@torch.no_grad()
def right_of(model: "TransformerBridge", pairs: Pairs) -> np.ndarray:
    """Whether the right answer is likelier than the corrupted prompt's, pair by pair."""
    logits = model(torch.tensor(pairs.clean, device=model.W_E.device))[:, -1]
    return (pairs.metric(logits, list(range(len(pairs)))) > 0).cpu().numpy()


def for_training(model: "TransformerBridge") -> tuple[Pairs, Pairs]:
    """Pairs of all operators to train on, and others whose questions are none of those."""
    task, settings = MIXED
    drawn = task_pairs(model, task, N_TRAINED + 2 * N_TESTED, seed=1, **settings)
    pairs = drawn.some(max(drawn.groups(len(drawn)), key=len))
    questions = [_question(pairs, i) for i in range(len(pairs))]
    held = set(sorted(set(questions))[::4])
    train, test = ([i for i, q in enumerate(questions) if (q in held) is side] for side in (False, True))
    if len(train) < N_TRAINED // 2 or len(test) < N_TESTED // 4:
        raise BadInput("Too few sums of one length could be written for this model to train heads and test them.")
    return pairs.some(train[:N_TRAINED]), pairs.some(test[:N_TESTED])


def _question(pairs: Pairs, i: int) -> str:
    start, stop = pairs.examples[i].segments["question"]
    return pairs.examples[i].clean[start:stop]


def of_question(model: "TransformerBridge", pairs: Pairs) -> list[list[int]]:
    """Positions of each question's operands and operator. BadInput where tokens do not keep to where it begins and ends."""
    found = []
    for ids, example in zip(pairs.clean, pairs.examples, strict=True):
        start, stop = example.segments["question"]
        ends = [encode_prompt(model, example.clean[:end]) for end in (start, stop - len(" ="))]
        if any(ids[: len(end)] != end for end in ends):
            raise BadInput("This model's tokenizer joins a sum's numbers with what stands beside them.")
        found.append(list(range(len(ends[0]), len(ends[1]))))
    return found


Choose = Callable[[np.random.Generator], list[tuple[int, int]]]
"""Draws a random set of heads."""
