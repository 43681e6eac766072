"""What a harvest will take, before it is begun: bytes, memory, time. Nothing is written."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.activations.layout import Layout, make_layout
from probe.activations.peak_bytes import events_of, extrapolated, process_bytes
from probe.activations.recorder import PART, Recorder
from probe.artifacts.disk_space import free_bytes
from probe.artifacts.names import as_path
from probe.model.sites import Site, as_dtype, parse_site
from probe.show.record import Record
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.text.tokens import TokenSet


@dataclass(frozen=True, kw_only=True)
class HarvestPlan(Record, renamed={"rows": "text_rows"}):
    """What a harvest will take. Bytes are on disk; `memory_bytes` is at the peak, beside the model: a shard, and the forward pass
    of a batch, by what two and three rows were seen to take; `seconds` is from one measured batch (None if not measured)."""

    sites: dict[str, int]
    dtype: str
    tokens: int
    special_tokens: int
    text_rows: int
    context: int
    documents: int
    shards: int
    bytes: int
    free_bytes: int
    memory_bytes: int
    tokens_per_second: float | None
    seconds: float | None

    @property
    def fits(self) -> bool:
        """Whether the disk has room."""
        return self.bytes <= self.free_bytes

    def summary(self) -> str:
        """What it takes, in words."""
        room = f"{size(self.free_bytes)} free{'' if self.fits else ': IT DOES NOT FIT'}"
        ends = ", ".join(f"{site} ({width})" for site, width in self.sites.items())
        return (
            f"{counted(self.tokens, 'token')} at {ends} in {counted(self.shards, 'shard')}: {size(self.bytes)} on disk ({room}), "
            f"{size(self.memory_bytes)} of memory beside the model, about {estimate(self.seconds)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {("rows" if k == "text_rows" else k): v for k, v in asdict(self).items()} | {"fits": self.fits}


def plan(
    model: "TransformerBridge",
    tokens: "TokenSet",
    sites: Sequence[str | Site],
    folder: str | Path = ".",
    *,
    dtype: str = "float16",
    shard_tokens: int = 65536,
    batch: int = 16,
    measure: bool = True,
) -> HarvestPlan:
    """What `harvest` with these arguments will take; refuses the same things. measure: run one batch to estimate the time."""
    layout = make_layout(model, sites, (len(tokens), tokens.context), dtype, shard_tokens)
    rate = _tokens_per_second(model, tokens, layout, batch) if measure else None
    return HarvestPlan(
        sites={parse_site(s).short: w for s, w in layout.widths.items()},
        dtype=dtype,
        tokens=layout.tokens,
        special_tokens=int(tokens.special.sum()),
        text_rows=layout.rows,
        context=layout.context,
        documents=len(tokens.doc.unique()),
        shards=layout.shards,
        bytes=layout.bytes,
        free_bytes=free_bytes(as_path(folder)),
        memory_bytes=_memory(model, tokens, layout, batch),
        tokens_per_second=rate,
        seconds=layout.tokens / rate if rate else None,
    )


_HELD = 8_000_000
"Bytes that the first forward passes and files take and keep, whatever their size."


def _memory(model: "TransformerBridge", tokens: "TokenSet", layout: Layout, batch: int) -> int:
    """A shard, the forward pass of a batch, and the copies of which a part's mean and variance are made: they are made in the
    background while the next shard's first batch goes through the model."""
    return layout.shard_bytes + pass_bytes(model, tokens, layout, batch) + _moments(layout) + _HELD


def _moments(layout: Layout) -> int:
    """A part's values at one site, as stored and in float64."""
    numbers = min(PART, layout.shard_tokens, layout.tokens) * max(layout.widths.values())
    return numbers * (as_dtype(layout.dtype).itemsize + 8)


def pass_bytes(model: "TransformerBridge", tokens: "TokenSet", layout: Layout, batch: int) -> int:
    """What a batch takes on its way through the model, from what two and three rows make and free: a single row is another case,
    for which some copies are not made."""
    rows = min(batch, layout.rows)
    few = min(2, rows), min(3, rows)
    recorder = Recorder(model, tokens, Layout(layout.widths, layout.dtype, layout.context, few[1], few[1]), batch)
    two, three = (events_of(lambda n=n: recorder.run(range(n))) for n in few)
    events = extrapolated(two, three, rows - few[0])
    return process_bytes(events) + _widened(model) * max(e.bytes for e in events)


def _widened(model: "TransformerBridge") -> int:
    """Products in half precision are made in float32, of which no operation tells: as much again twice as a result takes."""
    return 2 if model.W_E.element_size() == 2 else 0


def _tokens_per_second(model: "TransformerBridge", tokens: "TokenSet", layout: Layout, batch: int) -> float:
    """Speed of one batch, run twice: the first pass also pays for what is set up once."""
    rows = min(batch, layout.rows)
    small = Layout(layout.widths, layout.dtype, layout.context, rows, rows)
    recorder = Recorder(model, tokens, small, batch)
    recorder.record(0)
    start = time.perf_counter()
    recorder.record(0)
    return small.tokens / (time.perf_counter() - start)
