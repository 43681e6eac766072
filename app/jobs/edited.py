"""A run of a prompt with a change as a job: any page's knockout, clamp or edit of a unit. Its result is stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.jobs import results, work
from app.jobs.job import Task
from app.library import models
from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest
from probe.errors import OpenworkError
from probe.progress import Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.interventions.edited_run import EditedRun

WHAT = "edit"


@dataclass(frozen=True)
class Edit:
    """What is changed. changes: makes the interventions from the loaded model. named: tells them from others, in parts that JSON
    can write, for the key. options: how the page asked for it. again: the task that starts it anew after a restart. about: names
    of the dictionaries that take part. pos: the predictions after this position; generate: so many tokens are continued."""

    changes: "Callable[[TransformerBridge], Sequence[object]]"
    named: tuple[object, ...]
    options: dict[str, Any]
    again: Task
    about: tuple[str, ...] = ()
    pos: int = -1
    generate: int = 0


def edited_work(model: str, prompt: str, edit: Edit, title: str, page: Callable[[str], str]) -> work.Work:
    """The job of an edited run. page: the address that shows the run of a key."""

    def run(progress: Progress) -> "EditedRun":
        from probe.interventions.edited_run import edited_run

        bridge = models.model_named(model, progress)
        return edited_run(bridge, prompt, edit.changes(bridge), pos=edit.pos, generate=edit.generate, progress=progress)

    key = work.key_of(WHAT, model, prompt, edit.named, edit.pos, edit.generate)
    options = {"prompt": prompt, **edit.options}
    origin = results.Origin(edit.about, options, model=lambda: models.stamp_in_memory(model))
    return work.Work(key, title, run, page(key), origin=origin, again=edit.again)


def asked_before(key: str | None) -> Json:
    """How the page asked for the stored run of this key, to be put into its fields; empty where there is none."""
    if not key or not results.is_stored(key):
        return {}
    try:
        return read_manifest(results.folder_of(key), "result").config
    except OpenworkError:
        return {}
