"""The way back: ended jobs that run again, also after a restart, from the task and the arguments that their rows remember.

A row is a file, so what it holds is checked like an address: models are those that are offered, prompts and artifacts those that
are stored, and what is of no use is refused with a sentence before anything is queued.
"""

from collections.abc import Callable
from typing import Any

from app.jobs import demo, measuring, readings, work
from app.jobs import table as jobs
from app.library import prompts
from app.library.models import models, require_offered
from app.library.trace_asked import TraceAsked
from app.pages.heads import work as head_work
from app.pages.lens import work as lens_work
from app.pages.patching import work as patching_state
from app.pages.prompt import work as prompt_work
from app.pages.training import work as trainings
from app.pages.unit import address
from app.pages.unit import work as unit_work
from app.pages.unit_browser import work as unit_browser_work
from probe.errors import BadInput, OpenworkError

Arguments = dict[str, Any]


def can_repeat(job: jobs.Job) -> bool:
    """Can this ended job be run again?"""
    return not job.active and (jobs.table().can_repeat(job) or bool(job.again and job.again[0] in AGAIN))


def repeat(job_id: str) -> None:
    """Run an ended job again: with its work where that is in memory, else from what its file remembers."""
    job = jobs.table().get(job_id)
    if job is None or not can_repeat(job):
        raise BadInput("This job cannot be run again from here; start it from its page.")
    if jobs.table().repeat(job_id) is None:
        _remade(job)


def _remade(job: jobs.Job) -> None:
    task, arguments = job.again
    if "model" in arguments and arguments["model"] not in models():
        raise BadInput("The model of this job is not among those known here; start it from its page.")
    try:
        AGAIN[task](arguments)
    except OpenworkError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput("What this job's file remembers is damaged; start it from its page.") from error


# -- what rows remember ----------------------------------------------------------------------------------------------------


def _whole(a: Arguments, *names: str) -> list[int]:
    """Whole numbers. TypeError where something else is there."""
    found = [a[name] for name in names]
    if not all(type(n) is int for n in found):
        raise TypeError(f"{', '.join(names)} must be whole numbers")
    return found


def _perhaps(a: Arguments, name: str) -> int | None:
    """A whole number, or None."""
    return None if a[name] is None else _whole(a, name)[0]


def _prompt(a: Arguments, name: str = "prompt") -> prompts.Prompt:
    return prompts.load(a[name])


def _unit(a: Arguments) -> address.Looked:
    """The unit, of a model that is offered."""
    found = address.looked_again(a["unit"])
    require_offered(found.model)
    return found


# -- the tasks -------------------------------------------------------------------------------------------------------------


def _traced(a: Arguments) -> None:
    prompt_work.start_trace(a["model"], _prompt(a).text, TraceAsked.of(a))


def _tested(a: Arguments) -> None:
    from app.pages.circuit import validation as graph_testing

    graph_testing.start(a["name"], a["of"], a["nodes"], a["options"], bool(a["enough"]))


def _grouped(a: Arguments) -> None:
    from app.pages.circuit import editing as graph_editing

    graph_editing.start_suggestions(a["name"], a["of"], a["among"])


def _compared(a: Arguments) -> None:
    from app.pages.circuit_list import compare as graphs_beside

    graphs_beside.asked(a["name"], a["other"], a["match"])


def _beside(a: Arguments) -> None:
    from app.pages.compare_prompts.work import comparing

    work.submit(comparing(a["model"], _prompt(a, "a"), _prompt(a, "b")))


def _patched(a: Arguments) -> None:
    asked = patching_state.checked(patching_state.Asked(**{**a, "control": bool(a["control"])}))
    (patching_state.start_sweep if asked.over else patching_state.start_pair)(asked)


def _patterns(a: Arguments) -> None:
    if not all(isinstance(a[side], str) and a[side].strip() for side in ("clean", "corrupted")):
        raise TypeError("two texts were wanted")
    patching_state.start_patterns(a["model"], a["clean"], a["corrupted"])


def _head_scores(a: Arguments) -> None:
    work.submit(head_work.scores_work(a["model"], _prompt(a), _perhaps(a, "target")))


def _head(a: Arguments) -> None:
    layer, head = _whole(a, "layer", "head")
    work.submit(head_work.reading_work(a["model"], _prompt(a), layer, head, _perhaps(a, "target")))


def _without_head(a: Arguments) -> None:
    layer, head, at = _whole(a, "layer", "head", "at")
    made = head_work.ablation_work(a["model"], _prompt(a), layer, head, a["how"], _perhaps(a, "pos"), at)
    work.submit(made)


def _followed(a: Arguments) -> None:
    token = a["token"] if isinstance(a["token"], str) else _whole(a, "token")[0]
    work.submit(lens_work.follow_work(a["model"], _prompt(a), token))


def _judged(a: Arguments) -> None:
    trainings.judging(trainings.run_of(a["name"]), a["cache"], *_whole(a, "max_tokens"))


def _unit_weights(a: Arguments) -> None:
    found = _unit(a)
    work.submit(unit_work.weights_work(found, found.href()))


def _unit_text(a: Arguments) -> None:
    found, prompt = _unit(a), _prompt(a)
    work.submit(unit_work.text_work(found, prompt.text, found.href(prompt=prompt.id)))


def _unit_edit(a: Arguments) -> None:
    (generate,) = _whole(a, "generate")
    text, pos = _prompt(a).text, _perhaps(a, "pos")
    work.submit(unit_work.edit_work(_unit(a), text, a["mode"], a["amount"], pos, generate))


AGAIN: dict[str, Callable[[Arguments], Any]] = {
    "read": lambda a: readings.start_reading(a["model"], _prompt(a)),
    "trace": _traced,
    "demo": lambda a: demo.start_demo(a["name"]),
    "measure": lambda a: measuring.start(a["model"], a["what"]),
    "train": lambda a: trainings.resume(a["name"]),
    "plan": lambda a: work.submit(trainings.planning(trainings.Asked(**a))),
    "judge": _judged,
    "table": lambda a: unit_browser_work.start_table(a["model"], a["what"], a["cache"]),
    "test": _tested,
    "groups": _grouped,
    "compare": _compared,
    "beside": _beside,
    "patch": _patched,
    "patterns": _patterns,
    "heads": lambda a: work.submit(head_work.patterns_work(a["model"], _prompt(a))),
    "head-scores": _head_scores,
    "head": _head,
    "without-head": _without_head,
    "lens": lambda a: work.submit(lens_work.lens_work(a["model"], _prompt(a))),
    "follow": _followed,
    "unit-weights": _unit_weights,
    "unit-text": _unit_text,
    "unit-edit": _unit_edit,
}
"""Tasks that can be started from what a job's file remembers of them. Whatever is queued names one of them."""
