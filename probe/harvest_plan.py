"""What a harvest will take, before it is begun: bytes, memory, time. Nothing is written."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.html import table_html
from probe.layout import Layout, make_layout
from probe.live_bytes import peak_bytes
from probe.names import as_path
from probe.recorder import PART, Recorder
from probe.sites import Site, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.tokens import TokenSet


@dataclass(frozen=True)
class HarvestPlan:
    """What a harvest will take. Bytes are on disk; `memory_bytes` is at the peak, beside the model: a shard, and the forward pass
    of a batch, by what one and two rows were seen to take; `seconds` is from one measured batch (None if it was not measured)."""

    sites: dict[str, int]
    dtype: str
    tokens: int
    special_tokens: int
    rows: int
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

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "fits": self.fits}

    def _repr_html_(self) -> str:
        shown = {k: f"{v:,}" if isinstance(v, int) else v for k, v in self.to_dict().items()}
        return table_html([{"": name, "value": value} for name, value in shown.items()], "Harvest plan")


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
        rows=layout.rows,
        context=layout.context,
        documents=len(tokens.doc.unique()),
        shards=layout.shards,
        bytes=layout.bytes,
        free_bytes=free_bytes(as_path(folder)),
        memory_bytes=_memory(layout, _forward_bytes(model, tokens, layout, batch)),
        tokens_per_second=rate,
        seconds=layout.tokens / rate if rate else None,
    )


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk where `folder` is or would be."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(there).free


_HELD = 8_000_000
"Bytes that the first forward passes and files take and keep, whatever their size."
_SCATTERED = 1.4
"What a process takes for its tensors, over what they hold: freed memory is not all given back. Measured 1.14 to 1.4."


def _memory(layout: Layout, forward: int) -> int:
    """A shard, the forward pass, and the float64 copies of which a part's mean and variance are made."""
    tokens = min(PART, layout.shard_tokens, layout.tokens)
    moments = 3 * 8 * tokens * max(layout.widths.values())
    return layout.shard_bytes + int(_SCATTERED * forward) + moments + _HELD


def _forward_bytes(model: "TransformerBridge", tokens: "TokenSet", layout: Layout, batch: int) -> int:
    """What a batch takes at its peak while it goes through the model: so much, and so much more a row."""
    rows = min(batch, layout.rows)
    small = Layout(layout.widths, layout.dtype, layout.context, rows, rows)
    recorder = Recorder(model, tokens, small, batch)
    one, two = (peak_bytes(lambda n=n: recorder.run(range(n))) for n in (1, min(2, rows)))
    return one + (rows - 1) * (two - one)


def _tokens_per_second(model: "TransformerBridge", tokens: "TokenSet", layout: Layout, batch: int) -> float:
    """Speed of one batch, run twice: the first pass also pays for what is set up once."""
    rows = min(batch, layout.rows)
    small = Layout(layout.widths, layout.dtype, layout.context, rows, rows)
    recorder = Recorder(model, tokens, small, batch)
    recorder.record(0)
    start = time.perf_counter()
    recorder.record(0)
    return small.tokens / (time.perf_counter() - start)
