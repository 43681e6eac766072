"""What an import or an export will take, before it is begun. Nothing is written, and nothing is fetched."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from probe.exchange import hub
from probe.show.record import Record
from probe.words import estimate, size

BYTES_PER_SECOND = 1e8
"""A cautious rate of reading, checking and writing weights."""


@dataclass(frozen=True)
class ExchangePlan(Record):
    """Which dictionaries there are. Weights are held twice as wide while conventions are folded."""

    format: str
    dictionaries: list[str]
    disk_bytes: int
    memory_bytes: int
    seconds: float

    def summary(self) -> str:
        """What it takes, in words."""
        names = ", ".join(self.dictionaries[:8]) + " ..." * (len(self.dictionaries) > 8)
        return (
            f"{len(self.dictionaries)} of the format {self.format}: {names}; {size(self.disk_bytes)} on disk, at most "
            f"{size(self.memory_bytes)} of memory, about {estimate(self.seconds)}"
        )


@dataclass(frozen=True)
class DownloadPlan(Record):
    """What has to be fetched first; what it holds is known after that."""

    source: str
    download_bytes: int
    seconds: float | None = None

    def summary(self) -> str:
        """What it takes, in words."""
        return f"{self.source}: up to {size(self.download_bytes)} to download; what it holds is known after that"


def plan_download(source: str) -> DownloadPlan:
    """Of a name on a hub."""
    return DownloadPlan(source, hub.size(source))


def plan_exchange(format: str, names: Sequence[str], places: Sequence[Path], parts: Sequence[str] = ()) -> ExchangePlan:
    """Of dictionaries whose weights lie in these places, or in these parts of each."""
    bytes_ = sum(_bytes(place, parts) for place in places)
    return ExchangePlan(format, [*names], bytes_, 3 * bytes_, bytes_ / BYTES_PER_SECOND + 1)


def _bytes(path: Path, parts: Sequence[str]) -> int:
    """Bytes of the weights that would be read."""
    if path.is_file():
        return path.stat().st_size
    own = [path / part for part in parts if (path / part).exists()] or [path]
    files = (f for top in own for f in (top.rglob("*") if top.is_dir() else [top]))
    return sum(f.stat().st_size for f in files if f.is_file())
