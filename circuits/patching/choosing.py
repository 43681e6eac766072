"""What a reader chooses of a sweep, by a place of the heat map or a row of the table: a cell, as layer, head and token."""

from typing import TYPE_CHECKING, Any

from circuits.patching.cell import effect_of
from probe.show.panels import Chosen, Panel, Rows

if TYPE_CHECKING:
    from circuits.patching.record import Cell, PatchingSweep

STRONGEST = 200
"""Patches that the table of the strongest shows; the rest is said to be there."""
COLOURS = "Blue moves the answer towards the clean run, red towards the corrupted one. Click a cell to look into it."
_NAMES = {"kv_head": "head", "pos": "token", "neuron": "column"}


def axes_of(sweep: "PatchingSweep") -> tuple[str, str]:
    """What a place of the heat map chooses, across and up."""
    if not sweep.kind.by_head:
        return "token", "layer"
    if sweep.kind.by_pos:
        return "token", f"head/{sweep.raw.shape[1]}"
    return _NAMES.get(sweep.axes[1], "head"), "layer"


def looking(sweep: "PatchingSweep") -> Chosen:
    """The cell that is chosen, looked into; the strongest where none is."""
    names = [_NAMES.get(axis, axis) for axis in sweep.axes]

    def show(**places: int) -> list[Panel]:
        return sweep.look(tuple(places[name] for name in names)).panels()

    sizes = dict(zip(names, sweep.raw.shape, strict=True))
    return Chosen(sizes, show, dict(zip(names, sweep.order()[0], strict=True)))


def pick(sweep: "PatchingSweep", cell: "Cell") -> dict[str, Any]:
    """A cell as what a reader chooses: layer, head, token."""
    found: dict[str, Any] = {"layer": cell[0]}
    if "neuron" in sweep.axes:
        return {**found, "column": cell[1]}
    if sweep.kind.by_head:
        found["head"] = f"{cell[0]}.{cell[1]}"
    return {**found, "token": cell[-1]} if sweep.kind.by_pos else found


def strongest(sweep: "PatchingSweep", k: int = STRONGEST) -> Rows:
    """The k patches that move the metric most, each with what choosing it chooses."""
    cells = sweep.order()[:k]
    run, every = int(sweep.computed.sum()), len(sweep.order())
    known = f"; {every - run:,} of all are known without a run" if run < every else ""
    title = f"Strongest patches: {len(cells):,} of {every:,} by what they move{known}"
    return Rows(title, [_row(sweep, cell) for cell in cells], [pick(sweep, cell) for cell in cells])


def _row(sweep: "PatchingSweep", cell: "Cell") -> dict[str, Any]:
    """A patch by its name without what the token says."""
    known, place = sweep.cell(cell), sweep.name(cell).partition(" at ")[0]
    found: dict[str, Any] = {"patch": f"{place} @{cell[-1]}" if sweep.kind.by_pos else place}
    if sweep.kind.by_pos:
        found["tokens"] = list(sweep.tokens_at(cell[-1]))
    found |= {"effect": effect_of(known["effect"]), sweep.pair.measured: known[sweep.pair.metric]}
    if sweep.control is not None:
        found |= {"unrelated donors": effect_of(known["control"]), "± sd": known["control sd"]}
    return found
