"""What the corrupted run moves a group's nodes by, and what that move is worth by a gradient.

    score(node) = (value in the corrupted run - value in the clean run) . gradient of the metric at the node

summed over the numbers that a node has at a position. A latent's value changes what its dictionary writes along its decoder row,
whose gradient is W_dec . gradient at the site written; what the dictionary leaves of the site is its `rest`, so that latents and
rest sum to the score of the site itself.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.node_attribution.nodes import Group
from circuits.node_attribution.passes import Gradients
from probe.interventions.forward import per_token
from probe.interventions.unit_edits import encoded
from probe.model.sites import parse_site
from probe.model.writes import wide

Values = dict[str, Tensor]
"""What one run has at sites, by their name."""


class Move(Protocol):
    """What a group's nodes are moved by."""

    def score(self, at: Gradients) -> Float[Tensor, "batch unit pos"]: ...


@dataclass(frozen=True, eq=False)
class Straight:
    """Along the gradient at one site. heads: query heads whose scores are summed to one unit's."""

    site: str
    change: Float[Tensor, "batch pos part width"]
    heads: int = 1

    def score(self, at: Gradients) -> Float[Tensor, "batch unit pos"]:
        """Of every unit at every position."""
        found = einsum(self.change, self._at(at), "b pos part width, b pos part width -> b part pos")
        return found.unflatten(1, (-1, self.heads)).sum(2) if self.heads > 1 else found

    def by_chance(self, at: Gradients) -> Float[Tensor, "batch unit pos"]:
        """The mean square of the score of a random direction of the same length: |move|^2 |gradient|^2 / width."""
        found = self.change.square().sum(-1) * self._at(at).square().sum(-1) / self.change.shape[-1]
        return found.transpose(1, 2)

    def _at(self, at: Gradients) -> Tensor:
        return at[self.site].view_as(self.change)


@dataclass(frozen=True, eq=False)
class OfLatents:
    """Of a dictionary's latents and what it leaves of the sites that it writes."""

    sites: tuple[str, ...]
    latents: Float[Tensor, "batch pos latent"]
    rest: Float[Tensor, "batch pos width"]
    W_dec: Float[Tensor, "latent width"]

    def score(self, at: Gradients) -> Float[Tensor, "batch unit pos"]:
        """Of every latent at every position; of the rest, last."""
        g = torch.cat([per_token(at[site]) for site in self.sites], -1).to(self.rest)
        each = self.latents * (g @ self.W_dec.T)
        return torch.cat([each, (self.rest * g).sum(-1, keepdim=True)], -1).transpose(1, 2)


def straight(group: Group, clean: Values, corrupted: Values) -> Straight:
    """The move of what stands at a group's site."""
    name = group.sites[0].name
    change = wide(corrupted[name]) - wide(clean[name])
    if group.family == "neuron":
        return Straight(name, change[..., None])
    return Straight(name, change if change.ndim == 4 else change[:, :, None])


def of_latents(group: Group, clean: Values, corrupted: Values) -> OfLatents:
    """The move of a dictionary's latents and its rest."""
    dictionary: Any = group.dictionary
    source, sites = parse_site(dictionary.site_in).name, tuple(site.name for site in group.sites)
    W_dec = wide(dictionary.W_dec)
    latents = wide(encoded(dictionary, per_token(corrupted[source])) - encoded(dictionary, per_token(clean[source])))
    whole = torch.cat([per_token(wide(corrupted[s]) - wide(clean[s])) for s in sites], -1)
    return OfLatents(sites, latents, whole.to(latents) - latents @ W_dec, W_dec)
