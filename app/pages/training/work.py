"""Trainings that the dashboard starts, as jobs: the same as `openwork train` makes (`probe.training.training_request`)."""

from dataclasses import asdict, replace

from app import links
from app.jobs.repeat_job import Arguments, task
from app.jobs.table import job_table
from app.jobs.work import Work, key_of, submit
from app.library.artifacts import library, registered
from probe.artifacts.folder import place
from probe.artifacts.json import Json
from probe.artifacts.names import PARTIAL
from probe.errors import BadInput
from probe.progress import Progress
from probe.training.run_logs import runs_on_disk
from probe.training.run_logs.runs_on_disk import TrainingRun
from probe.training.training_request import Asked, asked_of


def caches() -> list[str]:
    """Names of stored caches, newest first."""
    return [manifest.name for _, manifest in library().kinds["cache"]]


def planning(asked: Asked) -> Work:
    """What the training would take, as `openwork train --dry-run` says it; nothing is written."""

    def run(progress: Progress) -> Json:
        registered("cache", asked.cache)
        with progress.stage("plan", total=1, unit="step") as step:
            found = asked.plan()
            step(1)
        return {"said": f"{asked.latents:,} latents, {found.summary()}", "d_dict": asked.latents}

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
    registered("cache", asked.cache)
    return _queue(asked)


def _queue(asked: Asked) -> str:
    asked.begin()
    link, title = links.run_page(asked.name), f"Train {asked.name}"
    key, again = f"train:{asked.name}", ["train", {"name": asked.name}]

    def run(progress: Progress) -> str:
        asked.run(progress)
        return link

    job_table().submit("train", title, run, key=key, link=link, again=again)
    return link


def all_runs() -> list[TrainingRun]:
    """All runs, with what the table of jobs knows of those that the dashboard started."""
    return [judged_state(run) for run in runs_on_disk.runs()]


def run_of(name: str) -> TrainingRun:
    """One run by name; BadInput when there is none."""
    return judged_state(runs_on_disk.run_named(name))


def judged_state(run: TrainingRun) -> TrainingRun:
    """A job that runs is live however slowly it writes, and one that ended is cut off at once."""
    if run.state == "finished" or (job := job_table().latest(f"train:{run.name}")) is None:
        return run
    if job.active:
        return replace(run, state="live")
    ended = (job.finished or 0) + 2 >= runs_on_disk.changed(run.folder)
    return replace(run, state="interrupted") if ended else run


@task("train")
def _train_again(arguments: Arguments) -> None:
    resume(arguments["name"])


@task("plan")
def _plan_again(arguments: Arguments) -> None:
    submit(planning(Asked(**arguments)))
