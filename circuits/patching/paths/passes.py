"""The two passes of path patching, for one pair of prompts: many senders at once, each a row.

    1   the base run with one sender as the donor has it; what lies between is held as the base has it; what the receivers read
        is kept
    2   the base run with the receivers reading that, everything after them running on

What lies between is held where it writes: a head by its z, an MLP by what it writes to the stream. A sender within a component
(a neuron, the queries of a head) sends through that component, which runs on in that row. A receiver that other receivers come
before is set as the first pass has it, whatever those do in the second (as Wang et al. do it). Of the logits the first pass is
all.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.patching.paths.ends import End
from circuits.patching.rows.run import rows_held, run_rows
from probe.interventions.forward import capture
from probe.model.anatomy import spot
from probe.model.sites import Site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Free = Literal["nothing", "mlps", "all"]
HELD: dict[Free, tuple[str, ...]] = {"nothing": ("z", "mlp_write"), "mlps": ("z",), "all": ()}
"""What is held between sender and receivers, by what is free."""
_WITHIN = {"z": ("attn_in", "q", "k", "v"), "mlp_write": ("mlp_in", "mlp_post")}
"""Of what is held: the sites that its own component has before it."""
Change = Callable[[Tensor], Tensor]


class PairPasses:
    """One pair: the base run, what the donor has at the senders, and both passes."""

    def __init__(
        self,
        model: "TransformerBridge",
        base: list[int],
        donor: list[int],
        senders: Sequence[End],
        receivers: Sequence[End],
        free: Free,
    ):
        self.model, self.receivers = model, receivers
        self.base, other = (torch.tensor([ids], device=model.W_E.device) for ids in (base, donor))
        self.between = held_between(model, senders, receivers, free)
        self.own = capture(model, self.base, self.between) if self.between else {}
        self.given = capture(model, other, {s.site for s in senders})

    def logits(self, senders: Sequence[End]) -> Float[Tensor, "sender d_vocab"]:
        """The prediction with the path of each of these senders patched."""
        if self.receivers[0].site.kind == "logits":
            return run_rows(self.model, self.base, len(senders), self._first(senders, {}))
        kept: dict[End, Tensor] = {}
        last = max((end.site for end in self.receivers), key=lambda s: s.depth)
        changes = {s: change for s, change in self._first(senders, kept).items() if s.depth <= last.depth}
        rows_held(self.model, self.base, len(senders), changes, [last])
        return run_rows(self.model, self.base, len(senders), self._second(kept))

    def _first(self, senders: Sequence[End], kept: dict[End, Tensor]) -> dict[Site, Change]:
        sites = {
            *self.between,
            *(s.site for s in senders),
            *(r.site for r in self.receivers if r.site.kind != "logits"),
        }
        return {site: self._sent(site, senders, kept) for site in sites}

    def _sent(self, site: Site, senders: Sequence[End], kept: dict[End, Tensor]) -> Change:
        """A site in the first pass: kept for its receivers, held where it lies between, the donor's in its senders' rows."""
        own = self.own[site.name] if site in self.between else None
        within = _WITHIN.get(site.kind, ())
        runs_on = [r for r, s in enumerate(senders) if s.site.layer == site.layer and s.site.kind in within]
        put = [(r, s.index) for r, s in enumerate(senders) if s.site == site]
        reading = [end for end in self.receivers if end.site == site]
        given = self.given[site.name][0] if put else None

        def changed(value: Tensor) -> Tensor:
            for end in reading:
                kept[end] = value[(slice(None), *end.index)].clone()
            if own is None and given is None:
                return value
            found = value.clone() if own is None else own.to(value).expand_as(value).clone()
            if own is not None and runs_on:
                found[runs_on] = value[runs_on]
            if given is not None:
                for row, index in put:
                    found[(row, *index)] = given[index].to(found)
            return found

        return changed

    def _second(self, kept: dict[End, Tensor]) -> dict[Site, Change]:
        def setting(site: Site) -> Change:
            def changed(value: Tensor) -> Tensor:
                found = value.clone()
                for end, read in kept.items():
                    if end.site == site:
                        found[(slice(None), *end.index)] = read.to(found)
                return found

            return changed

        return {end.site: setting(end.site) for end in kept}


def held_between(
    model: "TransformerBridge", senders: Sequence[End], receivers: Sequence[End], free: Free
) -> list[Site]:
    """Sites that are held, from the first sender's layer to the last receiver's. BadInput, with the reason, where the model has
    other parts there, which could not be held."""
    first, last = min(s.layer for s in senders), max(r.layer for r in receivers)
    layers = range(first, min(last + 1, int(model.cfg.n_layers)))
    found = [Site(kind, i) for i in layers for kind in HELD[free]]
    for site in found:
        spot(site, model)
    return found
