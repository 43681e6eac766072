"""Sweeps on disk: `report.json` with the prompts and conventions, `grids.safetensors` with the arrays, a manifest."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from circuits.patching.kinds import DIRECTIONS, KINDS
from circuits.patching.record import Control, PatchingSweep
from circuits.patching.sides import Pair, Side
from probe.artifacts.folder import home, place
from probe.artifacts.json import write_json
from probe.artifacts.manifest import Manifest, ModelStamp, found_folder, read_manifest, require_files, writing
from probe.artifacts.names import as_path
from probe.artifacts.schemas import mapping, number, several, text, whole
from probe.artifacts.untrusted import plain_file, read_json, reading
from probe.errors import BadInput, OpenworkError
from probe.show.beside import loads, saves

WHAT = "patching"
_GRIDS = ("raw", "answer_probs", "top_ids", "top_probs", "computed")


def save_patching(sweep: PatchingSweep, name: str, *, replace: bool = False) -> Path:
    """Store a sweep as the result `name`. BadInput where that name is taken, unless replace says that what is there may go.

    >>> ow.save_patching(sweep, "mine").name
    'mine'
    """
    return write_patching(sweep, place("result", name), replace=replace)


@saves
def write_patching(sweep: PatchingSweep, folder: Path | str, *, replace: bool = False) -> Path:
    """Write a sweep as an artifact folder."""
    folder = as_path(folder)
    arrays = {n: np.ascontiguousarray(getattr(sweep, n)) for n in _GRIDS}
    if sweep.control is not None:
        arrays["control"] = np.ascontiguousarray(sweep.control.raw)
    facts = {"what": WHAT, "over": sweep.over, "direction": sweep.direction, "metric": sweep.pair.metric} | {
        "clean": sweep.pair.clean.prompt,
        "corrupted": sweep.pair.corrupted.prompt,
        "answers": sweep.pair.answers,
        "largest": sweep.name(sweep.order()[0]),
    }
    manifest = Manifest("result", folder.name, sweep.pair.model, (KINDS[sweep.over].site,), facts=facts)
    plain = {"pair": asdict(sweep.pair), "over": sweep.over, "direction": sweep.direction}
    plain |= {"words": {str(i): text for i, text in sweep.words.items()}, "convention": sweep.convention}
    with writing(folder, manifest, replace=replace) as scratch:
        write_json(scratch / "report.json", plain)
        save_file(arrays, scratch / "grids.safetensors")
    return folder


@loads
def load_patching(where: str | Path) -> PatchingSweep:
    """A stored sweep by name or folder. BadInput where it is something else, Unavailable where it is damaged.

    >>> ow.load_patching("sweep").over
    'attn_out'
    """
    folder = found_folder("result", where, "Store one with save_patching.")
    manifest = read_manifest(folder, "result")
    if manifest.facts.get("what") != WHAT:
        raise BadInput(f"{folder} holds a result, but not of a patching sweep.")
    require_files(folder, manifest, ("report.json", "grids.safetensors"), "Run the sweep again.")
    with reading(folder, "run the sweep again"):
        plain = read_json(folder / "report.json")
        arrays = load_file(plain_file(folder / "grids.safetensors"))
        if plain["over"] not in KINDS or plain["direction"] not in DIRECTIONS:
            raise ValueError(f"sweep {plain['over']!r}, direction {plain['direction']!r}")
        control = arrays.pop("control", None)
        found = PatchingSweep(
            _pair(plain["pair"]),
            plain["over"],
            plain["direction"],
            **{n: arrays[n] for n in _GRIDS},
            words={int(i): text for i, text in plain["words"].items()},
            control=None if control is None else Control(control),
            convention=plain["convention"],
        )
        _require_whole(found)
    return found


def _require_whole(sweep: PatchingSweep) -> None:
    """ValueError unless the grids have the axes that the sweep names, over the prompts and answers that it names."""
    grid, pair, n = sweep.raw.shape, sweep.pair, len(sweep.pair.clean.tokens)
    if len(grid) != len(sweep.axes) or not sweep.raw.size or (sweep.kind.by_pos and grid[-1] != n):
        raise ValueError(f"a grid of {grid} over {', '.join(sweep.axes)} and {n} tokens")
    if sweep.answer_probs.shape != (*grid, len(pair.answers)) or sweep.computed.shape != grid:
        raise ValueError("the grids of one sweep differ in shape")
    if sweep.top_ids.shape != sweep.top_probs.shape or sweep.top_ids.shape[:-1] != grid:
        raise ValueError("the likeliest tokens and their probabilities differ in shape")
    if set(np.unique(sweep.top_ids).tolist()) - set(sweep.words):
        raise ValueError("a likely token has no text")
    if sweep.control is not None and sweep.control.raw.shape[1:] != grid:
        raise ValueError("the control has another shape than the sweep")
    kinds = [
        (sweep.raw, "f"),
        (sweep.answer_probs, "f"),
        (sweep.top_ids, "iu"),
        (sweep.top_probs, "f"),
        (sweep.computed, "b"),
    ]
    if (
        any(array.dtype.kind not in wanted for array, wanted in kinds)
        or not np.isfinite(sweep.raw[sweep.computed]).all()
    ):
        raise ValueError("a grid holds what are no numbers")
    if not all(map(_side, (pair.clean, pair.corrupted))) or not several(text)(pair.answers) or not text(pair.metric):
        raise ValueError("a prompt is not told as one")
    if (
        not mapping()(sweep.convention)
        or not all(map(text, sweep.words.values()))
        or not all(map(text, (pair.problem, pair.note)))
    ):
        raise ValueError("a text was wanted where something else is")
    if not several(whole(0, n - 1))(pair.differs):
        raise ValueError("the prompts differ at a token they do not have")


def _side(side: Side) -> bool:
    """Are a run's fields what they are declared to be?"""
    return (
        text(side.prompt)
        and several(text, 1)(side.tokens)
        and several(whole())(side.token_ids)
        and len(side.tokens) == len(side.token_ids)
        and all(text(t) and number()(p) for t, p in side.top)
        and several(number())(side.answer_probs)
        and number()(side.value)
    )


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
