"""Pairs that circuits are found on, and others that they are looked at on: held out, and of templates that are never seen.

A task's pairs are drawn without the unseen templates, the first of them for the scores; a file's and given pairs are told apart
by the `template` that each example has.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from probe.errors import BadInput, brief, warn
from probe.interventions.ablations import require_lengths
from probe.tasks.catalogue import TaskName, task_named
from probe.tasks.chance import require_task
from probe.tasks.pairs import EVERY, Drawn, Pairs, pairs_of, task_pairs
from probe.tasks.refusals import require_pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class Split:
    """train: for the scores. test: held out. unseen: of other templates; None where none were asked for. reference: all that
    means are taken over."""

    train: Pairs
    test: Pairs
    unseen: Pairs | None
    reference: Pairs


def split_pairs(
    model: "TransformerBridge",
    task: TaskName,
    n: int,
    held_out: int,
    unseen: tuple[str, ...],
    drawn: Drawn,
    at_chance: bool = False,
    ablation: str = "resample",
) -> Split:
    """`n` pairs for scores, the others to look at circuits on. BadInput where they do not suffice, for a task at chance, and
    where an ablation has no value for one of them."""
    seen, other = _pairs(model, task, n + held_out, held_out, unseen, drawn)
    if len(seen) < n + 2:
        raise BadInput(
            f"{counted(len(seen), 'pair')} came and {n} are for the scores, so {max(0, len(seen) - n)} are left to look at "
            "circuits on; at least 2 are needed. Give more pairs, or a smaller n."
        )
    require_pairs(model, seen)
    require_task(model, seen, at_chance)
    test = seen.some(range(n, min(len(seen), n + held_out)))
    if unseen or isinstance(task, Pairs):  # of a file that is too short its reader says so
        _say_fewer(test, held_out)
    if other is not None:
        _say_fewer(other, held_out, " of templates that stay unseen")
    looked = [*test.clean, *(() if other is None else other.clean)]
    require_lengths(ablation, seen.clean, looked)
    return Split(train=seen.some(range(n)), test=test, unseen=other, reference=seen)


def _pairs(
    model: "TransformerBridge", task: TaskName, n: int, held_out: int, unseen: tuple[str, ...], drawn: Drawn
) -> tuple[Pairs, Pairs | None]:
    if not unseen:
        return pairs_of(model, task, n, drawn), None
    named = isinstance(task, str) and not task.endswith(".jsonl")
    if not named:
        every = pairs_of(model, task, EVERY, drawn)
        there = {one.template for one in every.examples}
        _known(unseen, there)
        mine = [one.template in unseen for one in every.examples]
        return (
            every.some([i for i, is_new in enumerate(mine) if not is_new][:n]),
            every.some([i for i, is_new in enumerate(mine) if is_new][:held_out]),
        )
    there = task_named(str(task)).templates
    _known(unseen, set(there))
    settings = {"seed": drawn.seed, "measure": drawn.measure}
    seen = task_pairs(model, task, n, templates=tuple(t for t in there if t not in unseen), **settings)
    return seen, task_pairs(model, task, held_out, templates=unseen, **settings)


def _say_fewer(pairs: Pairs, wanted: int, what: str = "") -> None:
    if len(pairs) < wanted:
        warn(f"Circuits are looked at on {counted(len(pairs), 'pair')}{what}; {wanted:,} were asked for.")


def _known(unseen: tuple[str, ...], there: set[str]) -> None:
    """BadInput for templates that there are not, and where none is left for the scores."""
    if lost := [name for name in unseen if name not in there]:
        said = ", ".join(sorted(name for name in there if name)) or "none: its examples have no `template`"
        raise BadInput(f"There is no template {brief(lost[0])} here; there are {said}.")
    if there <= set(unseen):
        raise BadInput("Every template is to stay unseen, so none is left for the scores. Leave out at least one.")
