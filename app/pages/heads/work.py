"""The model work of the heads page: all patterns, all scores, one head read. Each is one job, kept in memory; what one has found,
the next need not find again."""

from typing import TYPE_CHECKING

from app import links
from app.jobs import work
from app.jobs.again import Arguments, prompt_in, task, whole, whole_or_none
from app.library import memory, models, vocabulary
from app.library.prompts import Prompt
from probe.model.unit_names import unit_name
from probe.progress import Progress

if TYPE_CHECKING:
    from numpy import ndarray
    from transformer_lens.model_bridge import TransformerBridge


def scores_work(model: str, prompt: Prompt, target: int | None) -> work.Work:
    """What every head adds to the logit of the likeliest next tokens (or of one), and its copying score."""

    def run(progress: Progress) -> object:
        from probe.lens.direct import direct_logits

        bridge = models.model_named(model, progress)
        with progress.stage("direct effects", total=3, unit="step") as step:
            direct = direct_logits(bridge, prompt.text, target)
            step(1)
            vocabulary.load_vocabulary(model, progress)
            step(1)
            copying = _copying(model, bridge)
            step(1)
        return {"direct": direct, "copying": copying}

    key, link = work.key_of("headscores", model, prompt.id, target), links.heads_page(model, prompt.id)
    again = ["head-scores", {"model": model, "prompt": prompt.id, "target": target}]
    return work.Work(key, "Score all heads", run, link, "read", again=again)


def _copying(model: str, bridge: "TransformerBridge") -> "ndarray":
    """Copying scores depend on the weights alone, so they are kept for each model."""
    if (known := memory.known("copying", model, "")) is not None:
        return known
    from probe.heads.weights import copying_scores

    return memory.remember("copying", model, "", copying_scores(bridge).cpu().numpy())


def reading_work(model: str, prompt: Prompt, layer: int, head: int, target: int | None) -> work.Work:
    """One head at every position."""
    name = unit_name("head", layer, head)

    def run(progress: Progress) -> object:
        from probe.heads.reading import KnownOfHeads, read_head

        bridge = models.model_named(model, progress)
        scores = work.result(scores_work(model, prompt, target).key) or {}
        known = KnownOfHeads(direct=scores.get("direct"), copying=float(_copying(model, bridge)[layer, head]))
        return read_head(bridge, prompt.text, name, target=target, known=known, progress=progress)

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
