"""The model work of the heads page: all patterns, all scores, one head read, one head taken away. Each is one job."""

from pathlib import Path
from typing import Any

import numpy as np

from app import links
from app.components.edited import edited_work
from app.jobs import readings, work
from app.jobs import table as jobs
from app.library import memory, models, vocabulary
from app.library.artifacts import library
from app.library.prompts import Prompt
from circuits.graph.graph import KINDS
from probe.artifacts.untrusted import plain_file
from probe.errors import OpenworkError


def patterns_work(model: str, prompt: Prompt) -> work.Work:
    """Every head's pattern."""

    def run(progress: Any) -> Any:
        return readings.heads(model, prompt.text, progress=progress)

    key, link = work.key_of("heads", model, prompt.id), links.heads_page(model, prompt.id)
    again = ["heads", {"model": model, "prompt": prompt.id}]
    return work.Work(key, "Read all heads", run, link, "read", again=again)


def scores_work(model: str, prompt: Prompt, target: int | None) -> work.Work:
    """What every head adds to the logit of the likeliest next tokens (or of one), and its copying score."""

    def run(progress: Any) -> dict[str, Any]:
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


def _copying(model: str, bridge: Any) -> Any:
    """Copying scores depend on the weights alone, so they are kept for each model."""
    if (known := memory.known("copying", model, "")) is not None:
        return known
    from probe.heads.weights import copying_scores

    return memory.remember("copying", model, "", copying_scores(bridge).cpu().numpy())


def reading_work(model: str, prompt: Prompt, layer: int, head: int, target: int | None) -> work.Work:
    """One head at every position."""

    def run(progress: Any) -> Any:
        from probe.heads.reading import read_head

        bridge = models.model_named(model, progress)
        scores = work.result(scores_work(model, prompt, target).key) or {}
        copying = _copying(model, bridge)[layer, head]
        return read_head(
            bridge,
            prompt.text,
            layer,
            head,
            target=target,
            direct=scores.get("direct"),
            copying=float(copying),
            progress=progress,
        )

    link = links.heads_page(model, prompt.id, head=f"{layer}.{head}")
    key = work.key_of("head", model, prompt.id, layer, head, target)
    again = ["head", {"model": model, "prompt": prompt.id, "layer": layer, "head": head, "target": target}]
    return work.Work(key, f"Read head L{layer}H{head}", run, link, "read", again=again)


def ablation_work(model: str, prompt: Prompt, layer: int, head: int, how: str, pos: int | None, at: int) -> work.Work:
    """The prompt without this head: `how` zero or mean, at one position or (None) at all; predictions after `at`."""

    def changes(bridge: Any) -> list[Any]:
        from probe.heads.reading import ablate_head

        return ablate_head(bridge, prompt.text, layer, head, how, pos)

    asked = {"model": model, "prompt": prompt.id, "layer": layer, "head": head, "how": how, "pos": pos, "at": at}
    return edited_work(
        model,
        prompt.text,
        changes,
        ("head", layer, head, how, pos),
        page=lambda key: links.heads_page(model, prompt.id, token=at, head=f"{layer}.{head}", edit=key),
        title=f"Run without L{layer}H{head}",
        options={"unit": f"L{layer}H{head}", "how": how, "where": "all" if pos is None else "one"},
        again=["without-head", asked],
        pos=at,
    )


def instead_of(before: str | None, wanted: work.Work) -> str:
    """Submit, after calling off what was asked for before and is not wanted any more."""
    if before and before != wanted.key:
        job = jobs.table().latest(before)
        if job is not None and job.active:
            jobs.table().cancel(job.id)
    return work.submit(wanted)


_seen: memory.Recent[frozenset[tuple[int, int]]] = memory.Recent(
    400
)  # a graph that is edited is another file each time


def circuits_with(model: str, layer: int, head: int) -> list[str]:
    """Names of the stored graphs of this model in which the head is a node."""
    named = [(f, m) for f, m in library().kinds["graph"] if m.model and m.model.name == model]
    return [m.name for folder, m in named[:60] if (layer, head) in _heads_of(folder)]


def _heads_of(folder: Path) -> frozenset[tuple[int, int]]:
    """The head nodes of a stored graph, from its node arrays alone; none where they cannot be read."""
    from safetensors import SafetensorError, safe_open

    path = folder / "graph.safetensors"
    try:
        mark = (str(path), path.stat().st_mtime_ns)
        if (kept := _seen.get(mark)) is not None:
            return kept
        with safe_open(plain_file(path), framework="np") as file:
            kind, layer, unit = (file.get_tensor(f"nodes.{n}") for n in ("kind", "layer", "unit"))
        at = np.flatnonzero(kind == KINDS.index("head"))
        return _seen.put(mark, frozenset((int(layer[i]), int(unit[i])) for i in at))
    except (OSError, SafetensorError, KeyError, OpenworkError):
        return frozenset()
