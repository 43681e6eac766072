"""Make docs/two-circuits.json: `python scripts/two_circuits.py STAGE ...` (accuracy, patching, neurons, latents; default all).

Each stage writes its part of the file, so that one can be made again alone. `latents` needs the transcoders of
scripts/two_circuits_transcoders.py. The page is then made by scripts/two_circuits_page.py.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from two_circuits_tasks import Task, capital_pairs, tested, traced, year_pairs

import probe

FILE = Path(__file__).parents[1] / "docs" / "two-circuits.json"


def keep(name: str, part: Any) -> None:
    """Put one part into the file."""
    kept = json.loads(FILE.read_text(encoding="utf8")) if FILE.exists() else {}
    kept[name] = rounded(part)
    FILE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


def rounded(part: Any) -> Any:
    """Five digits of every number."""
    if isinstance(part, dict):
        return {k: rounded(v) for k, v in part.items()}
    if isinstance(part, list):
        return [rounded(v) for v in part]
    return float(f"{part:.5g}") if isinstance(part, float) else part


def accuracy(model: Any) -> dict[str, Any]:
    """How well the model does each task, on the traced and on the tested prompts."""
    found = {}
    for name, tasks in (("traced", traced(model)), ("tested", tested(model))):
        for task in tasks:
            found.setdefault(task.name, {})[name] = _scores(model, task)
    return found


def _scores(model: Any, task: Task) -> dict[str, float]:
    with torch.no_grad():
        logits = model(task.tokens)[:, -1]
    best, pairs = logits.argmax(-1).tolist(), list(zip(task.more, task.fewer, strict=True))
    return {
        "prompts": len(pairs),
        "margin": float(task.margins(logits).mean()),
        "probability": float(task.probabilities(logits).mean()),
        "probability gap": float(task.gaps(logits).mean()),
        "likeliest is right": sum(b in m for b, (m, _) in zip(best, pairs, strict=True)) / len(pairs),
        "likeliest is wrong": sum(b in f for b, (_, f) in zip(best, pairs, strict=True)) / len(pairs),
    }


def patching(model: Any) -> dict[str, Any]:
    """Where the information is and which heads move it."""
    from two_circuits_patching import measure

    return {pairs.name: measure(model, pairs) for pairs in (capital_pairs(model), year_pairs(model))}


def neurons(model: Any) -> dict[str, Any]:
    """Graphs in the neuron basis, and the tests of what they say."""
    from two_circuits_neurons import measure

    return measure(model)


def latents(model: Any) -> dict[str, Any]:
    """The same with transcoders."""
    from two_circuits_latents import measure

    return measure(model)


STAGES = {"accuracy": accuracy, "patching": patching, "neurons": neurons, "latents": latents}


def main() -> None:
    model = probe.load_model()
    for name in sys.argv[1:] or STAGES:
        start = time.perf_counter()
        part = STAGES[name](model)
        keep(name, {**part, "seconds": round(time.perf_counter() - start)})


if __name__ == "__main__":
    main()
