"""What docs/two-circuits.md says of transcoders, into docs/two-circuits.json: `python scripts/two_circuits.py [PART ...]`.

The study `openwork study two-circuits` measures all that needs no transcoder; this needs those of
scripts/two_circuits_transcoders.py.
Parts are the tasks, `replaced` and `rankings`; each is written when it is done. The tables are then made by
scripts/two_circuits_page.py.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def latents(model: Any) -> Parts:
    """The same with transcoders."""
    from two_circuits_latents import parts

    return parts(model)


def main() -> None:
    for name, make in latents(probe.load_model()).items():
        if name in (sys.argv[1:] or (name,)):
            keep("latents", {name: make()})


if __name__ == "__main__":
    main()
