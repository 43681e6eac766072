"""Readings of a prompt (lens, heads, units): from memory or from the model, and as a job."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app import links
from app.jobs import work
from app.jobs.repeat_job import Arguments, prompt_in, task
from app.jobs.table import job_table
from app.library import prompts, recent_records
from app.library.artifacts import newest_dictionaries
from app.library.models import model_named
from app.library.recent_records import known, remember
from probe.errors import OpenworkError
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.dictionaries.store import AnyDictionary


def _lens(model: "TransformerBridge", prompt: str) -> object:
    """The logit lens at every layer and position."""
    from probe.lens.logit import logit_lens

    return logit_lens(model, prompt)


def _heads(model: "TransformerBridge", prompt: str) -> object:
    """Every head's attention pattern with its metrics."""
    from probe.heads.patterns import head_patterns

    return head_patterns(model, prompt)


def _units(model: "TransformerBridge", prompt: str) -> object:
    """The strongest neurons, and latents of stored dictionaries, at every position."""
    from probe.neurons.strongest import top_units

    return top_units(model, prompt, dictionaries=_dictionaries(model))


READ: dict[str, "Callable[[TransformerBridge, str], object]"] = {"lens": _lens, "heads": _heads, "units": _units}
"""Cheapest first, so that the panels of a page fill one after the other."""


def reading(what: str, model: str, prompt: str, progress: Progress = SILENT) -> Any:
    """The record of one reading, found again or made now."""
    if (record := known(what, model, prompt)) is not None:
        return record
    bridge = model_named(model, progress)
    with progress.stage(what, total=1, unit="step") as step:
        record = remember(what, model, prompt, READ[what](bridge, prompt))
        step(1)
    return record


def read_prompt(model: str, prompt: str, progress: Progress = SILENT) -> None:
    """Everything that the prompt's page shows."""
    for what in READ:
        reading(what, model, prompt, progress)


def _dictionaries(model: "TransformerBridge") -> "list[AnyDictionary]":
    """The newest stored dictionaries that fit this model, of each site what is read at one place and written at one."""
    from probe.dictionaries import load_dictionary
    from probe.model.load import stamp

    found, mine = [], stamp(model)
    for folder in newest_dictionaries(lambda m: (m.weights, m.tokenizer) == (mine.weights, mine.tokenizer)):
        with suppress(OpenworkError):  # nobody named it
            learned = load_dictionary(folder, model)
            found += [learned] if len(learned.sites_in) == len(learned.sites_out) == 1 else []
    return found


def patterns_work(model: str, prompt: prompts.Prompt) -> work.Work:
    """Every head's pattern in one prompt, for the pages that show heads."""
    key, link = work.key_of("heads", model, prompt.id), links.heads_page(model, prompt.id)
    again = ["heads", {"model": model, "prompt": prompt.id}]
    return work.Work(
        key, "Read all heads", lambda p: reading("heads", model, prompt.text, p), link, "read", again=again
    )


@task("heads")
def _patterns_again(arguments: Arguments) -> None:
    work.submit(patterns_work(arguments["model"], prompt_in(arguments)))


def reading_key(model: str, prompt: prompts.Prompt) -> str:
    return f"read:{model}:{prompt.id}"


def start_reading(model: str, prompt: prompts.Prompt) -> None:
    """Queue the readings unless they are in memory."""
    if any(recent_records.known(a, model, prompt.text) is None for a in READ):
        text = prompt.text
        job_table().submit(
            "read",
            f"Read “{text[:40].strip()}{'…' if len(text) > 40 else ''}”",
            lambda p: read_prompt(model, text, p),
            key=reading_key(model, prompt),
            link=f"/p/{prompt.id}?m={quote(model)}",
            again=["read", {"model": model, "prompt": prompt.id}],
        )


@task("read")
def _read_again(arguments: Arguments) -> None:
    start_reading(arguments["model"], prompt_in(arguments))
