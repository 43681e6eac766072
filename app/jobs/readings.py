"""Readings of a prompt (lens, heads, units): from memory or from the model, and as a job."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from app import links
from app.jobs import work
from app.jobs.again import Arguments, prompt_in, task
from app.jobs.table import job_table
from app.library import memory, prompts
from app.library.artifacts import newest_dictionaries, registered
from app.library.memory import known, remember
from app.library.models import model_named
from probe.errors import OpenworkError
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.dictionaries.store import AnyDictionary
    from probe.heads.patterns import HeadPatterns
    from probe.lens.logit import LensResult
    from probe.neurons.strongest import TopUnits

Record = TypeVar("Record")


def _resolve(model: "str | TransformerBridge", progress: Progress) -> "tuple[str, TransformerBridge]":
    """The key and the loaded model of a name or of a loaded model."""
    if isinstance(model, str):
        return model, model_named(model, progress)
    from probe.model.load import stamp

    return stamp(model).weights, model


def _kept(
    analysis: str,
    model: "str | TransformerBridge",
    prompt: str,
    progress: Progress,
    run: "Callable[[TransformerBridge], Record]",
) -> Record:
    """The record of this analysis, found again or made by `run(loaded model)`."""
    if isinstance(model, str) and (record := known(analysis, model, prompt)) is not None:
        return record
    key, bridge = _resolve(model, progress)
    if (record := known(analysis, key, prompt)) is not None:
        return record
    with progress.stage(analysis, total=1, unit="step") as step:
        record = remember(analysis, key, prompt, run(bridge))
        step(1)
    return record


def lens(model: "str | TransformerBridge", prompt: str, *, progress: Progress = SILENT) -> "LensResult":
    """The logit lens at every layer and position."""

    def run(bridge: "TransformerBridge") -> "LensResult":
        from probe.lens.logit import logit_lens

        return logit_lens(bridge, prompt)

    return _kept("lens", model, prompt, progress, run)


def heads(model: "str | TransformerBridge", prompt: str, *, progress: Progress = SILENT) -> "HeadPatterns":
    """Every head's attention pattern with its metrics."""

    def run(bridge: "TransformerBridge") -> "HeadPatterns":
        from probe.heads.patterns import head_patterns

        return head_patterns(bridge, prompt)

    return _kept("heads", model, prompt, progress, run)


def top_units(model: "str | TransformerBridge", prompt: str, *, progress: Progress = SILENT) -> "TopUnits":
    """The strongest neurons, and latents of stored dictionaries, at every position."""

    def run(bridge: "TransformerBridge") -> "TopUnits":
        from probe.neurons.strongest import top_units as found

        return found(bridge, prompt, dictionaries=dictionaries_of(bridge))

    return _kept("units", model, prompt, progress, run)


def read_prompt(model: str, prompt: str, progress: Progress = SILENT) -> None:
    """Everything the prompt page shows, cheapest first, so that its panels fill one after the other."""
    lens(model, prompt, progress=progress)
    heads(model, prompt, progress=progress)
    top_units(model, prompt, progress=progress)


def dictionaries_of(model: "TransformerBridge", names: tuple[str, ...] | None = None) -> "list[AnyDictionary]":
    """Stored transcoders that fit this model: those named, else the newest for each layer. Others are passed over in silence
    only when none were named."""
    from probe.dictionaries import load_dictionary
    from probe.model.load import stamp

    if names is not None:
        return [load_dictionary(registered("dictionary", name), model) for name in names]
    found, mine = [], stamp(model)
    for folder in newest_dictionaries(lambda m: (m.weights, m.tokenizer) == (mine.weights, mine.tokenizer)):
        try:
            learned = load_dictionary(folder, model)
        except OpenworkError:
            continue
        if len(learned.sites_in) == len(learned.sites_out) == 1:  # what is read at one place and written at one
            found.append(learned)
    return found


def patterns_work(model: str, prompt: prompts.Prompt) -> work.Work:
    """Every head's pattern in one prompt, for the pages that show heads."""
    key, link = work.key_of("heads", model, prompt.id), links.heads_page(model, prompt.id)
    again = ["heads", {"model": model, "prompt": prompt.id}]
    return work.Work(key, "Read all heads", lambda p: heads(model, prompt.text, progress=p), link, "read", again=again)


@task("heads")
def _patterns_again(arguments: Arguments) -> None:
    work.submit(patterns_work(arguments["model"], prompt_in(arguments)))


def reading_key(model: str, prompt: prompts.Prompt) -> str:
    return f"read:{model}:{prompt.id}"


def start_reading(model: str, prompt: prompts.Prompt) -> None:
    """Queue the readings unless they are in memory."""
    if any(memory.known(a, model, prompt.text) is None for a in memory.READINGS):
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
