"""Many changed runs of one prompt in one forward pass: row i of the batch is the base run with its own change.

The layers below the lowest change are the same in all rows, so they run on one row, and the batch spreads where the first change
is: the stream before that layer is copied for every row (`hook_in`), and masks and rotations, which do not depend on
the row, broadcast. Some models make something for each row before that (Bloom's position biases); `spreads` looks whether a
batch that grows on the way gives what each row gives alone, and where it does not, all rows run from the start. Only the last
position reaches the unembedding. None of this changes a number; the tests compare with passes that run everything.
(transformer-lens's `start_at_layer` runs the skipped blocks too and throws their output away.)
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import OpenworkError
from probe.interventions.forward import require_finite
from probe.model.anatomy import Spot, probe_tokens, spot
from probe.model.key_value_cache import keeps_nothing
from probe.model.sites import Site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Change = Callable[[Float[Tensor, "row ..."]], Float[Tensor, "row ..."]]
"""What a site's value of all rows becomes."""
Changes = Mapping[Site, Change]
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
    whole = require_finite(model(tokens.expand(3, -1)))
    return grown.shape == whole.shape and bool(
        torch.allclose(grown, whole, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))
    )


def run_rows(
    model: "TransformerBridge",
    base: Int[Tensor, "1 pos"],
    n: int,
    changes: Changes,
    start: Float[Tensor, "1 pos d_model"] | None = None,
) -> Float[Tensor, "row d_vocab"]:
    """Logits at the last position of `n` runs of these tokens, each changed as the changes say.

    start: what the stream before layer 0 is in all of them; by default the prompt's own. OpenworkError where a change was not
    read by what follows it.
    """
    rows = _Rows(model, n, changes, start)
    logits = rows.run(base, [])
    if logits is None or logits.shape[:2] != (n, 1):
        raise OpenworkError("The changed runs did not come out row by row, so nothing was measured.")
    return logits[:, 0]


def rows_held(
    model: "TransformerBridge", base: Int[Tensor, "1 pos"], n: int, changes: Changes, sites: Iterable[Site]
) -> dict[Site, Float[Tensor, "row ..."]]:
    """What `n` changed runs hold at these sites, changes of the same site included; the pass stops at the last of them."""
    rows, wanted = _Rows(model, n, changes, None), sorted(set(sites), key=lambda s: s.depth)
    rows.run(base, wanted)
    if missing := [site.short for site in wanted if site not in rows.held]:
        raise OpenworkError(f"{', '.join(missing)} did not fire in the changed runs, so nothing was read there.")
    return rows.held


class _Enough(Exception):
    """Raised inside the forward pass once every wanted site was seen."""


class _Rows:
    """One pass: what is changed in it, what of that has come by, what is kept of it."""

    def __init__(self, model: "TransformerBridge", n: int, changes: Changes, start: Tensor | None):
        self.model, self.n, self.changes, self.start = model, n, changes, start
        self.fired: set[Site] = set()
        self.held: dict[Site, Tensor] = {}

    @torch.no_grad()
    def run(self, base: Tensor, wanted: list[Site]) -> Tensor | None:
        """Logits; None where the pass ended at the last site that is wanted."""
        grown, logits = spreads(self.model), None
        with suppress(_Enough), self.model.hooks(fwd_hooks=self._hooks(grown, wanted)):
            logits = self.model(base if grown else base.expand(self.n, -1), **keeps_nothing(self.model))
        if silent := sorted(site.short for site in set(self.changes) - self.fired):
            raise OpenworkError(f"The changes at {', '.join(silent[:4])} never fired, so nothing was measured.")
        return logits

    def _hooks(self, grown: bool, wanted: list[Site]) -> list[tuple[str, Callable]]:
        hooks: list[tuple[str, Callable]] = []
        ordered = sorted(self.changes, key=lambda s: s.depth)
        n_layers = int(self.model.cfg.n_layers)
        first = min((n_layers if site.layer is None else site.layer for site in ordered), default=n_layers)
        if self.start is not None:
            at = spot(Site("resid_pre", 0), self.model)
            hooks.append((at.hook, self._starting(at, 1 if grown else self.n)))
        if grown and first < n_layers:
            hooks.append((spot(Site("resid_pre", first), self.model).hook, self._spread))
        for site in ordered:
            hooks.append((spot(site, self.model).hook, self._changing(spot(site, self.model))))
            if site.kind == "pattern":
                hooks.append((spot(Site("z", site.layer), self.model).hook, self._in_time(site)))
        hooks += [(spot(site, self.model).hook, self._keeping(spot(site, self.model), wanted)) for site in wanted]
        return [*hooks, ("unembed.hook_in", _last)]  # GPT-2 reshapes its final norm's output

    def _spread(self, value: Tensor, hook: object) -> Tensor:
        return value.expand(self.n, *value.shape[1:])

    def _starting(self, at: Spot, rows: int) -> Callable:
        start = self.start
        assert start is not None
        return lambda value, hook: at.change(value, rows, lambda v: start.to(v).expand_as(v))

    def _changing(self, at: Spot) -> Callable:
        def changed(value: Tensor, hook: object) -> Tensor:
            self.fired.add(at.site)
            alone = at.site.layer is None and value.shape[0] == 1  # nothing has spread before it
            return at.change(self._spread(value, hook) if alone else value, self.n, self.changes[at.site])

        return changed

    def _keeping(self, at: Spot, wanted: list[Site]) -> Callable:
        def keep(value: Tensor, hook: object) -> None:
            self.held[at.site] = at.read(value, self.n)
            if len(self.held) == len(wanted):
                raise _Enough

        return keep

    def _in_time(self, site: Site) -> Callable:
        """Hooked where a pattern is used: its change must have been made by then."""

        def check(value: Tensor, hook: object) -> None:
            if site not in self.fired:
                raise OpenworkError(
                    f"The attention patterns of layer {site.layer} cannot be patched: this model's attention reports them only "
                    "after using them. Change its queries or keys instead (head_q, head_k)."
                )

        return check


def _last(value: Tensor, hook: object) -> Tensor:
    return value[:, -1:]
