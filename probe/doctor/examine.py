"""What this machine has, what is missing, and how to mend it."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from probe.artifacts.disk_space import free_bytes
from probe.artifacts.folder import home
from probe.artifacts.json import Json
from probe.artifacts.leftovers import leftovers, unfinished
from probe.artifacts.manifest import Manifest, check_files, versions
from probe.artifacts.stored import library
from probe.doctor.libraries import TOKENS, generation, ranges
from probe.errors import OpenworkError
from probe.model.aliases import DEFAULT
from probe.model.models_folder import check_folder, model_cache

_REINSTALL = "make env in the repository, or pip install openwork: both install versions that were tested"
_CHECKED = 2_000_000_000  # bytes of artifacts whose checksums are read; larger ones are only checked for presence


MEND = "openwork doctor --mend"


@dataclass(frozen=True)
class Check:
    """One finding. state: good, missing (works without it) or broken."""

    name: str
    state: str
    found: str
    mend: str = ""

    @property
    def mark(self) -> str:
        return {"good": "ok", "missing": "--", "broken": "!!"}[self.state]


@dataclass(frozen=True)
class Examination:
    """Every finding. generation: `ok`, or what is wrong with generated text."""

    checks: list[Check]
    generation: str

    @property
    def broken(self) -> bool:
        """Whether something must be mended."""
        return any(c.state == "broken" for c in self.checks)

    def to_dict(self) -> Json:
        """Ready for JSON."""
        return {"broken": self.broken, "generation": self.generation, "checks": [asdict(c) for c in self.checks]}


def examine() -> Examination:
    """Look at everything; nothing is changed and nothing is fetched."""
    model, told = _model(), generation()
    checks = [*_versions(), *_machine(), model, _generation(told), *_artifacts(), _browser()]
    return Examination(checks, told)


def _generation(told: str) -> Check:
    if told == "ok":
        return Check("generation", "good", f"{TOKENS} tokens, the same with and without a cache of keys and values")
    return Check("generation", "broken", told, _REINSTALL)


def _versions() -> Iterator[Check]:
    for name in ("openwork", "python"):
        if name in versions():
            yield Check(name, "good", versions()[name])
    for name, found, tested in ranges():
        yield Check(name, "good" if tested else "broken", found, "" if tested else _REINSTALL)
    if "openwork" not in versions():
        yield Check("openwork", "missing", "not installed as a package", "pip install -e .")


def _machine() -> Iterator[Check]:
    import torch

    cuda = torch.cuda.is_available()
    yield Check(
        "device",
        "good",
        torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads, {platform.machine()}",
    )
    memory = _memory()
    if memory is not None:
        enough = memory >= 4e9
        yield Check(
            "memory",
            "good" if enough else "broken",
            f"{memory / 1e9:.1f} GB free",
            "" if enough else "close programs; the demo needs 4 GB",
        )
    for name, folder in (("artifacts", home()), ("models", model_cache())):
        free = free_bytes(folder)
        variable = "OPENWORK_HOME" if name == "artifacts" else "OPENWORK_CACHE"
        state = "good" if free > 3e9 else "broken"
        yield Check(
            f"disk for {name}",
            state,
            f"{free / 1e9:.1f} GB free at {folder}",
            "" if state == "good" else f"free 3 GB or set {variable}",
        )


def _memory() -> float | None:
    """Bytes that can be had without swapping, where the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * int(next(x for x in lines if x.startswith("MemAvailable")).split()[1])
    except (OSError, StopIteration):
        pages = os.sysconf_names if hasattr(os, "sysconf_names") else {}
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if "SC_PHYS_PAGES" in pages else None


def _model() -> Check:
    folder = model_cache() / DEFAULT
    if not (folder / "openwork.json").is_file():
        return Check("default model", "missing", "not fetched yet", "openwork demo (or make model) fetches it, 93 MB")
    try:
        check_folder(folder, read=True)
    except OpenworkError as error:
        return Check("default model", "broken", str(error).split(". ")[0], f"delete {folder}")
    return Check("default model", "good", f"in {folder}, checksums match")


def _artifacts() -> Iterator[Check]:
    stored = library()
    for kind, pairs in stored.kinds.items():
        good = 0
        for folder, manifest in pairs:
            broken = _damaged(folder, manifest)
            good += not broken
            if broken:
                mend = (
                    f"openwork harvest --repair --name {folder.name}"
                    if kind == "cache"
                    else f"make it again: {manifest.command}"
                )
                yield Check(f"{kind} {folder.name}", "broken", f"{', '.join(broken[:4])} missing or damaged", mend)
        yield Check(f"{kind} artifacts", "good", f"{good} stored")
    for name, reason in stored.damaged:
        yield Check(name, "broken", reason, f"delete {home() / name} or restore its manifest")
    for left in unfinished():
        mend = f"let {left.by} finish" if left.by else "run its command again with --resume, or delete the folder"
        yield Check(left.path.name, "missing", "unfinished", mend)
    for item in leftovers():
        shown = item.path.relative_to(home()) if item.path.is_relative_to(home()) else item.path
        yield Check(str(shown), "missing", item.what, MEND)


def _damaged(folder: Path, manifest: Manifest) -> list[str]:
    total = sum((folder / n).stat().st_size for n in manifest.files if (folder / n).is_file())
    if total > _CHECKED:
        return [n for n in manifest.files if not (folder / n).is_file()]
    return check_files(folder, manifest)


def _browser() -> Check:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return Check("browser for tests", "good", found)
    return Check(
        "browser for tests",
        "missing",
        "no Chromium",
        "apt-get install chromium (the browser tests are skipped without)",
    )
