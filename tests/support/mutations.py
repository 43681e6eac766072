"""Damage, by a seed: a thousand ways in which a stored folder can be wrong, and what opening it then does.

`scripts/damage.py` runs a thousand. Every trial copies one artifact of `stored_kinds`, damages it once, and reads all of it as a
person would. Two ends are right: it is refused in one of our sentences, or it is read as what it was. Wrong are another
exception, another content, and no end.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from probe.artifacts.folder import home, place
from probe.errors import OpenworkError, Unavailable

LIMIT = 60
"Seconds that reading a damaged folder may take on a slow machine; a hang takes longer."


# -- what is read -----------------------------------------------------------------------------------------------------


def read_cache(toy: Any) -> Any:
    from probe.activations.cache import open_cache

    cache = open_cache(place("cache", "cache"), toy)
    if broken := cache.verify():
        raise Unavailable(str(broken))
    found = [cache.mean(s) for s in cache.sites] + [
        cache.tokens().tokens,
        cache.held_out,
        repr(cache),
        cache._repr_html_(),
    ]
    return found + [batch.activations for batch in cache.batches(cache.sites, 64, split="all")]


def read_dictionary(toy: Any) -> Any:
    from app.pages.training import run
    from probe.dictionaries import load_dictionary
    from probe.training.run_logs.runs_on_disk import run_named

    learned = load_dictionary(place("dictionary", "dictionary"), toy)
    run.layout("dictionary", {})
    if problem := run_named("dictionary").problem:
        raise Unavailable(problem)
    return [dict(learned.state_dict()), learned(torch.ones(2, 64)).recons, run_named("dictionary").final()]


def read_features(toy: Any) -> Any:
    from app.pages.unit import page as unit
    from app.pages.unit_browser import browser as unit_browser
    from probe.features import open_features

    table = open_features(place("features", "features"), toy)
    unit_browser.layout("features", {})
    unit.layout("table", "features", "3", {})
    return [table.unit(3).to_dict(), table.rows(range(8)), table.to_dict(), str(table.search("a")), str(table.labels)]


def read_graph(toy: Any) -> Any:
    from app.pages.circuit import page as graph
    from circuits.graph.store import load_graph

    found = load_graph(place("graph", "graph"))
    graph.layout("graph", {})
    return [vars(found.nodes), vars(found.edges), found.report(), found.pinned, found.supernodes, found.unit_tokens]


def read_text(toy: Any) -> Any:
    from probe.text.documents import corpus
    from probe.text.model_samples import open_sample

    return [open_sample(place("text", "text")).to_dict()["n_tokens"], [d.text for d in corpus("sample:text")]]


def read_study(toy: Any) -> Any:
    from circuits.blind.study import open_study, reveal

    study = open_study("study")
    found = [study.to_dict(), study.tables(), study._repr_html_()]
    return [{**found[0], "revealed": None, "next_step": ""}, found[1], reveal("study").to_dict()]


def read_patching(toy: Any) -> Any:
    from app.pages import report
    from circuits.patching.store import load_patching

    found = load_patching("patching")
    report.layout("patching", {})
    return [found.to_dict(), found.rows(), found.title(), found._repr_html_()]


def read_eval(toy: Any) -> Any:
    from app.pages import report
    from app.pages.training import run
    from probe.evaluation.results import judged, newest_report

    report.layout("eval", {})
    run.layout("dictionary", {})
    rows, damaged = judged()
    if damaged:
        raise Unavailable(str(damaged))
    kept = newest_report("dictionary")
    return [[r for r in rows if r["result"] == "eval"], kept.rows() if kept else None]


def read_sweep(toy: Any) -> Any:
    from app.pages import report
    from probe.evaluation.results import judged

    report.layout("sweep", {})
    rows, damaged = judged()
    if damaged:
        raise Unavailable(str(damaged))
    return [r for r in rows if r["result"] == "sweep"]


def read_sampling(toy: Any) -> Any:
    from stored_kinds import resume_sample

    from probe.text.documents import corpus

    resume_sample(toy)
    return [d.text for d in corpus("sample:sampling")]


def read_training(toy: Any) -> Any:
    from stored_kinds import resume_training

    from probe.training.run_logs.runs_on_disk import runs

    [(run.row(), run.problem) for run in runs()]
    found = resume_training()
    return [dict(found.dictionary.state_dict())]


def read_harvesting(toy: Any) -> Any:
    from stored_kinds import resume_harvest

    cache = resume_harvest(toy)
    return [cache.rows(s, range(cache.n_tokens)) for s in cache.sites] + [cache.held_out, cache.tokens().tokens]


def read_jobs(toy: Any) -> Any:
    from app.jobs.table import Jobs
    from app.pages import jobs as page

    table = Jobs(home() / "jobs")
    page.layout({})
    return [str(job.title) for job in table.all() if job.id == "abc"][:0]


def read_prompts(toy: Any) -> Any:
    from app.library import prompts

    found = prompts.recent()
    if not found:  # what is damaged is passed over; its own page says so
        prompts.load("8ab63e29a4ba")
    return [(p.text, p.model) for p in found]


READERS: dict[str, Callable[[Any], Any]] = {
    name.removeprefix("read_"): reader for name, reader in list(globals().items()) if name.startswith("read_")
}


def common() -> None:
    """What every page of the dashboard reads, whatever is damaged."""
    from app.library.artifacts import library
    from app.pages import home as home_page
    from app.pages.circuit_list import page as circuits
    from app.pages.training import page as training
    from app.pages.unit_browser import page as units

    library()
    for page in (home_page, circuits, training, units):
        page.layout({})


# -- damage -----------------------------------------------------------------------------------------------------------

ODD: list[Any] = [
    None,
    "",
    "x",
    "\ud800",
    -1,
    0,
    1,
    2**31,
    10**30,
    1e308,
    0.5,
    True,
    [],
    {},
    [[]],
    {"a": [1]},
    ["x"],
    "../../x",
]


def _flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _truncate(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def _grow(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randrange(1, 200)))


def _noise(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(path.stat().st_size))


def _deep(path: Path, rng: random.Random) -> None:
    path.write_text(rng.choice(["[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, "[" * 990 + "]" * 990]))


def _other(path: Path, rng: random.Random) -> None:
    path.write_text(rng.choice(["[]", "{}", "null", "3", '"x"', "[[]]", '{"a": NaN}', "\n", "[1, {}]"]))


def _pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(["/dev/zero", "/etc/passwd", "/nowhere", "/dev/null", "/proc/self/mem", "."]))


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _gone(path: Path, rng: random.Random) -> None:
    if path.name != "labels.json":  # nobody has to label anything
        path.unlink()


def _swap(path: Path, rng: random.Random) -> None:
    other = rng.choice([p for p in path.parent.iterdir() if p != path and p.is_file()] or [path])
    shutil.copyfile(other, path.with_name(".swap"))
    os.replace(path, other)
    os.replace(path.with_name(".swap"), path)


def _places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*path, key))


def _in_json(path: Path, rng: random.Random) -> None:
    """One value in a JSON file is of another type or size, is gone, or is one too many."""
    lines = path.suffix == ".jsonl"
    text = path.read_text()
    rows = [json.loads(line) for line in text.splitlines()] if lines else [json.loads(text)]
    row = rng.randrange(len(rows))
    where = rng.choice(list(_places(rows[row]))[:400])
    holder: Any = rows
    for key in (row, *where)[:-1]:
        holder = holder[key]
    last = (row, *where)[-1]
    how = rng.choice(["odd", "odd", "odd", "near", "gone", "more"])
    if how == "gone" and where:
        del holder[last]
    elif how == "more" and isinstance(holder[last], dict):
        holder[last]["nobody knows this"] = rng.choice(ODD)
    elif how == "more" and isinstance(holder[last], list):
        holder[last].append(rng.choice([*ODD, *holder[last][:1]]))
    elif how == "near" and isinstance(holder[last], int | float) and not isinstance(holder[last], bool):
        holder[last] = rng.choice([holder[last] + 1, holder[last] * 2, -holder[last], float("nan"), float("inf")])
    else:
        holder[last] = rng.choice(ODD)
    written = [json.dumps(r) for r in rows]
    path.write_text("".join(line + "\n" for line in written) if lines else written[0])


def _in_header(path: Path, rng: random.Random) -> None:
    """The same in the header of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    beside = path.with_name("header.json")
    beside.write_bytes(data[8 : 8 + size])
    _in_json(beside, rng)
    header = beside.read_bytes()
    beside.unlink()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])


