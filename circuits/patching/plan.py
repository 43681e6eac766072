"""What a patching sweep is asked for, which patches it is made of, and what it will take."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch

from circuits.patching.kinds import KINDS, Direction, Kind, Metric, Over
from circuits.patching.pair import Custom
from circuits.patching.rows.plan import MEMORY, SCATTERED, SLACK, row_bytes
from circuits.patching.runs import Cell
from circuits.patching.sides import Pair
from probe.doc import Doc
from probe.errors import BadInput
from probe.memory import require
from probe.methods import Layers, chosen_layers
from probe.model.anatomy import spot
from probe.model.sites import Site, layers_with
from probe.plain_values import Settings, takes_fields
from probe.show.record import Record
from probe.text.prompts import Prompts
from probe.words import size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class PatchConfig(Settings):
    """What is patched, in which direction, and what is measured."""

    metric: Metric | Custom = "logit_diff"
    """What is measured after the last token: `logit_diff`, the right answer's logit minus the wrong one's; `log_prob` of the
    right answer; `kl` from the clean prediction. In Python also a function of those logits (row d_vocab) to one number a row."""
    over: Over = "resid_pre"
    """What one patch is: the stream at a position, what attention or the MLP writes there, a head, its queries, keys, values or
    pattern."""
    direction: Direction = "denoise"
    """`denoise`: the corrupted run is given parts of the clean one, which shows how much each restores; `noise`: the reverse, how
    much each breaks."""
    control: Annotated[int | Prompts, Doc(least=0, most=10_000)] = 0
    """How many unrelated donors to patch from too; what stands above them is what the real donor brings. In Python also prompts
    as long as these."""
    seed: Annotated[int, Doc(least=0, most=2_147_483_647)] = 0
    "Of the donors that are drawn."
    memory: Annotated[int, Doc(least=1)] = MEMORY
    "Bytes for the rows of a pass."
    batch: Annotated[int | None, Doc(least=1)] = None
    "Rows a pass, which changes the time and no result."
    exact: bool = False
    "Whether cells that cannot have an effect are run all the same."
    layers: Layers = None
    "Which layers are patched, each by itself."
    positions: Annotated[int, Doc(least=1)] = 1
    "How many positions are patched together, from each one on, of what is patched by position."


@dataclass(frozen=True)
class PatchingPlan(Record):
    """What a sweep takes: patches, how many of them are run (the others are known), rows a pass, passes, bytes. pair: the two
    runs before anything is patched."""

    over: str
    cells: int
    run: int
    batch: int
    passes: int
    bytes: int
    pair: Pair

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**self.__dict__, "pair": self.pair.rows()}

    def summary(self) -> str:
        """The two runs, and what the patches between them take."""
        known = f" ({self.cells - self.run} are known without)" if self.run < self.cells else ""
        return (
            f"{self.pair.summary()}\n{self.over}: {self.run} patches to run of {self.cells}{known}, {self.batch} a pass, "
            f"{self.passes} passes, about {size(self.bytes)} of memory."
        )


@takes_fields("config", PatchConfig, ("memory", "batch", "exact", "layers", "positions"))
def plan_patching(
    model: "TransformerBridge",
    pair: Pair,
    over: str = "resid_pre",
    *,
    control: int = 0,
    config: PatchConfig = PatchConfig(),
) -> PatchingPlan:
    """Rows of a pass and memory of a sweep. Raises BadInput for a sweep that is not there or does not fit into memory.

    More rows a pass save passes, each of which reads all weights; but rows of several layers start at the lowest of them.
    With r rows a layer and L layers the sum is least near sqrt(8 r L) rows.

    >>> pair = ow.read_pair(model, "Mary went to", "Rome went to", metric="kl")
    >>> ow.plan_patching(model, pair, "attn_out").cells
    20
    """
    kind, n_pos = kind_of(over), len(pair.clean.tokens)
    every = cells_of(model, kind, n_pos)
    run = cells_to_run(model, kind, every, pair, config)
    best = int(np.sqrt(8 * len(run))) if run else 1
    row, held = row_bytes(model, n_pos), _donor_bytes(model, kind, n_pos)
    rows = config.batch or max(1, min(best, config.memory // row, len(run)))
    total = SLACK + held + int(SCATTERED * rows * row)
    require(total, f"Patching {over} of {n_pos} tokens", model.W_E.device)
    passes = -(-len(run) // rows) * (1 + control)
    return PatchingPlan(over, len(every), len(run), rows, passes, total, pair)


def kind_of(over: str) -> Kind:
    """The kind of patch of this name."""
    if over not in KINDS:
        raise BadInput(f"There is no sweep over '{over}'; choose one of {', '.join(KINDS)}.")
    return KINDS[over]


def cells_of(model: Any, kind: Kind, n_pos: int) -> list[Cell]:
    """Every patch of a sweep, layer by layer."""
    layer = next(iter(layers_with(kind.site, model)), 0)
    held = spot(Site(kind.site, layer), model).sizes
    sizes = {
        "head": model.cfg.n_heads,
        **held,
        "layer": model.cfg.n_layers,
        "pos": n_pos,
        "neuron": held.get("d_mlp", 0),
    }
    return [tuple(int(i) for i in cell) for cell in np.ndindex(*(sizes[axis] for axis in kind.axes))]


def cells_to_run(model: Any, kind: Kind, cells: list[Cell], pair: Pair, config: PatchConfig) -> list[Cell]:
    """Without those that put in what is there already, and those of layers of another kind, or that nobody asked for."""
    there = set(layers_with(kind.site, model)) & set(chosen_layers(int(model.cfg.n_layers), config.layers))
    cells = [cell for cell in cells if cell[0] in there]
    if not cells:
        raise BadInput(f"None of the layers {config.layers} has what is patched: {kind.meaning}.")
    causal = getattr(model.cfg, "attention_dir", "causal") in (None, "causal")
    if config.exact or not causal or not kind.by_pos or not pair.differs:
        return cells
    return [cell for cell in cells if cell[-1] + config.positions > pair.differs[0]]


def _donor_bytes(model: Any, kind: Kind, n_pos: int) -> int:
    cfg, size = model.cfg, torch.finfo(model.W_E.dtype).bits // 8
    width = cfg.n_heads * n_pos if kind.site == "pattern" else max(cfg.d_model, cfg.n_heads * cfg.d_head)
    width = (cfg.d_mlp or width) if kind.site == "mlp_post" else width
    return cfg.n_layers * n_pos * width * size
