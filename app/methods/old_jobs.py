"""Jobs of before that a method does now: rows that name the tasks of then start the method's call of the same question; a run
of then that is kept is shown."""

from typing import Any

from app.components.parts import Parts, panel
from app.figures.dress import worn
from app.jobs import work
from app.jobs.repeat_job import Arguments, prompt_in, task, whole, whole_or_none
from app.jobs.work import submit
from app.library.models import require_offered
from app.library.units import PageUnit, unit_of
from app.methods.drawing import Look, drawn_panels
from app.methods.method_jobs import work_of
from circuits.attribution.traced_again import asked_before
from probe.interventions.change_text import WORDS, written
from probe.methods.call import Call
from probe.model.unit_names import unit_name


def _unit(arguments: Arguments) -> PageUnit:
    """The unit of a row, of a model that is offered."""
    found = unit_of(arguments["unit"])
    require_offered(found.model)
    return found


@task("unit-weights")
def _weights(arguments: Arguments) -> None:
    found = _unit(arguments)
    submit(work_of(Call.checked("unit-by-weights", found.model, found.named)))


@task("unit-text")
def _text(arguments: Arguments) -> None:
    found = _unit(arguments)
    submit(work_of(Call.checked("unit-on-text", found.model, {"text": prompt_in(arguments).text, **found.named})))


@task("unit-edit")
def _edit(arguments: Arguments) -> None:
    found, pos = _unit(arguments), whole_or_none(arguments, "pos")
    (generate,) = whole(arguments, "generate")
    how = WORDS.get(arguments["mode"], arguments["mode"])
    learned = {"dictionaries": [found.dictionary]} if found.dictionary else {}
    changes = {"changes": [written(how, arguments["amount"], found.name, pos)], "generate": generate}
    submit(work_of(Call.checked("edit", found.model, {"prompt": prompt_in(arguments).text, **changes, **learned})))


@task("lens")
def _lens(arguments: Arguments) -> None:
    asked = {"prompt": prompt_in(arguments).text}
    submit(work_of(Call.checked("logit-lens", require_offered(arguments["model"]), asked)))


@task("follow")
def _follow(arguments: Arguments) -> None:
    token = arguments["token"] if isinstance(arguments["token"], str) else whole(arguments, "token")[0]
    asked = {"prompt": prompt_in(arguments).text, "target": [token, "next" if token == "final" else "final"]}
    submit(work_of(Call.checked("follow-token", require_offered(arguments["model"]), asked)))


@task("trace")
def _trace(arguments: Arguments) -> None:
    asked = {"prompt": prompt_in(arguments).text, **asked_before(arguments)}
    asked["dictionaries"] = arguments.get("dictionaries") or []
    submit(work_of(Call.checked("trace", require_offered(arguments["model"]), asked)))


@task("without-head")
def _without_head(arguments: Arguments) -> None:
    layer, head, at = whole(arguments, "layer", "head", "at")
    how = "mean" if arguments["how"] == "mean" else "ablate"
    change = written(how, None, unit_name("head", layer, head), whole_or_none(arguments, "pos"))
    asked = {"prompt": prompt_in(arguments).text, "changes": [change], "pos": at}
    submit(work_of(Call.checked("edit", require_offered(arguments["model"]), asked)))


@task("measure")
def _measure(arguments: Arguments) -> None:
    what, cache = arguments["what"], arguments.get("cache")
    asked = {"dictionary" if isinstance(what, str) else "layer": what, **({"cache": cache} if cache else {})}
    submit(work_of(Call.checked("measure-units", require_offered(arguments["model"]), asked)))


task("table")(_measure)  # what rows of before call a measuring on a stored cache


def run_of_before(key: str | None) -> Parts:
    """The run that an address of before names, where it is kept."""
    found: Any = work.result(work.given(key, "edit"))
    return [] if found is None else [panel("A run of before", drawn_panels(found, "", Look(worn()), at="before"))]
