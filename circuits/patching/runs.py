"""Many patches in one forward pass: row i of the batch is the base run with its own piece replaced.

The layers below the lowest patch are the same in all rows, so they run on one row, and the batch spreads where the first patch
is: the stream before that layer is copied for every row (`hook_in`), and masks and rotations, which do not depend on
the row, broadcast. Only the last position reaches the unembedding. Neither changes a number; the tests compare with passes
that run everything. (transformer-lens's `start_at_layer` runs the skipped blocks too and throws their output away.)
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.patching.kinds import Kind
from probe.errors import OpenworkError
from probe.forward import capture, unflattened
from probe.sites import Site, hook_name, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Cell = tuple[int, ...]
"""A patch: its layer, and what else the axes of its kind say."""


def check_site(model: "TransformerBridge", kind: Kind) -> None:
    """BadInput where the model has no such place."""
    parse_site(Site(kind.site, 0), model)


def donors(model: "TransformerBridge", kind: Kind, ids: list[int], base: list[int]) -> list[Float[Tensor, "..."]]:
    """What is patched in, layer by layer, from a run of `ids`; what `patched_at` names is replaced by it."""
    n = model.cfg.n_layers
    if kind.site != "resid_mid":
        return [v[0] for v in _captured(model, ids, [Site(kind.site, i) for i in range(n)])]
    # The bridge hooks resid_mid beside the stream, where a change reaches the MLP and not the stream. What attention writes is
    # in the stream: replaced by (donor's resid_mid - base's resid_pre), it makes the base's resid_mid the donor's.
    pre, own = [Site("resid_pre", i) for i in range(n)], [Site("attn_out", i) for i in range(n)]
    found = _captured(model, ids, [*pre, *own])
    below = _captured(model, base, pre)
    return [(found[i] + found[n + i] - below[i])[0] for i in range(n)]


def _captured(model: "TransformerBridge", ids: list[int], sites: Sequence[Site]) -> list[Tensor]:
    tokens = torch.tensor([ids], device=model.W_E.device)
    held = capture(model, tokens, list(sites))
    return [held[site.name] for site in sites]


def patched_at(kind: Kind, layer: int) -> Site:
    """Where the model is changed."""
    return Site("attn_out" if kind.site == "resid_mid" else kind.site, layer)


def where(kind: Kind, cell: Cell) -> tuple[Any, ...]:
    """A cell as an index of its site's value, without the batch axis."""
    axes = patched_at(kind, cell[0]).axes[1:]
    index: list[Any] = [slice(None)] * len(axes)
    for name, at in zip(kind.axes[1:], cell[1:], strict=True):
        index[axes.index(name if name in axes else "q_pos")] = at
    return tuple(index)


@torch.no_grad()
def run_cells(
    model: "TransformerBridge",
    base: Int[Tensor, "1 pos"],
    kind: Kind,
    given: Sequence[Float[Tensor, "..."]],
    cells: Sequence[Cell],
) -> Float[Tensor, "cell d_vocab"]:
    """Logits at the last position with each cell patched, one row a cell. Cells are in the order of their layers."""
    n, first = len(cells), cells[0][0]
    by_layer: dict[int, list[int]] = {}
    for row, cell in enumerate(cells):
        by_layer.setdefault(cell[0], []).append(row)
    fired: set[int] = set()

    def spread(value: Tensor, hook: object) -> Tensor:
        return value.expand(n, *value.shape[1:])

    def put(layer: int) -> Callable:
        site = patched_at(kind, layer)

        def change(value: Tensor, hook: object) -> Tensor:
            changed = unflattened(value, site, n).clone()
            for row in by_layer[layer]:
                index = where(kind, cells[row])
                changed[(row, *index)] = given[layer][index].to(changed)
            fired.add(layer)
            return changed.view_as(value)

        return change

    def last(value: Tensor, hook: object) -> Tensor:
        return value[:, -1:]

    hooks: list[tuple[str, Callable]] = [(str(hook_name(Site("resid_pre", first), model)), spread)]
    for layer in by_layer:
        hooks.append((str(hook_name(patched_at(kind, layer), model)), put(layer)))
        if kind.site == "pattern":
            hooks.append((str(hook_name(Site("z", layer), model)), _in_time(layer, fired)))
    hooks.append(("unembed.hook_in", last))  # GPT-2 reshapes its final norm's output
    with model.hooks(fwd_hooks=hooks):
        logits = model(base)
    silent = sorted(set(by_layer) - fired)
    if silent or logits.shape[:2] != (n, 1):
        raise OpenworkError(f"The patches at {kind.site} of layers {silent} never fired, so nothing was measured.")
    return logits[:, 0]


def _in_time(layer: int, fired: set[int]) -> Callable:
    """Hooked where a pattern is used: its patch must have been made by then."""

    def check(value: Tensor, hook: object) -> None:
        if layer not in fired:
            raise OpenworkError(
                f"The attention patterns of layer {layer} cannot be patched: this model's attention reports them only "
                "after using them. Patch head_q or head_k instead."
            )

    return check
