"""A blind study step by step, by names: what `openwork blind ...` does, and Python may do without opening anything first."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from circuits.blind.making import new_study
from circuits.blind.record import Revealed
from circuits.blind.study import Study, guess, judge, open_study, reveal
from probe.artifacts.manifest import found_folder, model_made_from
from probe.artifacts.stored import library
from probe.errors import BadInput
from probe.methods import DictionaryName, Doc, TableName, tool
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.panels import Panel, Rows, Sentence

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class UnitAsked(Settings):
    """The latent of a dictionary, or the neuron of a layer."""

    latent: Annotated[int | None, Doc(least=0)] = None
    "The latent."
    layer: Annotated[int | None, Doc(least=0)] = None
    "Or: the layer whose neuron it is."
    neuron: Annotated[int | None, Doc(least=0)] = None
    "The neuron."

    def number(self, dictionary: str | None) -> int:
        """Which it is there. BadInput where no unit is named, or two."""
        if dictionary is not None and self.latent is not None and self.layer is None and self.neuron is None:
            return self.latent
        if self.layer is not None and self.neuron is not None and dictionary is None and self.latent is None:
            return self.neuron
        raise BadInput("Name one unit: --dictionary NAME --latent N, or --layer N --neuron N.")


@takes_fields("unit", UnitAsked)
def model_of_study(features: str | Path | None, dictionary: str | None, *, unit: UnitAsked) -> str:
    """The model that the unit's table was made from."""
    unit.number(dictionary)
    return model_made_from("features", _table(features, dictionary, unit.layer))


@tool("new", group="blind", model_by="model_of_study")
@takes_fields("unit", UnitAsked)
def new_blind_study(
    model: "TransformerBridge",
    name: Annotated[str, Doc("Name of the study.")],
    *,
    dictionary: Annotated[DictionaryName | None, Doc("The dictionary whose latent it is.")] = None,
    unit: UnitAsked = UnitAsked(),
    features: Annotated["TableName | Path | None", Doc("Its feature table; by default the newest there is.")] = None,
    prompts: Annotated[int, Doc("Hidden prompts whose circuits are traced.", least=0)] = 3,
    progress: Progress = SILENT,
) -> Study:
    """Gather weights, circuits and statistics of a unit, its text hidden.

    Raises BadInput where no unit is named, or two, and where no table holds it.

    >>> ow.new_blind_study(model, "blind", layer=1, neuron=5, features="small", prompts=1).unit
    'L1N5'
    """
    named = getattr(dictionary, "name", dictionary)
    number = unit.number(named)
    learned = [] if dictionary is None else [dictionary]
    table = _table(features, named, unit.layer)
    return new_study(model, table, number, name, dictionaries=learned, prompts=prompts, progress=progress)


def _table(features: str | Path | None, dictionary: str | None, layer: int | None) -> Path:
    """The feature table of that name, or the newest of this dictionary or layer."""
    if features is not None:
        return found_folder("features", features)
    source = dictionary if dictionary is not None else f"layer {layer}"
    kind = "latent" if dictionary is not None else "neuron"
    for folder, manifest in library("features").kinds["features"]:
        if manifest.facts.get("source") == source and manifest.facts.get("units") == kind:
            return folder
    option = f"--dictionary {dictionary}" if dictionary is not None else f"--layer {layer}"
    raise BadInput(f"No feature table of {source} is stored. Build one: openwork features {option} --cache NAME")


@tool("show", group="blind")
def show_blind_study(name: Annotated[str, Doc("Name of the study.")]) -> Study:
    """The evidence again, and what to do next.

    >>> ow.show_blind_study("small").name
    'small'
    """
    return open_study(name)


@dataclass(frozen=True)
class Guessed(Study):
    """A study whose hypothesis was recorded now."""

    def panels(self) -> list[Panel]:
        """When, and what to do next."""
        return [Sentence(f"recorded at {self.hypothesis.time if self.hypothesis else ''}. {self.next_step}")]


@tool("guess", group="blind")
def guess_blind(
    name: Annotated[str, Doc("Name of the study.")],
    *,
    text: Annotated[str, Doc("What makes the unit fire, in your words.")],
) -> Guessed:
    """Record the hypothesis with its time, once and for all.

    >>> ow.new_blind_study(model, "guessed", layer=1, neuron=5, features="small", prompts=0).name
    'guessed'
    >>> ow.guess_blind("guessed", text="names").hypothesis.text
    'names'
    """
    return Guessed(**vars(guess(name, text)))


@tool("reveal", group="blind")
def reveal_blind(name: Annotated[str, Doc("Name of the study.")]) -> Revealed:
    """The unit's strongest examples beside the hypothesis; refused before there is one.

    >>> ow.reveal_blind("unguessed")
    Traceback (most recent call last):
    ...
    probe.errors.BadInput: There is no study 'unguessed', ...
    """
    return reveal(name)


@dataclass(frozen=True)
class Judged(Study):
    """A study whose verdict was recorded now."""

    def panels(self) -> list[Panel]:
        """The unit, what was said of it, and how that fared."""
        return [Rows(f"{self.name}: {self.next_step}", self.rows())]


@tool("verdict", group="blind")
def judge_blind(
    name: Annotated[str, Doc("Name of the study.")],
    *,
    grade: Annotated[Literal["right", "partly", "wrong"], Doc("How the hypothesis fared.")],
    note: Annotated[str, Doc("Why.")] = "",
) -> Judged:
    """Record how the hypothesis fared, after the reveal.

    >>> ow.judge_blind("small", grade="right")
    Traceback (most recent call last):
    ...
    probe.errors.BadInput: A verdict comes after the text was seen. ...
    """
    return Judged(**vars(judge(name, grade, note)))
