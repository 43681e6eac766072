"""The model work of the heads page: all patterns, all scores, one head read. Each is one job, kept in memory; what one has found,
the next need not find again."""

from typing import TYPE_CHECKING, Any

from app import links
from app.jobs import readings, work
from app.jobs.repeat_job import Arguments, prompt_in, task, whole, whole_or_none
from app.library import models, recent_records, vocabulary
from app.library.prompts import Prompt
from probe.methods.call import Call
from probe.model.unit_names import unit_name
from probe.progress import Progress
from probe.show.made import remember

if TYPE_CHECKING:
    from numpy import ndarray
    from transformer_lens.model_bridge import TransformerBridge

FIRST = "previous_token"
"""The score by which heads are told apart where no other is asked for."""


def scores_work(model: str, prompt: Prompt, target: int | None) -> work.Work:
    """Every head by every score, which is the method `head-table`: towards the likeliest next tokens, or one."""

    def run(progress: Progress) -> object:
        from probe.heads.scores import put_together
        from probe.lens.direct import direct_logits

        bridge = models.model_named(model, progress)
        with progress.stage("direct effects", total=3, unit="step") as step:
            direct = direct_logits(bridge, prompt.text, target)
            step(1)
            vocabulary.load_vocabulary(model, progress)
            step(1)
            copying = _copying(model, bridge)
            step(1)
        heads = readings.reading("heads", model, prompt.text, progress)
        found = put_together(heads, direct, copying, metric=FIRST)
        return _made(found, "head-table", model, prompt, target, metric=FIRST)

    key, link = work.key_of("headscores", model, prompt.id, target), links.heads_page(model, prompt.id)
    again = ["head-scores", {"model": model, "prompt": prompt.id, "target": target}]
    return work.Work(key, "Score all heads", run, link, "read", again=again)


def _made(record: Any, method: str, model: str, prompt: Prompt, target: int | None, **arguments: Any) -> Any:
    """The record, with the call of the method that finds the same."""
    asked = {"prompt": prompt.text, **arguments, **({"target": target} if target is not None else {})}
    return remember(record, Call.checked(method, model, asked).made())


def _copying(model: str, bridge: "TransformerBridge") -> "ndarray":
    """Copying scores depend on the weights alone, so they are kept for each model."""
    if (known := recent_records.known("copying", model, "")) is not None:
        return known
    from probe.heads.weights import copying_scores

    return recent_records.remember("copying", model, "", copying_scores(bridge).cpu().numpy())


def reading_work(model: str, prompt: Prompt, layer: int, head: int, target: int | None) -> work.Work:
    """One head at every position: what the method `one-head` tells beside where the head looks."""
    name = unit_name("head", layer, head)

    def run(progress: Progress) -> object:
        from probe.heads.reading import KnownOfHeads, read_head
        from probe.heads.reading_record import HeadTold

        bridge = models.model_named(model, progress)
        scored = work.result(scores_work(model, prompt, target).key)
        known = KnownOfHeads(direct=scored and scored.split, copying=float(_copying(model, bridge)[layer, head]))
        found = read_head(bridge, prompt.text, name, target=target, known=known, progress=progress)
        return _made(HeadTold(found), "one-head", model, prompt, target, head=name)

    link = links.heads_page(model, prompt.id, head=f"{layer}.{head}")
    key = work.key_of("head", model, prompt.id, layer, head, target)
    again = ["head", {"model": model, "prompt": prompt.id, "layer": layer, "head": head, "target": target}]
    return work.Work(key, f"Read head {name}", run, link, "read", again=again)


@task("head-scores")
def _scores_again(arguments: Arguments) -> None:
    work.submit(scores_work(arguments["model"], prompt_in(arguments), whole_or_none(arguments, "target")))


@task("head")
def _read_again(arguments: Arguments) -> None:
    layer, head = whole(arguments, "layer", "head")
    target = whole_or_none(arguments, "target")
    work.submit(reading_work(arguments["model"], prompt_in(arguments), layer, head, target))
