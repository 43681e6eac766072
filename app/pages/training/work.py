"""Trainings and evaluations that the dashboard starts: the same functions as `openwork train` and `openwork eval`, as jobs.

What was asked for is written beside the unfinished run (`asked.json`), so that an interrupted one can be continued from its page,
also after the server was started anew.
"""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from app import links
from app.jobs.again import Arguments, task, whole
from app.jobs.table import job_table
from app.jobs.work import Work, key_of, submit
from app.library.artifacts import library, registered
from probe.artifacts.claims import claim
from probe.artifacts.folder import place
from probe.artifacts.json import Json, write_json
from probe.artifacts.manifest import Manifest
from probe.artifacts.untrusted import read_json
from probe.errors import BadInput, OpenworkError
from probe.progress import Progress
from probe.training import run_log
from probe.training.kinds import KINDS, RULES
from probe.training.run_log import PARTIAL, TrainingRun

if TYPE_CHECKING:
    from probe.activations.cache import Cache
    from probe.dictionaries.store import AnyDictionary
    from probe.training.step import TrainConfig


OFFERED = tuple(kind for kind in KINDS if not kind.startswith("cross"))
"""Crosscoders and cross-layer transcoders are for the command line."""
ASKED = "asked.json"
FACTORS = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Asked:
    """A training as a person asks for it. factor: latents for each number the dictionary reads."""

    cache: str
    name: str
    kind: str = "skip_transcoder"
    rule: str = "topk"
    k: float = 32
    factor: int = 8
    epochs: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        whole = all(isinstance(n, int) and n >= 1 for n in (self.factor, self.epochs))
        if self.kind not in OFFERED or self.rule not in RULES:
            raise BadInput(
                f"'{self.kind}' with '{self.rule}' cannot be trained from here; see `openwork train --help`."
            )
        if not whole or not isinstance(self.k, int | float) or self.k <= 0:
            raise BadInput("Factor and epochs are whole numbers from 1, and the rule's number is greater than 0.")
        if len(self.name) > 120:
            raise BadInput(f"The name has {len(self.name)} characters; 120 are enough.")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise BadInput("The seed is a whole number from 0 to 2,147,483,647.")

    @property
    def whole_rule(self) -> str:
        """`topk:32`."""
        return f"{self.rule}:{self.k:g}"

    def d_dict(self, source: Manifest) -> int:
        """Latents: so many for each number at the site it reads."""
        return self.factor * source.width(source.sites[-1 if self.kind == "sae" else 0])

    def shell(self, d_dict: int | str, resume: bool = False) -> str:
        """The command that trains the same."""
        import shlex

        options = ["--cache", self.cache, "--kind", self.kind, "--rule", self.whole_rule, "--d-dict", str(d_dict)]
        options += ["--epochs", str(self.epochs), "--seed", str(self.seed), "--name", self.name]
        return shlex.join(["openwork", "train", *options, *(["--resume"] if resume else [])])


def suggested(cache: str, kind: str, rule: str, k: float, factor: int | str, seed: int) -> str:
    """A name that says the recipe, and is not taken."""
    stem = f"{cache}-{kind}-{rule}-{k}-x{factor}-s{seed}"
    there = {p.name.removesuffix(PARTIAL) for p in place("dictionary", "x").parent.glob("*/")}
    return next(name for i in range(1, 10_000) if (name := stem if i == 1 else f"{stem}-{i}") not in there)


def latents(asked: Asked) -> int | None:
    """How many latents were asked for, by the cache's manifest; None where the cache is gone."""
    found = next((m for m in caches() if m.name == asked.cache), None)
    layout = found.facts.get("layout") if found else None
    widths = layout.get("widths") if isinstance(layout, dict) else None
    if found is None or not isinstance(widths, dict):
        return None
    width = widths.get(found.sites[-1 if asked.kind == "sae" else 0]) if found.sites else None
    return asked.factor * width if isinstance(width, int) else None


def caches() -> list[Manifest]:
    """Stored caches, newest first."""
    return [m for _, m in library().kinds["cache"]]


def ingredients(asked: Asked) -> "tuple[Cache, AnyDictionary, TrainConfig]":
    """The cache, the untrained dictionary and the settings of a training."""
    from probe.activations.cache import open_cache
    from probe.training.recipes import Recipe, make
    from probe.training.trainer import TrainConfig

    source = open_cache(registered("cache", asked.cache))
    recipe = Recipe(asked.kind, asked.whole_rule, asked.d_dict(source), seed=asked.seed)
    return source, make(source, recipe), TrainConfig(epochs=asked.epochs, seed=asked.seed)


