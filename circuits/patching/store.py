"""Sweeps on disk: stored like every record; those of before in `report.json` (prompts, conventions) and `grids.safetensors`."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from circuits.patching.kinds import DIRECTIONS, KINDS
from circuits.patching.record import Control, PatchingSweep
from circuits.patching.sides import Pair, Side
from probe.artifacts.folder import home, place
from probe.artifacts.manifest import Manifest, ModelStamp, found_folder, read_manifest, require_files
from probe.artifacts.records import RECORD, load_record, save_record
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
def write_patching(
    sweep: PatchingSweep,
    folder: Path | str,
    *,
    replace: bool = False,
    command: str = "",
    model: ModelStamp | None = None,
) -> Path:
    """Write a sweep as an artifact folder, like every record, with the stamp of the model it was made of."""
    return save_record(sweep, folder, replace=replace, command=command, model=model or sweep.pair.model)


@loads
def load_patching(where: str | Path) -> PatchingSweep:
    """A stored sweep by name or folder. BadInput where it is something else, Unavailable where it is damaged.

    >>> ow.load_patching("sweep").over
    'attn_out'
    """
    folder = found_folder("result", where, "Store one with save_patching.")
    manifest = read_manifest(folder, "result")
    of_before = manifest.facts.get("what") == WHAT and not (folder / RECORD).exists()
    if not of_before and not is_patching(manifest):
        raise BadInput(f"{folder} holds a result, but not of a patching sweep.")
    found = _of_before(folder, manifest) if of_before else load_record(folder)
    if not isinstance(found, PatchingSweep):
        raise BadInput(f"{folder} holds a {type(found).__name__}, not a patching sweep.")
    with reading(folder, "run the sweep again"):
        _require_whole(found)
    return found


def _of_before(folder: Path, manifest: Manifest) -> PatchingSweep:
    """A sweep in files of its own, as they were before sweeps were stored like every record."""
    require_files(folder, manifest, ("report.json", "grids.safetensors"), "Run the sweep again.")
    with reading(folder, "run the sweep again"):
        plain = read_json(folder / "report.json")
        arrays = load_file(plain_file(folder / "grids.safetensors"))
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


def _require_whole(sweep: PatchingSweep) -> None:
    """ValueError unless the grids have the axes that the sweep names, over the prompts and answers that it names."""
    if sweep.over not in KINDS or sweep.direction not in DIRECTIONS:
        raise ValueError(f"sweep {sweep.over!r}, direction {sweep.direction!r}")
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


def is_patching(manifest: Manifest) -> bool:
    """Whether a result is a sweep: stored by name, by the call that made it, or as it was before."""
    call = manifest.facts.get("call")
    asked = call.get("method") if isinstance(call, dict) else None
    return asked == "patch" or manifest.facts.get("what") in (WHAT, PatchingSweep.__name__)


def stored_patchings() -> list[tuple[str, Manifest]]:
    """Names and manifests of the stored sweeps, newest first."""
    found = []
    for folder in (home() / "results").glob("[!.]*/"):
        try:
            manifest = read_manifest(folder, "result")
        except OpenworkError:
            continue
        if is_patching(manifest):
            found.append((folder.name, manifest))
    return sorted(found, key=lambda pair: pair[1].created, reverse=True)
