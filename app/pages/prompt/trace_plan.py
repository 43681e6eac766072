"""What a trace may be made with, and what it will take: the stored dictionaries of a model that can stand in a graph, and the
plan that `openwork trace --dry-run` announces, without running anything."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.library import models
from app.library.artifacts import library
from app.library.trace_asked import TraceAsked
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput
from probe.model.sites import parse_site

if TYPE_CHECKING:
    from circuits.attribution.plan import TracePlan

NODES = (100, 500, 1000, 2000, 4000)
MOST_NODES = 20_000


@dataclass(frozen=True)
class Usable:
    """A stored dictionary that can stand in a graph. layers: those it explains; d_dict: latents of each."""

    name: str
    layers: tuple[int, ...]
    kind: str
    d_dict: int

    @property
    def label(self) -> str:
        where = f"layer {self.layers[0]}" if len(self.layers) == 1 else f"layers {self.layers[0]} to {self.layers[-1]}"
        return f"{self.name} ({where}, {self.kind.replace('_', ' ')}, {self.d_dict:,})"


def usable(model: str) -> list[Usable]:
    """The stored dictionaries of this model that a trace takes, newest first."""
    pairs = [m for _, m in library().kinds["dictionary"] if m.model and m.model.name == model]
    return [found for manifest in pairs if (found := _usable(manifest)) is not None]


def newest(model: str) -> list[str]:
    """Names of the newest usable transcoders, one a layer: what `latents where there are any` means."""
    taken: set[int] = set()
    names = []
    for one in usable(model):
        if "transcoder" in one.kind and not taken & set(one.layers):
            taken |= set(one.layers)
            names.append(one.name)
    return names


def _usable(manifest: Manifest) -> Usable | None:
    facts = manifest.facts
    kind, reads = str(facts.get("dictionary_kind", "")), facts.get("sites_in") or [facts.get("site_in", "")]
    writes = facts.get("sites_out") or [facts.get("site_out", "")]
    try:
        read, write = [parse_site(str(s)) for s in reads], [parse_site(str(s)) for s in writes]
    except BadInput:
        return None
    one_layer = len(read) == 1 and all(s.layer is not None for s in (*read, *write)) and write[0].layer == read[0].layer
    fits = kind == "cross_layer_transcoder" or (
        one_layer and read[0].kind in ("mlp_in", "resid_mid", "mlp_out", "mlp_write", "resid_post")
    )
    if not fits or kind == "crosscoder":
        return None
    return Usable(manifest.name, tuple(s.layer or 0 for s in read), kind, int(facts.get("d_dict") or 0))


def chosen(model: str, basis: str, names: list[str] | None) -> tuple[str, ...]:
    """The dictionaries of a choice: none for `neurons` and `components`, one a layer for `newest`, those named for `chosen`."""
    return {"neurons": (), "newest": tuple(newest(model)), "chosen": tuple(names or ())}.get(basis, ())


def trace_plan(model: str, n_tokens: int, asked: TraceAsked) -> "TracePlan | None":
    """The plan, or None while the model is not in memory. Raises BadInput where it would not fit."""
    loaded: Any = models.in_memory(model)
    if loaded is None:
        return None
    from circuits.attribution.plan import plan_trace  # torch came with the model

    widest = max((one.d_dict for one in usable(model) if one.name in asked.dictionaries), default=0)
    return plan_trace(loaded, n_tokens, asked.config(), widest, int(asked.target is not None))