def planning(asked: Asked) -> Work:
    """What the training would take, as `openwork train --dry-run` says it; nothing is written."""

    def run(progress: Progress) -> Json:
        from probe.training.trainer import plan

        with progress.stage("plan", total=1, unit="step") as step:
            source, dictionary, config = ingredients(asked)
            found = {**plan(dictionary, source, config).to_dict(), "d_dict": dictionary.d_dict}
            step(1)
        return found

    key, title = key_of("plan-train", {**asdict(asked), "name": ""}), f"Plan a training on {asked.cache}"
    return Work(key, title, run, links.TRAINING, again=["plan", asdict(asked)])


def start(asked: Asked) -> str:
    """Queue a new training; the page of the run. BadInput where the name is taken."""
    folder = place("dictionary", asked.name)
    registered("cache", asked.cache)
    if folder.exists() or folder.with_name(folder.name + PARTIAL).exists():
        raise BadInput(f"There is already a run named '{asked.name}'. Choose another name, or resume it on its page.")
    return _queue(asked)


def resume(name: str) -> str:
    """Queue an interrupted training again, from its last checkpoint."""
    if (asked := asked_of(name)) is None:
        raise BadInput(f"'{name}' was not started from the dashboard; repeat the command that began it, with --resume.")
    return _queue(asked)


def asked_of(name: str) -> Asked | None:
    """What an unfinished run was asked for, if it was started from the dashboard."""
    try:
        folder = place("dictionary", name)
        path = folder.with_name(folder.name + PARTIAL) / ASKED
        return Asked(**read_json(path, 1 << 20))
    except (ValueError, TypeError, OpenworkError):
        return None


def _queue(asked: Asked) -> str:
    link, title = links.run_page(asked.name), f"Train {asked.name}"
    key, again = f"train:{asked.name}", ["train", {"name": asked.name}]
    job_table().submit("train", title, lambda p: _train(asked, p), key=key, link=link, again=again)
    return link


def _train(asked: Asked, progress: Progress) -> str:
    from probe.activations.checks import require_sound
    from probe.training.checkpoint import CHECKPOINT
    from probe.training.trainer import train

    source, dictionary, config = ingredients(asked)
    require_sound(source, progress)
    folder = place("dictionary", asked.name)
    scratch = folder.with_name(folder.name + PARTIAL)
    with claim(folder):
        scratch.mkdir(parents=True, exist_ok=True)
        write_json(scratch / ASKED, asdict(asked))
        train(dictionary, source, config, folder, resume=(scratch / CHECKPOINT).is_file(), progress=progress)
    return links.run_page(asked.name)


def all_runs() -> list[TrainingRun]:
    """All runs, with what the table of jobs knows of those that the dashboard started."""
    return [judged_state(run) for run in run_log.runs()]


def run_of(name: str) -> TrainingRun:
    """One run by name; BadInput when there is none."""
    return judged_state(run_log.run_named(name))


def judged_state(run: TrainingRun) -> TrainingRun:
    """A job that runs is live however slowly it writes, and one that ended is cut off at once."""
    if run.state == "finished" or (job := job_table().latest(f"train:{run.name}")) is None:
        return run
    if job.active:
        return replace(run, state="live")
    ended = (job.finished or 0) + 2 >= run_log.changed(run.folder)
    return replace(run, state="interrupted") if ended else run


def report_name(dictionary: str) -> str:
    """Where `openwork eval` stores the report of a dictionary by default."""
    return f"eval-{dictionary}"


def judging(run: TrainingRun, cache: str, max_tokens: int = 4096) -> str:
    """Queue the evaluation of a finished run on a cache; the run's page. BadInput where there is a report already."""
    registered("cache", cache)
    if place("result", report_name(run.name)).exists():
        raise BadInput(
            f"'{report_name(run.name)}' exists already. Delete it to judge again, or use `openwork eval --name`."
        )
    link, key = links.run_page(run.name), f"judge:{run.name}"
    again = ["judge", {"name": run.name, "cache": cache, "max_tokens": max_tokens}]
    title = f"Judge {run.name}"
    job_table().submit("judge", title, lambda p: _judge(run, cache, max_tokens, p), key=key, link=link, again=again)
    return link


def _judge(run: TrainingRun, cache: str, max_tokens: int, progress: Progress) -> str:
    from app.library.models import model_named
    from probe.activations.cache import open_cache
    from probe.dictionaries import load_dictionary
    from probe.evaluation.evaluate import evaluate
    from probe.evaluation.store import save_report

    model = model_named(run.model, progress)
    learned, source = (
        load_dictionary(registered("dictionary", run.name), model),
        open_cache(registered("cache", cache), model),
    )
    report = evaluate(model, learned, source, max_tokens=max_tokens, progress=progress)
    save_report(report_name(run.name), report, model, (run.name, cache))
    return links.run_page(run.name)


@task("train")
def _train_again(arguments: Arguments) -> None:
    resume(arguments["name"])


@task("plan")
def _plan_again(arguments: Arguments) -> None:
    submit(planning(Asked(**arguments)))


@task("judge")
def _judge_again(arguments: Arguments) -> None:
    judging(run_of(arguments["name"]), arguments["cache"], *whole(arguments, "max_tokens"))
