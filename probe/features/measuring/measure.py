"""Measure the units of a layer or of a dictionary into a stored table, by names alone: `openwork features measure-units`.

They are measured on a stored cache that holds what they read; where none is named or there, on text that is harvested first.
What was harvested stays as a cache, so the next table of the same layer needs no harvest. Both steps go on where they were
stopped. What brings torch is imported where it is needed: the name of a table is asked for before a model is loaded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from probe.artifacts.folder import place
from probe.artifacts.manifest import model_made_from
from probe.artifacts.stored import registered
from probe.doc import Doc
from probe.features.measuring.caches import TOKENS, Asked
from probe.features.measuring.config import FeatureConfig
from probe.identity import model_name
from probe.methods import CacheName, CorpusName, DictionaryName, method
from probe.model.aliases import DEFAULT
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.panels import Panel
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.features.table import FeatureTable
    from probe.text.tokens import TokenSet

KEPT = ("top", "bins", "per_bin", "pool", "window", "tokens", "neighbours", "min_joint", "min_count", "sample", "seed")


@dataclass(frozen=True, kw_only=True)
class Measured(Record):
    """A table that was measured: its name, or its folder where it is none of those here; and the name of its cache."""

    name: str
    cache: str

    @property
    def table(self) -> "FeatureTable":
        """What was measured. BadInput where it is not stored any more."""
        from probe.features.table import open_features

        return open_features(self.name)

    def panels(self) -> list[Panel]:
        """Those of the table."""
        return self.table.panels()

    def rows(self) -> list[dict[str, Any]]:
        """A row of numbers and tokens for every unit."""
        return self.table.rows()

    def to_dict(self) -> dict[str, Any]:
        return {**self.table.to_dict(), "cache": self.cache}

    def summary(self) -> str:
        """Of what, and on how much."""
        return repr(self.table)


@dataclass(frozen=True)
class MeasuredOn(Settings):
    """On what units are measured."""

    cache: CacheName | None = None
    "On what; by default the newest cache that holds what they read. Where none does, text is harvested first."
    text: CorpusName = "sotu"
    "What is harvested then."
    read: Annotated[int, Doc(least=1)] = TOKENS
    "Tokens that are harvested then."

    def rows(self, model: "TransformerBridge") -> "TokenSet":
        """What is harvested then."""
        from probe.text.documents import corpus
        from probe.text.tokens import tokenize

        return tokenize(model, corpus(self.text, seed=0), max_tokens=self.read)


def table_name(
    model: str, dictionary: str | None = None, layer: int | None = None, cache: str | None = None, read: int = TOKENS
) -> str:
    """`layer4-sae-on-layer4`: of what, on which cache."""
    asked = Asked.of(model, dictionary, layer)
    return asked.table(asked.cache(cache, read)[0])


def model_of_cache(cache: str | None = None, dictionary: str | None = None) -> str:
    """The name of the model that the cache was made from, or for which the dictionary was learned."""
    for kind, name in (("cache", cache), ("dictionary", dictionary)):
        if name is not None and (made_from := model_made_from(kind, registered(kind, name))):
            return made_from
    return DEFAULT


@takes_fields("on", MeasuredOn)
@takes_fields("config", FeatureConfig)
def plan_measure_units(
    model: "TransformerBridge",
    dictionary: DictionaryName | None = None,
    layer: int | None = None,
    folder: Path = Path(),
    *,
    on: MeasuredOn = MeasuredOn(),
    config: FeatureConfig = FeatureConfig(),
) -> Record:
    """What `measure_units` would take: the table, or where text has to be harvested first, that."""
    from probe.activations.cache import open_cache
    from probe.activations.plan import plan
    from probe.dictionaries import load_dictionary
    from probe.features.measuring.plan import plan_features

    asked = Asked.of(model_name(model), _name(dictionary), layer)
    name, there = asked.cache(on.cache, on.read)
    if not there:
        return plan(model, on.rows(model), asked.reads, place("cache", name))
    named = load_dictionary(dictionary, model) if isinstance(dictionary, str) else dictionary
    what = named if layer is None else layer
    return plan_features(model, what, open_cache(name, model), folder, config)


@method(
    "measure-units",
    group="features",
    plan="plan_measure_units",
    leaves="features",
    named="table_name",
    model_by="model_of_cache",
)
@takes_fields("on", MeasuredOn)
@takes_fields("config", FeatureConfig, KEPT)
def measure_units(
    model: "TransformerBridge",
    *,
    folder: str | Path,
    dictionary: Annotated[DictionaryName | None, Doc("Whose latents are measured.")] = None,
    layer: Annotated[int | None, Doc("Or: the layer whose MLP neurons are measured.", least=0)] = None,
    on: MeasuredOn = MeasuredOn(),
    config: FeatureConfig = FeatureConfig(),
    resume: bool = False,
    progress: Progress = SILENT,
) -> Measured:
    """Examples, density, effects on the logits and neighbours of every latent of a dictionary or neuron of a layer, in one table.

    A pass over stored activations finds the text at which each unit fires, and how often. It can be stopped and gone on with.

    >>> ow.measure_units(model, folder=folder, layer=1, read=600).table.n_units
    128
    """
    from probe.activations.cache import open_cache
    from probe.activations.harvest import harvest
    from probe.features.measuring.build import build_features

    cache = on.cache
    if cache is None or isinstance(cache, str):
        asked = Asked.of(model_name(model), _name(dictionary), layer)
        cache, there = asked.cache(cache, on.read)
        if not there:
            harvest(model, on.rows(model), asked.reads, place("cache", cache), resume=True, progress=progress)
    source, what = open_cache(cache, model) if isinstance(cache, str) else cache, dictionary if layer is None else layer
    table = build_features(model, what, source, folder, config, resume=resume, progress=progress)
    here = table.folder == place("features", table.folder.name)
    return Measured(name=table.folder.name if here else str(table.folder), cache=source.name)


def _name(dictionary: DictionaryName | None) -> str | None:
    return dictionary if dictionary is None or isinstance(dictionary, str) else dictionary.name
