"""What the patching page shows, as it stands in its address: a pair of prompts, what is measured, a sweep. Starts no torch."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app import links
from app.jobs import readings, work
from app.jobs.again import Arguments, task
from app.library import prompts
from app.library.models import MODELS, first_model, models, require_offered
from app.methods.work import key_for, work_of
from circuits.patching.kinds import METRICS
from probe.artifacts.json import Json
from probe.errors import BadInput
from probe.methods.call import Call
from probe.methods.kinds import KINDS
from probe.progress import Progress
from probe.show.made import made_by, remember

if TYPE_CHECKING:
    from circuits.patching.record import PatchingSweep
    from circuits.patching.sides import Pair

DRAWS = 5
"""Unrelated donors of the null control that an address of before asks for."""
TOKEN = KINDS["Token"]
PAIR, SWEEP = "pair", "sweep"
"""Keys of an address that hold the result shown of either."""


@dataclass(frozen=True)
class Asked:
    """clean, corrupted: ids of prompts, or "". measured: target and metric, plain values of a call; swept: what a sweep was asked
    for beside them, empty where none is asked for."""

    model: str = MODELS[0]
    clean: str = ""
    corrupted: str = ""
    measured: Json = field(default_factory=dict)
    swept: Json = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return bool(self.clean and self.corrupted)

    def texts(self) -> tuple[str, str]:
        """Both prompts."""
        return prompts.load(self.clean).text, prompts.load(self.corrupted).text

    def given(self) -> Json:
        """The arguments of both methods."""
        return {**dict(zip(("clean", "corrupted"), self.texts(), strict=True)), **self.measured}

    def pair(self) -> Call:
        """The two runs."""
        return Call.checked("patch-pair", self.model, self.given())

    def sweep(self) -> Call:
        """The sweep between them."""
        return Call.checked("patch", self.model, {**self.given(), **self.swept})

    def address(self, **shown: object) -> str:
        """The page that shows this. shown: keys of results, the selected cell."""
        target = self.measured.get("target")
        sides = (target["token"], target["other"]) if isinstance(target, dict) else (target, None)
        right, wrong = (None if one is None else TOKEN.text(one) for one in sides)
        own = {"right": right, "wrong": wrong, "metric": self.measured.get("metric"), "over": self.swept.get("over")}
        own |= {"dir": self.swept.get("direction"), "control": self.swept.get("control"), **shown}
        return links.patching_page(self.model, self.clean, self.corrupted, **own)


def asked_in(query: dict[str, str]) -> Asked:
    """What an address asks for. BadInput for a model, a sweep or an answer that cannot be."""
    measured, swept = measured_in(query), {"over": query["over"]} if query.get("over") else {}
    if swept and query.get("dir"):
        swept["direction"] = query["dir"]
    if swept and query.get("control", "").isdecimal():
        swept["control"] = DRAWS if query["control"] == "1" else int(query["control"][:6])  # of before: 1 is yes
    model = require_offered(query.get("m") or MODELS[0])
    other = query.get("corrupted") or (query["c"] if len(query.get("c", "")) == 12 else "")
    Call.checked("patch", model, {"clean": "-", "corrupted": "-", **measured, **swept})  # before anything is laid out
    return Asked(model, query.get("p", ""), other, measured, swept)


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
    """What a record was asked; its prompts become prompts of this home, so that they can be opened."""
    pair: Any = getattr(record, "pair", record)
    model = model or (pair.model.name if pair.model.name in models() else first_model())
    ids = [prompts.store(side.prompt, model).id for side in (pair.clean, pair.corrupted)]
    given = [*(pair.answers if pair.answers_given else []), None, None][:2]
    target = given[0] if given[1] is None else dict(zip(("token", "other"), given, strict=True))
    measured = {**({"target": target} if target else {}), **({"metric": pair.metric} if pair.metric in METRICS else {})}
    asked = Asked(model, *ids, {name: value for name, value in measured.items() if value != "logit_diff"})
    if pair is record:
        return asked
    control = {"control": len(record.control.raw)} if record.control is not None else {}
    return replace(asked, swept={"over": record.over, "direction": record.direction, **control})


def page_of(record: "PatchingSweep | Pair", model: str, keep: bool) -> str:
    """The page that shows a record. keep: whether it is what the page would find too."""
    asked = asked_of(record, model)
    if not keep or not asked.swept:
        return asked.address()
    call = asked.sweep()
    if made_by(record) is None:  # Python was given what no call can tell, and the answers say the same
        remember(record, call.to_dict())
    work.keep(key := key_for(call), record)
    return asked.address(**{SWEEP: key})


def start(call: Call) -> str:
    """Queue the work of a call unless its result is there; the key of what it finds."""
    return work.submit(work_of(call))


# -- where a head looks ------------------------------------------------------------------------------------------------------


def start_patterns(model: str, clean: str, corrupted: str) -> str:
    """Queue the attention patterns of both prompts; they are kept as the readings of the prompts."""

    def run(progress: Progress) -> object:
        return tuple(readings.heads(model, text, progress=progress) for text in (clean, corrupted))

    key = work.key_of("patterns", model, clean, corrupted)
    again = ["patterns", {"model": model, "clean": clean, "corrupted": corrupted}]
    title = f"Read the attention of “{clean[:32].strip()}{'…' if len(clean) > 32 else ''}”"
    return work.submit(work.Work(key, title, run, again=again))


@task("patterns")
def _patterns_again(arguments: Arguments) -> None:
    texts = arguments["clean"], arguments["corrupted"]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise TypeError("two texts were wanted")
    start_patterns(arguments["model"], *texts)


@task("patch")
def _patch_again(arguments: Arguments) -> None:
    """A job of before the sweep was a declared method: what its row remembers, asked of the method."""
    given = {name: str(arguments[name]) for name in ("clean", "corrupted", "right", "wrong", "metric", "over")}
    query = {"m": arguments["model"], "p": given.pop("clean"), "corrupted": given.pop("corrupted"), **given}
    asked = asked_in({**query, "dir": str(arguments["direction"]), "control": "1" if arguments["control"] else ""})
    start(asked.sweep() if asked.swept else asked.pair())
