"""What the patching page shows, as it stands in its address, and the model work behind it. Starts no torch."""

import shlex
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from app import links
from app.jobs import readings, results, work
from app.jobs.again import Arguments, task
from app.library import models, prompts
from app.library.models import MODELS, require_offered
from circuits.patching.kinds import DIRECTIONS, KINDS, METRICS
from probe.errors import BadInput
from probe.progress import Progress

if TYPE_CHECKING:
    from circuits.patching.record import PatchingSweep


LONGEST = 80
"""Characters of an answer that an address may hold."""
DRAWS = 5
"""Unrelated donors of the null control, where it is asked for."""


@dataclass(frozen=True)
class Asked:
    """clean, corrupted: ids of prompts, or "". right, wrong: answers, "" for each run's own. over: the sweep, or ""."""

    model: str = MODELS[0]
    clean: str = ""
    corrupted: str = ""
    right: str = ""
    wrong: str = ""
    metric: str = "logit_diff"
    over: str = ""
    direction: str = "denoise"
    control: bool = False

    @property
    def complete(self) -> bool:
        return bool(self.clean and self.corrupted)

    def texts(self) -> tuple[str, str]:
        """Both prompts."""
        return prompts.load(self.clean).text, prompts.load(self.corrupted).text

    @property
    def answers(self) -> tuple[str, ...] | None:
        if self.metric == "kl" or not self.right:
            return None
        return (self.right, self.wrong) if self.wrong else (self.right,)

    def address(self, **chosen: object) -> str:
        """The page that shows this."""
        sweep = {"over": self.over, "dir": self.direction, "control": "1" if self.control else ""} if self.over else {}
        metric = "" if self.metric == "logit_diff" else self.metric
        own = {"right": self.right, "wrong": self.wrong, "metric": metric, **sweep, **chosen}
        return links.patching_page(self.model, self.clean, self.corrupted, **own)

    def pair_key(self) -> str:
        return work.key_of("pair", self.model, self.clean, self.corrupted, self.answers, self.metric)

    def key(self) -> str:
        asked = (self.model, self.clean, self.corrupted, self.answers, self.metric)
        return work.key_of("patch", *asked, self.over, self.direction, self.control)


def asked_in(query: dict[str, str]) -> Asked:
    """What an address asks for. BadInput for a model, a sweep or an answer that cannot be."""
    given = {
        name: query[short]
        for name, short in (("right", "right"), ("wrong", "wrong"), ("over", "over"))
        if query.get(short)
    }
    asked = Asked(
        query.get("m") or MODELS[0],
        query.get("p", ""),
        query.get("c", ""),
        metric=query.get("metric") or "logit_diff",
        direction=query.get("dir") or "denoise",
        control=query.get("control") == "1",
        **given,
    )
    require_offered(asked.model)
    return checked(asked)


def checked(asked: Asked) -> Asked:
    """Itself, or BadInput."""
    for value, known in ((asked.over, ("", *KINDS)), (asked.direction, DIRECTIONS), (asked.metric, METRICS)):
        if value not in known:
            raise BadInput(f"'{value[:40]}' is none of {', '.join(k for k in known if k)}.")
    if max(len(asked.right), len(asked.wrong)) > LONGEST:
        raise BadInput("An answer is one token; this one is far longer.")
    if asked.wrong and not asked.right:
        raise BadInput("Only the wrong answer is named. Name the right one too, or neither.")
    if asked.metric == "logit_diff" and asked.right and not asked.wrong:
        raise BadInput("A logit difference needs a right and a wrong answer. Name both, or neither.")
    return asked


def start_pair(asked: Asked) -> str:
    """Queue the two runs unless they are in memory; the key of what they find."""
    clean, corrupted = asked.texts()

    def run(progress: Progress) -> object:
        model = models.model_named(asked.model, progress)
        from circuits.patching.pair import read_pair

        return read_pair(model, clean, corrupted, answers=asked.answers, metric=asked.metric)

    title = f"Compare {named(clean)} and {named(corrupted)}"
    again = ["patch", asdict(replace(asked, over=""))]
    return work.submit(work.Work(asked.pair_key(), title, run, asked.address(), again=again))


