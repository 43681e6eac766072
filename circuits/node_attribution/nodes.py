"""The nodes of one model: groups of one family and layer, and what each of them is called.

    L5H3   L5H3<q>   L5KV1<k>   L5MLP   L5N120   L5F650   L5 rest          L5H3@-2 at one position

Positions count from the last token, where the metric is read: -1 is the last in prompts of every length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from circuits.node_attribution.kinds import CHOICES, FAMILIES, SIDES
from probe.dictionaries.owners import layer_read, owner_names, parts_of
from probe.errors import BadInput, brief
from probe.model.anatomy import require_stream, spot
from probe.model.sites import Site, layers_with, parse_site
from probe.model.unit_names import unit_name
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class Group:
    """Nodes of one family in one layer. units: how many; of a dictionary its latents and, last, the rest. sites: where their
    gradient is taken. heads: query heads that share each key or value."""

    family: str
    layer: int
    units: int
    sites: tuple[Site, ...]
    dictionary: Any = None
    owner: str = ""
    heads: int = 1

    def each(self) -> tuple[list[str], list[int]]:
        """Family and number of every unit; the number of a whole site is -1."""
        if self.dictionary is None:
            return [self.family] * self.units, list(range(self.units)) if FAMILIES[self.family].axis else [-1]
        n = self.units - 1
        return [*["latent"] * n, "rest"], [*range(n), -1]


def groups_of(model: "TransformerBridge", choice: str, dictionaries: Sequence[Any] = ()) -> list[Group]:
    """The nodes that were asked for. BadInput for what the model or its dictionaries do not have."""
    if choice not in CHOICES:
        raise BadInput(f"There are no nodes {brief(choice)}; choose {', '.join(CHOICES)}.")
    if dictionaries and choice != "latents":
        raise BadInput(f"Dictionaries came, and {choice} are none of their latents; ask for nodes='latents'.")
    if choice == "latents":
        return _latents(model, dictionaries)
    found: list[Group] = []
    for family in CHOICES[choice]:
        kind = FAMILIES[family].site
        layers = layers_with(kind, model)
        if not layers:
            spot(Site(kind, 0), model)  # says why there are none
        for layer in layers:
            axis = FAMILIES[family].axis
            size = spot(Site(kind, layer), model).sizes[axis] if axis else 1
            heads = spot(Site("z", layer), model).sizes["head"] // size if axis == "kv_head" else 1
            found.append(Group(family, layer, size, (Site(kind, layer),), heads=heads))
    return sorted(found, key=lambda g: (g.layer, CHOICES[choice].index(g.family)))


def _latents(model: "TransformerBridge", dictionaries: Sequence[Any]) -> list[Group]:
    parts = [part for one in dictionaries for part in parts_of(one)]
    if not parts:
        raise BadInput(
            "Latents are of dictionaries and none came; name some: dictionaries=['mlp4'] (--dictionaries mlp4)."
        )
    found = []
    for part, owner in zip(parts, owner_names(parts), strict=True):
        parse_site(part.site_in, model)  # refuses one that reads several places at once
        sites = tuple(parse_site(site, model) for site in getattr(part, "sites_out", None) or (part.site_out,))
        if any(site.kind == "resid_mid" for site in sites):
            require_stream(model)
        found.append(Group("latent", int(layer_read(part) or 0), part.W_enc.shape[1] + 1, sites, part, owner))
    return found


@dataclass(frozen=True, kw_only=True)
class Nodes(Record):
    """Every node in order. family: of each, an index into `families`. layer, unit: its numbers (unit -1: a whole site). position:
    counted from the last token, or 0 for a node that is its unit at every position. owner: an index into `owners`, the names that
    tell dictionaries of one layer apart. grouped: whether keys and values are shared by several heads."""

    families: list[str]
    owners: list[str]
    grouped: bool
    family: Int[np.ndarray, " node"]
    layer: Int[np.ndarray, " node"]
    unit: Int[np.ndarray, " node"]
    position: Int[np.ndarray, " node"]
    owner: Int[np.ndarray, " node"]

    def __len__(self) -> int:
        return len(self.layer)

    @property
    def by_position(self) -> bool:
        """Whether a node is a unit at one position."""
        return bool(self.position.any())

    def name(self, i: int) -> str:
        """The name of one node."""
        family, layer, unit = self.families[self.family[i]], int(self.layer[i]), int(self.unit[i])
        at = f"@{self.position[i]}" if self.position[i] else ""
        whose = f" of {self.owners[self.owner[i]]}" if self.owners[self.owner[i]] else ""
        if family in ("mlp", "rest"):
            return f"L{layer}{'MLP' if family == 'mlp' else ' rest'}{at}{whose}"
        if family in SIDES:
            shared = self.grouped and family != "query"
            return f"L{layer}{'KV' if shared else 'H'}{unit}<{SIDES[family]}>{at}"
        return f"{unit_name(family, layer, unit)}{at}{whose}"

    def find(self, name: str) -> int:
        """The node of a name. BadInput for one there is not."""
        number = name[1:].split("@")[0]
        digits = number[: len(number) - len(number.lstrip("0123456789"))]
        there = np.flatnonzero(self.layer == int(digits)) if digits else np.array([], int)
        found = next((int(i) for i in there if self.name(i) == name), None)
        if found is None:
            raise BadInput(f"There is no node {brief(name)}; they are named like {self.name(0)}.")
        return found

    def some(self, chosen: Int[np.ndarray, " some"]) -> "Nodes":
        """These nodes alone."""
        arrays = {name: getattr(self, name)[chosen] for name in ("family", "layer", "unit", "position", "owner")}
        return Nodes(families=self.families, owners=self.owners, grouped=self.grouped, **arrays)


def nodes_of(groups: Sequence[Group], length: int = 0) -> Nodes:
    """The nodes of groups, group by group, unit by unit. length: positions of the longest prompt; 0 for nodes that are units at
    every position."""
    positions = np.arange(-length, 0) if length else np.zeros(1, int)
    families, owners = list(dict.fromkeys(f for g in groups for f in _families(g))), sorted({g.owner for g in groups})
    family = np.concatenate([[families.index(f) for f in g.each()[0]] for g in groups])
    unit = np.concatenate([g.each()[1] for g in groups])
    layer = np.repeat([g.layer for g in groups], [g.units for g in groups])
    owner = np.repeat([owners.index(g.owner) for g in groups], [g.units for g in groups])
    columns = {"family": family, "layer": layer, "unit": unit, "owner": owner}
    repeated = {name: np.repeat(np.asarray(value, np.int64), len(positions)) for name, value in columns.items()}
    return Nodes(
        families=families,
        owners=owners,
        grouped=any(group.heads > 1 for group in groups),
        position=np.tile(positions.astype(np.int64), len(layer)),
        **repeated,
    )


def _families(group: Group) -> tuple[str, ...]:
    return (group.family,) if group.dictionary is None else ("latent", "rest")
