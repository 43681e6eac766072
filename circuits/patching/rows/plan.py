"""What changed runs of a prompt take, told before they start: rows, passes, memory, and time by one pass that is timed."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch

from probe.doc import Doc
from probe.memory import require
from probe.model.anatomy import probe_tokens
from probe.plain_values import Settings
from probe.show.record import Record
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

MEMORY = 1_073_741_824
"""Bytes that the rows of one pass may take, unless told otherwise."""
SCATTERED = 1.5
"What a process takes over what its rows hold: memory of pieces that are freed has holes. Measured: up to 1.48."
SLACK = 32 << 20
"Bytes of buffers that no formula counts."
_MOST = 64
"""Rows of a pass: more save little, since each has layers of its own to run."""
_TIMED = 4


@dataclass(frozen=True)
class AtOnce(Settings):
    """How much is done at once; it changes the time and no result."""

    memory: Annotated[int, Doc(least=1)] = MEMORY
    "Bytes for the rows of a pass."
    batch: Annotated[int | None, Doc(least=1)] = None
    "Rows a pass; by default as many as fit into memory, 64 at most."


@dataclass(frozen=True, kw_only=True)
class RowsPlan(Record):
    """what: is run. runs: changed runs in all, batch: of them a pass, passes: forward passes. seconds: about, by a pass that was
    timed. bytes: beside the model."""

    what: str
    runs: int
    batch: int
    passes: int
    seconds: float
    bytes: int

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{self.what}: {counted(self.runs, 'run')}, {self.batch} a pass, {self.passes:,} passes, about "
            f"{estimate(self.seconds)} and {size(self.bytes)} of memory beside the model."
        )


def plan_rows(
    model: "TransformerBridge",
    what: str,
    rows: int,
    n_pos: int,
    at_once: AtOnce = AtOnce(),
    depth: float = 1.0,
    groups: int = 1,
) -> RowsPlan:
    """Rows of a pass, time and memory. depth: which share of the layers a row runs, on average. groups: how many the rows are
    in, of which no two share a pass. BadInput where it is too much."""
    each = row_bytes(model, n_pos)
    together = max(1, -(-rows // groups))
    batch = min(together, at_once.batch or max(1, min(_MOST, at_once.memory // each)))
    total = SLACK + int(SCATTERED * each * batch)
    require(total, what, model.W_E.device)
    passes = groups * -(-together // batch)
    seconds = depth * rows * seconds_of_row(model, n_pos)
    return RowsPlan(what=what, runs=rows, batch=batch, passes=passes, seconds=seconds, bytes=total)


@torch.no_grad()
def seconds_of_row(model: "TransformerBridge", n_pos: int) -> float:
    """How long one run of so many tokens takes beside others; timed once the model is warm."""
    tokens = probe_tokens(model)[:1]
    tokens = tokens.repeat(_TIMED, -(-n_pos // tokens.shape[1]))[:, :n_pos]
    model(tokens[:1])
    found = []
    for _ in range(3):  # the middle one: another job may hold up any of them
        begun = time.perf_counter()
        model(tokens)
        if tokens.device.type == "cuda":
            torch.cuda.synchronize(tokens.device)
        found.append(time.perf_counter() - begun)
    return sorted(found)[1] / _TIMED


def row_bytes(model: Any, n_pos: int) -> int:
    """What one row of a pass holds at its widest, generously: a layer's activations and patterns, and its logits in float64."""
    cfg, each = model.cfg, torch.finfo(model.W_E.dtype).bits // 8
    wide = 10 * cfg.d_model + 4 * (cfg.d_mlp or cfg.d_model) + 3 * cfg.n_heads * n_pos
    return n_pos * wide * each + cfg.d_vocab * 40
