"""What each MLP, and each neuron of some, adds to the logits of the years at the last position, the final norm's divisor held."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float

from circuits.studies.component_circuits.direct import divisor, scale_site, toward_each
from circuits.studies.component_circuits.halves import ROWS, tokens
from circuits.studies.greater_than.years import Table, Years
from probe.interventions.forward import capture
from probe.model.sites import Site, hook_name
from probe.model.writes import wide
from probe.neurons.unit_writes import neuron_stack

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Neuron = tuple[int, int]
"""Place of its layer among those read, and number."""


@torch.no_grad()
def mlps_write(model: "TransformerBridge", years: Years) -> Float[np.ndarray, "pair layer value"]:
    """Of every MLP, less its mean over values."""
    sites = [Site("mlp_write", i) for i in range(int(model.cfg.n_layers))]
    directions = toward_each(model, torch.tensor(years.values, device=model.W_E.device))
    found = np.zeros((len(years.pairs), len(sites), len(years.values)))
    for some in years.pairs.groups(ROWS):
        held = capture(model, tokens(model, years.pairs.clean, some), [*sites, *scale_site(model)])
        for i, site in enumerate(sites):
            write = wide(held[site.name])[:, -1] / divisor(model, held, len(some))
            added = einsum(write, directions, "pair d_model, value d_model -> pair value")
            found[some, i] = added.double().cpu().numpy()
    return found - found.mean(-1, keepdims=True)


@dataclass(frozen=True)
class Neurons:
    """The neurons of some layers. active: of each prompt, over the divisors that follow. promotes: each value's logit, less the
    mean over values, for each unit of that."""

    layers: list[int]
    active: list[Float[np.ndarray, "pair unit"]]
    promotes: list[Float[np.ndarray, "unit value"]]

    def written(self, some: list[Neuron]) -> Table:
        """What these neurons add together."""
        found = np.zeros((len(self.active[0]), self.promotes[0].shape[1]))
        for i, u in some:
            found += np.outer(self.active[i][:, u], self.promotes[i][u])
        return found

    def leads(self, later: Table) -> list[Float[np.ndarray, " unit"]]:
        """What each neuron adds to a weighted sum of values, mean over prompts."""
        n = len(later)
        return [
            np.einsum("pu,uv,pv->u", a, p, later, optimize=True) / n
            for a, p in zip(self.active, self.promotes, strict=True)
        ]


@torch.no_grad()
def neurons_of(model: "TransformerBridge", years: Years, layers: list[int]) -> Neurons:
    """The neurons of these layers, at the last position of the clean prompts."""
    directions = toward_each(model, torch.tensor(years.values, device=model.W_E.device))
    sites = [Site(kind, i) for i in layers for kind in ("mlp_post", "ln2_post_scale")]
    sites = [site for site in sites if site.kind == "mlp_post" or hook_name(site, model) is not None]
    active: list[list[np.ndarray | None]] = [[None] * len(years.pairs) for _ in layers]
    promotes = []
    for some in years.pairs.groups(ROWS):
        held = capture(model, tokens(model, years.pairs.clean, some), [*sites, *scale_site(model)])
        last = {site.name: held[site.name][:, -1][None] for site in sites}
        promotes = []
        for i, layer in enumerate(layers):
            stack = neuron_stack(model, last, layer)
            reach = (wide(stack.reach) / divisor(model, held, len(some))).double().cpu().numpy()
            for row, one in zip(some, reach, strict=True):
                active[i][row] = one
            given = einsum(wide(stack.writers), directions.to(stack.writers), "unit d, value d -> unit value")
            promotes.append((given - given.mean(1, keepdim=True)).double().cpu().numpy())
    return Neurons(layers, [np.stack(rows) for rows in active], promotes)  # type: ignore[arg-type]
