"""What the patching page shows, as it stands in its address: a pair of prompts, what is measured, a sweep. Starts no torch."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app import links
from app.jobs import work
from app.jobs.readings import patterns_work
from app.jobs.repeat_job import Arguments, task
from app.library import prompts
from app.library.models import MODELS, first_model, models, require_offered
from app.methods.method_jobs import call_that_made, keep_in_memory, work_of
from circuits.patching.kinds import METRICS
from probe.artifacts.json import Json
from probe.errors import BadInput
from probe.methods.call import Call
from probe.methods.catalogue import method_named
from probe.methods.kinds import KINDS
from probe.tasks.examples import EXAMPLES

if TYPE_CHECKING:
    from circuits.patching.record import PatchingSweep
    from circuits.patching.sides import Pair

DRAWS = 5
"""Unrelated donors of the null control that an address of before asks for."""
TOKEN = KINDS["Token"]
PAIR, SWEEP, EXAMPLE = "pair", "sweep", "example"
"""Keys of an address: of the result shown of either, and the number of a built-in pair."""
SIDES = ("clean", "corrupted")


@dataclass(frozen=True)
class Asked:
    """pair: what `patch-pair` is asked, by parameter, as far as it is known. swept: what a sweep is asked beside that, empty
    where none is asked for."""

    model: str = MODELS[0]
    pair: Json = field(default_factory=dict)
    swept: Json = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return all(side in self.pair for side in SIDES)

    def runs(self) -> Call:
        """The two runs."""
        return Call.checked("patch-pair", self.model, self.pair)

    def sweep(self) -> Call:
        """The sweep between them."""
        return Call.checked("patch", self.model, {**self.pair, **self.swept})

    def address(self, **shown: object) -> str:
        """The page that shows this. shown: keys of results, the selected cell."""
        target = self.pair.get("target")
        answers = (target["token"], target["other"]) if isinstance(target, dict) else (target, None)
        right, wrong = (None if one is None else TOKEN.text(one) for one in answers)
        own = {"right": right, "wrong": wrong, "metric": self.pair.get("metric"), "over": self.swept.get("over")}
        own |= {"dir": self.swept.get("direction"), "control": self.swept.get("control"), **shown}
        ids = [prompts.store(self.pair[side], self.model).id if side in self.pair else None for side in SIDES]
        return links.patching_page(self.model, *ids, **own)


def asked_in(query: dict[str, str]) -> Asked:
    """What an address asks for: what the results that it names were asked, else what it says. BadInput for a model, a sweep or an
    answer that cannot be."""
    model = require_offered(query.get("m") or MODELS[0])
    for key in (query.get(PAIR), query.get(SWEEP)):
        call = call_that_made(work.result(key[:80])) if key else None
        if call is not None:
            asked = {p.name: call.arguments[p.name] for p in _ABOUT.parameters if p.name in call.arguments}
            return Asked(require_offered(call.model), asked)
    if query.get(EXAMPLE, "").isdecimal() and int(query[EXAMPLE][:3]) < len(EXAMPLES):
        one = EXAMPLES[int(query[EXAMPLE][:3])]
        target = {"token": one.right, "other": one.wrong}
        return Asked(model, {"clean": one.clean, "corrupted": one.corrupted, "target": target}, _swept(query))
    other = query.get("corrupted") or (query["c"] if len(query.get("c", "")) == 12 else "")  # of before: c
    texts = {side: prompts.load(one).text for side, one in zip(SIDES, (query.get("p"), other), strict=True) if one}
    measured, swept = measured_in(query), _swept(query)
    Call.checked("patch", model, {"clean": "-", "corrupted": "-", **measured, **swept})  # before anything is laid out
    return Asked(model, {**texts, **measured}, swept)


_ABOUT = method_named("patch-pair")


def _swept(query: dict[str, str]) -> Json:
    if not query.get("over"):
        return {}
    found: Json = {"over": query["over"], **({"direction": query["dir"]} if query.get("dir") else {})}
    if query.get("control", "").isdecimal():
        found["control"] = DRAWS if query["control"] == "1" else int(query["control"][:6])  # of before: 1 is yes
    return found


def measured_in(query: dict[str, str]) -> Json:
    """Target and metric of an address. BadInput where they do not go together."""
    right, wrong = (TOKEN.parse(query[side]) if query.get(side) else None for side in ("right", "wrong"))
    metric = query.get("metric") or "logit_diff"
    found: Json = {} if metric == "logit_diff" else {"metric": metric}
    if right is None and wrong is not None:
        raise BadInput("Only the wrong answer is named. Name the right one too, or neither.")
    if right is None:
        return found
    if wrong is None and metric == "logit_diff":
        raise BadInput("A logit difference needs a right and a wrong answer. Name both, or neither.")
    return {**found, "target": right if wrong is None else {"token": right, "other": wrong}}


def asked_of(record: "PatchingSweep | Pair", model: str = "") -> Asked:
    """What a record was asked."""
    pair: Any = getattr(record, "pair", record)
    model = model or (pair.model.name if pair.model.name in models() else first_model())
    given = [*(pair.answers if pair.answers_given else []), None, None][:2]
    target = given[0] if given[1] is None else dict(zip(("token", "other"), given, strict=True))
    measured = {**({"target": target} if target else {}), **({"metric": pair.metric} if pair.metric in METRICS else {})}
    texts = {side: getattr(pair, side).prompt for side in SIDES}
    asked = Asked(model, {**texts, **{name: value for name, value in measured.items() if value != "logit_diff"}})
    if pair is record:
        return asked
    control = {"control": len(record.control.raw)} if record.control is not None else {}
    return replace(asked, swept={"over": record.over, "direction": record.direction, **control})


def page_of(record: "PatchingSweep | Pair", model: str, keep: bool) -> str:
    """The page that shows a record. keep: whether it is what the page would find too."""
    asked = asked_of(record, model)
    shown = {SWEEP: keep_in_memory(asked.sweep(), record)} if keep and asked.swept else {}
    return asked.address(**shown)


# -- jobs of before ----------------------------------------------------------------------------------------------------------


@task("patterns")
def _patterns_again(arguments: Arguments) -> None:
    """The attention of both prompts, which are read one by one now."""
    for side in SIDES:
        work.submit(patterns_work(arguments["model"], prompts.store(arguments[side], arguments["model"])))


@task("patch")
def _patch_again(arguments: Arguments) -> None:
    """What the row of a sweep remembers from before it was a declared method, asked of the method."""
    given = {name: str(arguments[name]) for name in ("clean", "corrupted", "right", "wrong", "metric", "over")}
    query = {"m": arguments["model"], "p": given.pop("clean"), "corrupted": given.pop("corrupted"), **given}
    asked = asked_in({**query, "dir": str(arguments["direction"]), "control": "1" if arguments["control"] else ""})
    work.submit(work_of(asked.sweep() if asked.swept else asked.runs()))
