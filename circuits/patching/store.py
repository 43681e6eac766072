"""Sweeps on disk: `report.json` with the prompts and conventions, `grids.safetensors` with the arrays, a manifest."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from circuits.patching.kinds import DIRECTIONS, KINDS
from circuits.patching.record import Control, PatchingSweep
from circuits.patching.sides import Pair, Side
from probe.artifact import Manifest, ModelStamp, home, place, read_manifest, require_files, write_json, writing
from probe.errors import BadInput, OpenworkError, Unavailable

WHAT = "patching"
_GRIDS = ("raw", "answer_probs", "top_ids", "top_probs", "computed")


def save_patching(sweep: PatchingSweep, name: str, *, replace: bool = False) -> Path:
    """Store a sweep as the result `name`. BadInput where that name is taken, unless replace says that what is there may go."""
    folder = place("result", name)
    arrays = {n: np.ascontiguousarray(getattr(sweep, n)) for n in _GRIDS}
    if sweep.control is not None:
        arrays["control"] = np.ascontiguousarray(sweep.control.raw)
    facts = {"what": WHAT, "over": sweep.over, "direction": sweep.direction, "metric": sweep.pair.metric} | {
        "clean": sweep.pair.clean.prompt,
        "corrupted": sweep.pair.corrupted.prompt,
        "answers": sweep.pair.answers,
        "largest": sweep.name(sweep.order()[0]),
    }
    manifest = Manifest("result", name, sweep.pair.model, (KINDS[sweep.over].site,), facts=facts)
    plain = {"pair": asdict(sweep.pair), "over": sweep.over, "direction": sweep.direction}
    plain |= {"words": {str(i): text for i, text in sweep.words.items()}, "convention": sweep.convention}
    with writing(folder, manifest, replace=replace) as scratch:
        write_json(scratch / "report.json", plain)
        save_file(arrays, scratch / "grids.safetensors")
    return folder


def load_patching(where: str | Path) -> PatchingSweep:
    """A stored sweep by name or folder. BadInput where it is something else, Unavailable where it is damaged."""
    folder = Path(where) if isinstance(where, Path) or "/" in where else place("result", where)
    manifest = read_manifest(folder, "result")
    if manifest.facts.get("what") != WHAT:
        raise BadInput(f"{folder} holds a result, but not of a patching sweep.")
    require_files(folder, manifest, ("report.json", "grids.safetensors"), "Run the sweep again.")
    try:
        plain = json.loads((folder / "report.json").read_text(encoding="utf8"))
        arrays = load_file(folder / "grids.safetensors")
        if plain["over"] not in KINDS or plain["direction"] not in DIRECTIONS:
            raise ValueError(f"sweep {plain['over']!r}, direction {plain['direction']!r}")
        control = arrays.pop("control", None)
        return PatchingSweep(
            _pair(plain["pair"]),
            plain["over"],
            plain["direction"],
            **{n: arrays[n] for n in _GRIDS},
            words={int(i): text for i, text in plain["words"].items()},
            control=None if control is None else Control(control),
            convention=plain["convention"],
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise Unavailable(f"{folder} is damaged ({error}); run the sweep again.") from error


def _pair(plain: dict[str, Any]) -> Pair:
    sides = [Side(**{**plain[n], "top": [(t, p) for t, p in plain[n]["top"]]}) for n in ("clean", "corrupted")]
    rest = {k: v for k, v in plain.items() if k not in ("clean", "corrupted", "model")}
    return Pair(ModelStamp(**plain["model"]), *sides, **rest)


def stored_patchings() -> list[tuple[str, Manifest]]:
    """Names and manifests of the stored sweeps, newest first."""
    found = []
    for folder in (home() / "results").glob("[!.]*/"):
        try:
            manifest = read_manifest(folder, "result")
        except OpenworkError:
            continue
        if manifest.facts.get("what") == WHAT:
            found.append((folder.name, manifest))
    return sorted(found, key=lambda pair: pair[1].created, reverse=True)
