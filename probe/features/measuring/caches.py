"""On which stored cache some units are measured: one that holds what they read, of their model. By manifests, without torch.

Where no stored cache will do, the sites they read have to be harvested first, and the cache has a name already.
"""

from dataclasses import dataclass

from probe.artifacts.manifest import Manifest, ModelStamp, read_manifest
from probe.artifacts.stored import library, registered
from probe.errors import BadInput
from probe.model.sites import Site, parse_site
from probe.model.sizes import model_size
from probe.words import size

TOKENS = 100_000
"""Tokens that are harvested: enough for rates of one in a thousand, minutes on two cores with the small model."""
_BYTES = 2  # of a number in a cache, float16


@dataclass(frozen=True)
class Asked:
    """The neurons of a layer, or the latents of a stored dictionary, by its name. model: by its name, or as it was stamped when
    the dictionary was learned."""

    what: int | str
    model: str | ModelStamp

    @classmethod
    def of(cls, model: str, dictionary: str | None, layer: int | None) -> "Asked":
        """What a call asks for. BadInput where that is not one of the two, or is not there."""
        if (dictionary is None) == (layer is None):
            raise BadInput("Name what the units are: --dictionary NAME for its latents, or --layer N for MLP neurons.")
        if dictionary is not None:
            return cls(dictionary, _manifest(dictionary).model or model)
        if (shape := model_size(model)) and not 0 <= (layer or 0) < shape.layers:
            raise BadInput(f"{model} has layers 0 to {shape.layers - 1}; {layer} was asked for.")
        return cls(layer or 0, model)

    @property
    def reads(self) -> list[str]:
        """The sites that have to be harvested for them, in short."""
        if isinstance(self.what, int):
            return [Site("mlp_in", self.what).short]
        return [parse_site(str(site)).short for site in _manifest(self.what).facts.get("sites_in") or ()]

    def caches(self) -> list[str]:
        """Names of the stored caches on which they can be measured, newest first."""
        return [folder.name for folder, m in library("cache").kinds["cache"] if self._own(m.model) and self._held_in(m)]

    def cache(self, named: str | None, tokens: int) -> tuple[str, bool]:
        """The cache they are measured on, and whether it is there: the one that was named, the newest that will do, or one to
        harvest. BadInput for a name of none, and for one that holds something else."""
        there = self.caches()
        if (
            named is not None
            and named not in there
            and self._own(read_manifest(registered("cache", named), "cache").model)
        ):
            needed = " and ".join(self.reads)
            needed = f"mlp_post.{self.what} or {needed}" if isinstance(self.what, int) else needed
            raise BadInput(f"{named} does not hold what these units are measured from, {needed}. Harvest it.")
        if named is not None or there:
            return named or there[0], True
        model = self.model if isinstance(self.model, str) else self.model.name
        return f"{model.rstrip('/').split('/')[-1]}-{'-'.join(self.reads)}-{tokens // 1000}k", False

    def in_words(self, tokens: int) -> str:
        """What measuring them takes, before a model is loaded."""
        if there := self.caches():
            return f"One pass over the stored cache {there[0]} finds the text at which each unit fires, and how often."
        shape = model_size(self.model if isinstance(self.model, str) else self.model.name)
        room = f", about {size(tokens * _BYTES * shape.d_model * len(self.reads))} on disk" if shape else ""
        return (
            f"No stored cache holds {' and '.join(self.reads)}, so {tokens:,} tokens of the bundled text are harvested "
            f"first{room}. It can be cancelled, and goes on where it stopped."
        )

    def table(self, cache: str) -> str:
        """What their table is called."""
        return f"{self.what if isinstance(self.what, str) else f'neurons-{self.what}'}-on-{cache}"

    def _own(self, stamp: ModelStamp | None) -> bool:
        if stamp is None or isinstance(self.model, str):
            return stamp is not None and stamp.name == self.model
        return (stamp.weights, stamp.tokenizer) == (self.model.weights, self.model.tokenizer)

    def _held_in(self, cache: Manifest) -> bool:
        if isinstance(self.what, int):
            return self.what in neuron_layers(cache)
        return bool(self.reads) and set(self.reads) <= {parse_site(site).short for site in cache.sites}


def _manifest(dictionary: str) -> Manifest:
    return read_manifest(registered("dictionary", dictionary), "dictionary")


def neuron_layers(cache: Manifest) -> list[int]:
    """The layers whose neurons can be measured on a cache."""
    sites = [parse_site(s) for s in cache.sites]
    return sorted({s.layer for s in sites if s.kind in ("mlp_post", "mlp_in") and s.layer is not None})


def neuron_caches(model: str) -> dict[int, str]:
    """By layer, the newest stored cache on which the neurons of a model can be measured."""
    mine = [(folder.name, m) for folder, m in library("cache").kinds["cache"] if m.model and m.model.name == model]
    return {layer: name for name, m in reversed(mine) for layer in neuron_layers(m)}
