"""Which architectures can be read how: the table of `docs/architectures.md`.

    python scripts/architectures.py [NAME ...] [--again]        make architectures

Every cell is one comparison of Openwork with torch's own hooks on the transformers model (`tests/support/abilities.py`), on a
tiny random model (`tests/support/zoo.py`): right to how much, or refused with which sentence. A cell may be neither raw (an
error that is no sentence) nor wrong; then the command exits with 1. Rows are kept as they are made, so that an interrupted
run goes on; a row is made anew with `--again`, or when it is named."""

import argparse
import json
import logging
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
DOCS = ROOT / "docs"
ALLOWED = 1e-4
"""Largest difference that is called right; float64 models, whose norms and softmax many architectures take in float32."""
FLOAT32 = ("xglm",)
"""Architectures that do not run in float64."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help="architectures, by default all")
    parser.add_argument("--again", action="store_true", help="make every row anew")
    options = parser.parse_args()
    quiet()
    from zoo import ZOO  # pyright: ignore[reportMissingImports]  (tests/support, on the path above)

    stored = DOCS / "architectures.json"
    rows: dict[str, Any] = json.loads(stored.read_text())["rows"] if stored.is_file() and not options.again else {}
    known = list(ZOO)
    for name in options.names or known:
        if name in rows and not options.names:
            continue
        rows[name] = made = row(name)
        print(f"{name:22} {made['seconds']:6.1f} s  {' '.join(mark(c) for c in made['cells'].values())}", flush=True)
        kept = {n: rows[n] for n in known if n in rows}
        lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(r, ensure_ascii=False)}" for n, r in kept.items())
        stored.write_text(f'{{"versions": {json.dumps(versions())}, "rows": {{\n{lines}\n}}}}\n')
    (DOCS / "architectures.md").write_text(page(kept := {n: rows[n] for n in known if n in rows}))
    bad = [
        f"{n}: {a}: {c['text']}"
        for n, r in kept.items()
        for a, c in r["cells"].items()
        if c["kind"] in ("raw", "wrong")
    ]
    print(
        f"{len(kept)} architectures, {sum(r['seconds'] for r in kept.values()):.0f} s, {len(bad)} cells raw or wrong",
        *bad,
        sep="\n  ",
    )
    sys.exit(bool(bad))


def quiet() -> None:
    import torch
    import transformers

    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "transformer-lens")}


def row(name: str) -> dict[str, Any]:
    """All cells of one architecture."""
    from abilities import ABILITIES, Case  # pyright: ignore[reportMissingImports]

    start, cells = time.perf_counter(), {}
    try:
        case = Case(name, "float32" if name in FLOAT32 else "float64")
    except Exception as error:
        cells = {a: failure(error) for a in ABILITIES}
        return {"seconds": round(time.perf_counter() - start, 2), "cells": cells}
    for ability, check in ABILITIES.items():
        cells[ability] = cell(check, case)
    return {"seconds": round(time.perf_counter() - start, 2), "cells": cells}


def cell(check: Any, case: Any) -> dict[str, Any]:
    try:
        gap = check(case)
    except Exception as error:
        return failure(error)
    return {
        "kind": "right" if gap <= (ALLOWED if "float64" in str(case.bridge.cfg.dtype) else 1e-3) else "wrong",
        "gap": gap,
        "text": f"{gap:.0e}",
    }


def failure(error: Exception) -> dict[str, Any]:
    """A sentence, or an error that is none."""
    from probe.errors import OpenworkError

    if isinstance(error, OpenworkError):
        return {"kind": "refused", "text": re.sub(r"'/tmp[^']*'|/tmp/\S+", "The folder", str(error))}
    return {"kind": "raw", "text": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"}


def mark(cell: dict[str, Any]) -> str:
    return {"right": cell["text"], "refused": "refused", "raw": "RAW", "wrong": f"WRONG({cell['text']})"}[cell["kind"]]


def page(rows: dict[str, Any]) -> str:
    """The table and, below it, the sentences of what is refused."""
    abilities = list(next(iter(rows.values()))["cells"])
    notes: dict[str, int] = {}
    lines = []
    for name, one in rows.items():
        shown = [
            f"[{notes.setdefault(c['text'], len(notes) + 1)}]" if c["kind"] != "right" else c["text"]
            for c in one["cells"].values()
        ]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    told = [f"{n}. {text.replace('|', '/')}" for text, n in notes.items()]
    used = ", ".join(f"{k} {v}" for k, v in versions().items())
    return "\n".join(
        [
            "# Architectures",
            "",
            f"Made by `make architectures` ({used}), with tiny random models in double precision. A number is the largest",
            "difference between Openwork and the same thing done with torch's own hooks on the transformers model, over the size",
            "of what is compared. A number in brackets is the sentence below with which Openwork refuses.",
            "",
            f"| architecture | {' | '.join(abilities)} |",
            f"|---|{'---|' * len(abilities)}",
            *lines,
            "",
            *told,
            "",
        ]
    )


if __name__ == "__main__":
    main()
