"""What a node may be: the names people choose from, and where each is in the model. No torch here."""

from dataclasses import dataclass
from typing import Literal

NodeChoice = Literal["components", "heads", "q", "k", "v", "qkv", "mlps", "neurons", "latents"]
"""Heads and MLPs together; heads (what each has gathered, `z`); their queries, keys, values, or all three; what MLPs write; MLP
neurons; latents of dictionaries."""


@dataclass(frozen=True)
class Family:
    """site: the kind of `probe.model.sites` whose value is a node's. axis: which of its axes counts nodes; "" where the whole
    site is one, and "latent" where a dictionary reads them off it."""

    site: str
    axis: str


FAMILIES: dict[str, Family] = {
    "head": Family("z", "head"),
    "query": Family("q", "head"),
    "key": Family("k", "kv_head"),
    "value": Family("v", "kv_head"),
    "mlp": Family("mlp_write", ""),
    "neuron": Family("mlp_post", "d_mlp"),
    "latent": Family("", "latent"),
    "rest": Family("", "latent"),
}
"""By name. A `rest` is what a dictionary leaves of the site that it writes."""

CHOICES: dict[str, tuple[str, ...]] = {
    "components": ("head", "mlp"),
    "heads": ("head",),
    "q": ("query",),
    "k": ("key",),
    "v": ("value",),
    "qkv": ("query", "key", "value"),
    "mlps": ("mlp",),
    "neurons": ("neuron",),
    "latents": ("latent",),
}
SIDES = {"query": "q", "key": "k", "value": "v"}