def start_sweep(asked: Asked) -> str:
    """Queue the sweep unless it is in memory."""
    clean, corrupted = asked.texts()

    def run(progress: Progress) -> object:
        model = models.model_named(asked.model, progress)
        from circuits.patching.sweep import patch_sweep

        return patch_sweep(
            model,
            clean,
            corrupted,
            answers=asked.answers,
            metric=asked.metric,
            over=asked.over,
            direction=asked.direction,
            control=DRAWS if asked.control else 0,
            progress=progress,
        )

    title = f"Patch {KINDS[asked.over].label} of {named(clean)}"
    options = {**asdict(asked), "clean": clean, "corrupted": corrupted}
    origin = results.Origin((), options, shell_for(asked), lambda: models.stamp_in_memory(asked.model))
    again = ["patch", asdict(asked)]
    return work.submit(work.Work(asked.key(), title, run, asked.address(), origin=origin, again=again))


def start_patterns(model: str, clean: str, corrupted: str) -> str:
    """Queue the attention patterns of both prompts; they are kept as the readings of the prompts."""

    def run(progress: Progress) -> object:
        return tuple(readings.heads(model, text, progress=progress) for text in (clean, corrupted))

    key = work.key_of("patterns", model, clean, corrupted)
    again = ["patterns", {"model": model, "clean": clean, "corrupted": corrupted}]
    return work.submit(work.Work(key, f"Read the attention of {named(clean)}", run, again=again))


def found_beside(asked: Asked) -> "list[tuple[Asked, PatchingSweep]]":
    """The sweeps of this pair and metric that are in memory."""
    every = [
        replace(asked, over=over, direction=direction, control=control)
        for over in KINDS
        for direction in DIRECTIONS
        for control in (False, True)
    ]
    return [(one, found) for one in every if (found := work.result(one.key())) is not None]


def named(text: str) -> str:
    return f"“{text[:32].strip()}{'…' if len(text) > 32 else ''}”"


def python_for(asked: Asked, stored: str = "") -> str:
    """The lines that make this sweep again, or the two runs where there is none."""
    if stored:
        return f"from circuits import load_patching\n\nsweep = load_patching({stored!r})\nsweep.figure()"
    clean, corrupted = asked.texts()
    options = [f"answers={asked.answers!r}"] if asked.answers else []
    options += [f"metric={asked.metric!r}"] if asked.metric != "logit_diff" else []
    name, record, shown = ("read_pair", "pair", "pair.rows()")
    if asked.over:
        name, record, shown = ("patch_sweep", "sweep", "sweep.figure()")
        options += [f"over={asked.over!r}", f"direction={asked.direction!r}"]
        options += [f"control={DRAWS}"] if asked.control else []
    inner = ",\n    ".join([f"model,\n    {clean!r}", repr(corrupted), *options])
    return (
        f"from circuits import {name}\nfrom probe import load_model\n\nmodel = load_model({asked.model!r})\n"
        f"{record} = {name}(\n    {inner},\n)\n{shown}"
    )


def shell_for(asked: Asked) -> str:
    """The same as a command."""
    clean, corrupted = asked.texts()
    parts = ["openwork", "patch", f"--clean={clean}", f"--corrupted={corrupted}"]
    parts += [f"--{side}={a}" for side, a in zip(("right", "wrong"), asked.answers or (), strict=False)]
    parts += [f"--metric={asked.metric}"] if asked.metric != "logit_diff" else []
    parts += [f"--over={asked.over}"] if asked.over else ["--dry-run"]
    parts += ["--noise"] if asked.over and asked.direction == "noise" else []
    parts += [f"--control={DRAWS}"] if asked.over and asked.control else []
    return shlex.join([*parts, f"--model={asked.model}"])


@task("patch")
def _patch_again(arguments: Arguments) -> None:
    asked = checked(Asked(**{**arguments, "control": bool(arguments["control"])}))
    (start_sweep if asked.over else start_pair)(asked)


@task("patterns")
def _patterns_again(arguments: Arguments) -> None:
    texts = arguments["clean"], arguments["corrupted"]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise TypeError("two texts were wanted")
    start_patterns(arguments["model"], *texts)
