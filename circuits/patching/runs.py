"""Cells of a sweep run together: row i of a pass is the base run with its own piece replaced (`circuits.patching.rows.run`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.patching.kinds import Kind
from circuits.patching.rows.run import run_rows
from circuits.patching.rows.windows import layers_around
from probe.interventions.forward import capture
from probe.model.anatomy import require_stream
from probe.model.sites import Site, layers_with, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Cell = tuple[int, ...]
"""A patch: its layer, and what else the axes of its kind say."""


def check_site(model: "TransformerBridge", kind: Kind) -> None:
    """BadInput where the model has no such place, or one whose change would not reach the rest of the model."""
    layers = layers_with(kind.site, model)
    parse_site(Site(kind.site, layers[0] if layers else 0), model)
    if kind.site == "resid_mid":
        require_stream(model)


def donors(model: "TransformerBridge", kind: Kind, ids: list[int]) -> dict[int, Float[Tensor, "..."]]:
    """What is patched in, by layer, from a run of `ids`."""
    tokens = torch.tensor([ids], device=model.W_E.device)
    sites = [Site(kind.site, i) for i in layers_with(kind.site, model)]
    held = capture(model, tokens, sites)
    return {int(site.layer or 0): held[site.name][0] for site in sites}


def where(kind: Kind, cell: Cell, positions: int = 1) -> tuple[Any, ...]:
    """A cell as an index of its site's value, without the batch axis. positions: how many from the cell's on."""
    axes = Site(kind.site, cell[0]).axes[1:]
    index: list[Any] = [slice(None)] * len(axes)
    for name, at in zip(kind.axes[1:], cell[1:], strict=True):
        along = axes.index({"pos": "pos" if "pos" in axes else "q_pos", "neuron": "d_mlp"}.get(name, name))
        index[along] = slice(at, at + positions) if name == "pos" and positions > 1 else at
    return tuple(index)


def run_cells(
    model: "TransformerBridge",
    base: Int[Tensor, "1 pos"],
    kind: Kind,
    given: Mapping[int, Float[Tensor, "..."]],
    cells: Sequence[Cell],
    *,
    window: int = 1,
    positions: int = 1,
    start: Float[Tensor, "1 pos d_model"] | None = None,
) -> Float[Tensor, "cell d_vocab"]:
    """Logits at the last position with each cell patched, one row a cell. Cells are in the order of their layers.

    window: layers around a cell's that are patched with it. positions: how many from the cell's on. start: see `run_rows`.
    """
    by_layer: dict[int, list[int]] = {}
    for row, cell in enumerate(cells):
        for layer in layers_around(cell[0], window, int(model.cfg.n_layers)):
            if layer in given:
                by_layer.setdefault(layer, []).append(row)

    def put(layer: int) -> Callable:
        def patched(value: Tensor) -> Tensor:
            changed = value.clone()
            for row in by_layer[layer]:
                index = where(kind, cells[row], positions)
                changed[(row, *index)] = given[layer][index].to(changed)
            return changed

        return patched

    return run_rows(model, base, len(cells), {Site(kind.site, layer): put(layer) for layer in by_layer}, start)
