"""Make docs/two-circuits.json: `python scripts/two_circuits.py [STAGE[:PART] ...]`.

Stages are accuracy, patching, neurons, latents; parts mostly the tasks (`neurons:capital-of`). Each part is written when it is
done, so that one can be made again alone. `latents` needs the transcoders of scripts/two_circuits_transcoders.py. The page is
then made by scripts/two_circuits_page.py.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from two_circuits_tasks import Task, capital_pairs, tested, traced, year_pairs

import probe

FILE = Path(__file__).parents[1] / "docs" / "two-circuits.json"


def keep(stage: str, part: dict[str, Any]) -> None:
    """Put parts of a stage into the file."""
    kept = json.loads(FILE.read_text(encoding="utf8")) if FILE.exists() else {}
    kept[stage] = {**kept.get(stage, {}), **rounded(part)}
    FILE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


def rounded(part: Any) -> Any:
    """Five digits of every number."""
    if isinstance(part, dict):
        return {k: rounded(v) for k, v in part.items()}
    if isinstance(part, list):
        return [rounded(v) for v in part]
    return float(f"{part:.5g}") if isinstance(part, float) else part


Parts = dict[str, Callable[[], Any]]


def accuracy(model: Any) -> Parts:
    """How well the model does each task, on the traced and on the tested prompts."""
    pairs = zip(traced(model), tested(model), strict=True)
    return {
        one.name: partial(lambda a, b: {"traced": _scores(a), "tested": _scores(b)}, one, other) for one, other in pairs
    }


def _scores(task: Task) -> dict[str, float]:
    with torch.no_grad():
        logits = task.model(task.tokens)[:, -1]
    best, pairs = logits.argmax(-1).tolist(), list(zip(task.more, task.fewer, strict=True))
    return {
        "prompts": len(pairs),
        "margin": float(task.margins(logits).mean()),
        "probability": float(task.probabilities(logits).mean()),
        "probability gap": float(task.gaps(logits).mean()),
        "likeliest is right": sum(b in m for b, (m, _) in zip(best, pairs, strict=True)) / len(pairs),
        "likeliest is wrong": sum(b in f for b, (_, f) in zip(best, pairs, strict=True)) / len(pairs),
    }


def patching(model: Any) -> Parts:
    """Where the information is and which heads move it."""
    from two_circuits_patching import measure

    return {pairs.name: partial(measure, model, pairs) for pairs in (capital_pairs(model), year_pairs(model))}


def neurons(model: Any) -> Parts:
    """Graphs in the neuron basis, and the tests of what they say."""
    from two_circuits_neurons import parts

    return parts(model)


def latents(model: Any) -> Parts:
    """The same with transcoders."""
    from two_circuits_latents import parts

    return parts(model)


STAGES = {"accuracy": accuracy, "patching": patching, "neurons": neurons, "latents": latents}


def main() -> None:
    model = probe.load_model()
    for asked in sys.argv[1:] or STAGES:
        stage, _, only = asked.partition(":")
        for name, make in STAGES[stage](model).items():
            if only in ("", name):
                keep(stage, {name: make()})


if __name__ == "__main__":
    main()
