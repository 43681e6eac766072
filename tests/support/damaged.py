"""Artifacts nobody could have meant: torn, empty, of another kind, with numbers no calendar or screen can hold, with markup in
every text. Written as files, without the code that writes good ones."""

import json
from pathlib import Path

from probe.artifacts.folder import KINDS

MARKUP = '<img src=x onerror="window.pwned=1">'


def manifest(kind: str, name: str, **changes: object) -> dict:
    """A manifest as it should be, and what is changed in it."""
    sound = {
        "kind": kind,
        "name": name,
        "model": {"name": "toy", "weights": "w" * 32, "tokenizer": "t" * 32},
        "sites": ["blocks.1.mlp.hook_in"],
        "dtype": "float32",
        "seed": 0,
        "config": {},
        "parents": [],
        "command": "",
        "facts": {},
        "files": {},
        "versions": {},
        "created": "2026-01-01T00:00:00+00:00",
        "schema": 1,
    }
    return {**sound, **changes}


def _write(folder: Path, text: str | bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    (folder / "manifest.json").write_bytes(data)


def fill(home: Path) -> dict[str, list[str]]:
    """Every damage for every kind of artifact; the names by kind."""
    return {kind: [_damage(home / folder, kind, how) for how in DAMAGES] for kind, folder in KINDS.items()}


def _damage(folder: Path, kind: str, how: str) -> str:
    name = f"{kind}-{how}" if how != "markup" else MARKUP.replace("/", "")
    DAMAGES[how](folder / name, kind, name)
    return name


def _numbers(folder: Path, kind: str, name: str) -> None:
    """Facts of the right name whose values are far beyond what anything could be."""
    huge = dict.fromkeys(("n_nodes", "n_units", "d_in", "d_dict", "n_tokens", "tokens", "steps", "seconds"), 10**30)
    facts = {**huge, "fvu": 1e308, "l0": float("inf"), "fvu_affine": float("nan"), "layers": [[0, 10**30], [1]]}
    _write(
        folder, json.dumps(manifest(kind, name, facts=facts, config={"rows": 10**20, "context": 10**20}, seed=10**40))
    )


def _types(folder: Path, kind: str, name: str) -> None:
    """Facts of the right name and the wrong type."""
    facts = {k: {"a": [1]} for k in ("n_nodes", "sparsifier", "d_in", "d_dict", "prompt", "units", "n_units", "layers")}
    _write(folder, json.dumps(manifest(kind, name, facts=facts, sites=["no.such.site", ""], created="yesterday")))


def _markup(folder: Path, kind: str, name: str) -> None:
    texts = dict.fromkeys(("prompt", "dictionary_kind", "source", "units", "site_in", "site_out"), MARKUP)
    model = {"name": MARKUP, "weights": MARKUP, "tokenizer": MARKUP}
    _write(
        folder,
        json.dumps(manifest(kind, name, model=model, facts=texts, sites=[MARKUP], command=MARKUP, created=MARKUP)),
    )


DAMAGES = {
    "torn": lambda folder, kind, name: _write(folder, json.dumps(manifest(kind, name))[:70]),
    "empty": lambda folder, kind, name: folder.mkdir(parents=True),
    "other": lambda folder, kind, name: _write(
        folder, json.dumps(manifest("cache" if kind != "cache" else "graph", name))
    ),
    "binary": lambda folder, kind, name: _write(folder, bytes(range(256)) * 4),
    "list": lambda folder, kind, name: _write(folder, "[1, 2]"),
    "deep": lambda folder, kind, name: _write(folder, "[" * 100_000),
    "bare": lambda folder, kind, name: _write(folder, json.dumps(manifest(kind, name))),
    "numbers": _numbers,
    "types": _types,
    "markup": _markup,
}
"""bare: a sound manifest with nothing beside it."""
