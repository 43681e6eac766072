"""One run with its graph, and the gradient of a metric at chosen sites, as often as it is asked for.

The gradient at a site is of the metric by what stands there, through everything that reads it later. `without` a layer it is that
of the same run with what the layer's attention and MLP add to the stream taken for constant: the gradient goes past them, along
the stream (GradDrop, Kramar et al. 2024). So one run forward serves all of its backward passes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.edge_attribution.gradients import Metric, frozen
from probe.errors import OpenworkError
from probe.model.anatomy import spot
from probe.model.key_value_cache import keeps_nothing
from probe.model.sites import Site, layers_with
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Gradients = dict[str, Tensor]
"""By the name of their site, on its axes; float32 at least."""


class Pass:
    """A run forward. put: what stands at some sites in place of what the model makes."""

    value: Float[Tensor, " batch"]

    def __init__(
        self,
        model: "TransformerBridge",
        tokens: Int[Tensor, "batch pos"],
        sites: Iterable[Site],
        metric: Metric,
        put: Mapping[Site, Tensor] | None = None,
        dropping: bool = False,
    ):
        self.model, self.batch, self._put, self._without = model, len(tokens), dict(put or {}), None
        self._at: dict[str, Tensor] = {}
        wanted = list(sites)
        start = spot(Site("resid_pre", 0), model).hook
        hooks: list[tuple[str, Callable]] = [(start, lambda value, hook: value.detach().requires_grad_())]
        hooks += [
            (spot(site, model).hook, self._keeping(site))
            for site in sorted({*wanted, *self._put}, key=lambda s: s.depth)
        ]
        if dropping:
            hooks += [(spot(site, model).hook, self._dropping(int(site.layer or 0))) for site in _writes(model)]
        hooks.append(("unembed.hook_in", lambda value, hook: value[:, -1:]))
        with torch.enable_grad(), frozen(model), model.hooks(fwd_hooks=hooks):
            self._total = metric(model(tokens, **keeps_nothing(model))[:, -1])
        self.value, self._sites = self._total.detach(), wanted
        if missing := [site.short for site in wanted if site.name not in self._at]:
            raise OpenworkError(f"{', '.join(missing[:3])} never fired, so no gradient was taken there.")

    def gradients(self, without: int | None = None, last: bool = True) -> Gradients:
        """At every site. without: the layer whose writes are taken for constant. last: whether no more are asked for."""
        self._without = without
        at = [self._at[site.name] for site in self._sites]
        found = torch.autograd.grad(self._total.sum(), at, retain_graph=not last, allow_unused=True)
        self._without = None
        if unread := [site.short for site, g in zip(self._sites, found, strict=True) if g is None]:
            raise OpenworkError(f"What stands at {', '.join(unread[:3])} is never read, so it has no gradient.")
        return {site.name: self._read(site, g) for site, g in zip(self._sites, found, strict=True)}

    def value_at(self, site: Site) -> Tensor:
        """What stood at a site."""
        return wide(spot(site, self.model).read(self._at[site.name].detach(), self.batch))

    def through(self, site: Site, later: Site, weight: Tensor) -> Tensor:
        """The gradient at a site of what stands at a later one, weighted and summed: by what lies between them alone."""
        value = self._at[later.name]
        given = spot(later, self.model).put(weight, value)
        (found,) = torch.autograd.grad(value, self._at[site.name], given, retain_graph=True)
        return self._read(site, found)

    def _read(self, site: Site, g: Tensor) -> Tensor:
        at = spot(site, self.model)
        found = wide(at.read(g, self.batch))
        return found if at.factor == 1.0 else found / at.factor**2  # `read` multiplied where a gradient is divided

    def _keeping(self, site: Site) -> Callable:
        at = spot(site, self.model)

        def keep(value: Tensor, hook: object) -> Tensor | None:
            if site in self._put:
                value = at.put(self._put[site], value).detach().requires_grad_()
            if site.kind == "resid_mid":  # the very tensor that the block adds to
                self._at[site.name] = value
                return None
            self._at[site.name] = value.clone()  # a tensor that nobody else reads
            return self._at[site.name]

        return keep

    def _dropping(self, layer: int) -> Callable:
        def through(value: Tensor, hook: object) -> Tensor:
            passed = value.clone()
            if passed.requires_grad:
                passed.register_hook(lambda g: torch.zeros_like(g) if self._without == layer else g)
            return passed

        return through


def _writes(model: "TransformerBridge") -> list[Site]:
    """What every layer adds to the stream."""
    return [Site(kind, layer) for kind in ("attn_out", "mlp_write") for layer in layers_with(kind, model)]