ANY = (_flip, _flip, _flip, _truncate, _grow, _noise, _deep, _other, _pipe, _link, _folder, _swap)


def damage(folder: Path, rng: random.Random) -> str:
    """Damage one file of a folder; what was done."""
    path = rng.choice(sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")))
    ways = [*ANY, _gone, lambda p, r: p.write_bytes(b"")]
    inner = _in_json if path.suffix in (".json", ".jsonl") else _in_header if path.suffix == ".safetensors" else None
    how = inner if inner and rng.random() < 0.6 else rng.choice(ways)
    how(path, rng)
    return f"{getattr(how, '__name__', 'how')} {path.name}"


def undigested(folder: Path) -> None:
    """Take the digest out of the manifest, as older ones lack it, and make the checksums fit."""
    path = folder / "manifest.json"
    if not path.is_file() or path.is_symlink():
        return
    try:
        raw = json.loads(path.read_text())
        raw.pop("digest", None)
        from probe.artifacts.digest import crc32, sha256

        for name, old in raw["files"].items():
            if (folder / name).is_file() and not (folder / name).is_symlink():
                raw["files"][name] = (crc32 if str(old).startswith("crc32") else sha256)(folder / name)
        path.write_text(json.dumps(raw))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return


# -- trials -----------------------------------------------------------------------------------------------------------


class Hang(BaseException):
    """Reading took too long."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def digest(value: Any) -> str:
    """A checksum of whatever a reader returned."""
    total = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            part = part.detach().float().numpy()
        if isinstance(part, np.ndarray):
            total.update(str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        elif isinstance(part, dict):
            for key, inner in part.items():
                total.update(repr(key).encode())
                add(inner)
        elif isinstance(part, list | tuple):
            for inner in part:
                add(inner)
        else:
            total.update(repr(part).replace(str(home()), "home").encode())  # each trial has its own

    add(value)
    return total.hexdigest()


def pristine(toy: Any) -> dict[str, str]:
    """What each reader makes of the undamaged artifacts; the home is left as it was."""
    kept, found = home(), {}
    for kind, reader in READERS.items():
        with copied(kept, toy):
            found[kind] = digest(reader(toy))
    return found


@contextmanager
def copied(pure: Path, toy: Any) -> Iterator[Path]:
    """A copy of a home as the home, for one trial."""
    from app.jobs import table as jobs
    from app.library import graphs, recent_records, tables

    scratch = Path(tempfile.mkdtemp(prefix="openwork-trial-"))
    shutil.copytree(pure, scratch, dirs_exist_ok=True)
    os.environ["OPENWORK_HOME"] = str(scratch)
    jobs.forget()
    for room in (recent_records, graphs, tables):
        room.forget()  # what was read from another copy
    try:
        yield scratch
    finally:
        os.environ["OPENWORK_HOME"] = str(pure)
        shutil.rmtree(scratch, ignore_errors=True)


def folder_of(kind: str, folders: dict[str, Path], there: Path, pure: Path) -> Path:
    """Where a kind lies in a copy."""
    if kind in ("jobs", "prompts"):
        return there / kind
    return there / folders[kind].resolve().relative_to(pure.resolve())


def trial(toy: Any, folders: dict[str, Path], sound: dict[str, str], seed: int) -> tuple[str, str, str]:
    """One damage and its end: `refused`, `same`, or what is wrong; what was done; the traceback, if any."""
    rng, pure = random.Random(seed), home()
    kind = rng.choice(sorted(READERS))
    with copied(pure, toy) as there:
        folder = folder_of(kind, folders, there, pure)
        did = f"{kind}: {damage(folder, rng)}"
        old = rng.random() < 0.4
        if old:
            undigested(folder)
            did += " (mended checksums)"
        try:
            with limited(LIMIT):
                common()
                found = digest(READERS[kind](toy))
        except OpenworkError as error:
            words = str(error)
            return ("long words", did, words) if len(words) > 1200 else ("refused", did, words)
        except Hang:
            return "HANG", did, traceback.format_exc()
        except BaseException:
            return "TRACEBACK", did, traceback.format_exc()
    return "same" if found == sound[kind] else "wrong (mended)" if old else "WRONG", did, ""


def run(toy: Any, folders: dict[str, Path], trials: range) -> tuple[Counter[str], list[tuple[int, str, str, str]]]:
    """Many trials; how often each end, and those that are wrong."""
    sound, ends, bad = pristine(toy), Counter[str](), []
    for seed in trials:
        end, did, trace = trial(toy, folders, sound, seed)
        ends[end] += 1
        if end not in ("refused", "same", "wrong (mended)"):
            bad.append((seed, end, did, trace))
    return ends, bad
