"""Many patches in one forward pass: row i of the batch is the base run with its own piece replaced.

The layers below the lowest patch are the same in all rows, so they run on one row, and the batch spreads where the first patch
is: the stream before that layer is copied for every row (`hook_in`), and masks and rotations, which do not depend on
the row, broadcast. Some models make something for each row before that (Bloom's position biases); `spreads` looks whether a
batch that grows on the way gives what each row gives alone, and where it does not, all rows run from the start. Only the last
position reaches the unembedding. None of this changes a number; the tests compare with passes that run everything.
(transformer-lens's `start_at_layer` runs the skipped blocks too and throws their output away.)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.patching.kinds import Kind
from probe.errors import OpenworkError
from probe.interventions.forward import capture
from probe.model.anatomy import probe_tokens, require_stream, spot
from probe.model.sites import Site, hook_name, layers_with, parse_site

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


_spreads: "WeakKeyDictionary[TransformerBridge, bool]" = WeakKeyDictionary()


def spreads(model: "TransformerBridge") -> bool:
    """Whether a batch of one may become one of several inside the forward pass; looked at once, at the first and last layer."""
    if model not in _spreads:
        _spreads[model] = all(_spread_is_exact(model, layer) for layer in {0, int(model.cfg.n_layers) - 1})
    return _spreads[model]


@torch.no_grad()
def _spread_is_exact(model: "TransformerBridge", layer: int) -> bool:
    tokens = probe_tokens(model)[:1]
    hook = spot(Site("resid_pre", layer), model).hook
    try:
        with model.hooks(fwd_hooks=[(hook, lambda value, hook: value.expand(3, *value.shape[1:]))]):
            grown = model(tokens)
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False
    whole = model(tokens.expand(3, -1))
    return grown.shape == whole.shape and bool(
        torch.allclose(grown, whole, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))
    )


def donors(model: "TransformerBridge", kind: Kind, ids: list[int]) -> dict[int, Float[Tensor, "..."]]:
    """What is patched in, by layer, from a run of `ids`."""
    tokens = torch.tensor([ids], device=model.W_E.device)
    sites = [Site(kind.site, i) for i in layers_with(kind.site, model)]
    held = capture(model, tokens, sites)
    return {int(site.layer or 0): held[site.name][0] for site in sites}


def where(kind: Kind, cell: Cell) -> tuple[Any, ...]:
    """A cell as an index of its site's value, without the batch axis."""
    axes = Site(kind.site, cell[0]).axes[1:]
    index: list[Any] = [slice(None)] * len(axes)
    for name, at in zip(kind.axes[1:], cell[1:], strict=True):
        index[axes.index(name if name in axes else "q_pos")] = at
    return tuple(index)


@torch.no_grad()
def run_cells(
    model: "TransformerBridge",
    base: Int[Tensor, "1 pos"],
    kind: Kind,
    given: Mapping[int, Float[Tensor, "..."]],
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
        at = spot(Site(kind.site, layer), model)

        def patched(value: Tensor) -> Tensor:
            changed = value.clone()
            for row in by_layer[layer]:
                index = where(kind, cells[row])
                changed[(row, *index)] = given[layer][index].to(changed)
            fired.add(layer)
            return changed

        return lambda value, hook: at.change(value, n, patched)

    def last(value: Tensor, hook: object) -> Tensor:
        return value[:, -1:]

    hooks: list[tuple[str, Callable]] = []
    if grown := spreads(model):
        hooks.append((str(hook_name(Site("resid_pre", first), model)), spread))
    for layer in by_layer:
        hooks.append((str(hook_name(Site(kind.site, layer), model)), put(layer)))
        if kind.site == "pattern":
            hooks.append((spot(Site("z", layer), model).hook, _in_time(layer, fired)))
    hooks.append(("unembed.hook_in", last))  # GPT-2 reshapes its final norm's output
    with model.hooks(fwd_hooks=hooks):
        logits = model(base if grown else base.expand(n, -1))
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
