"""A training by names and numbers, as a form asks for it: it can be planned, begun, and found again where it was cut off.

What was asked for is written beside the unfinished run (`asked.json`), so that whoever finds the run can continue it, also after
the process that began it is gone. Nothing here imports torch until something is opened.
"""

import shlex
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from probe.artifacts.folder import place
from probe.artifacts.json import Json, write_json
from probe.artifacts.locks.claims import claim
from probe.artifacts.manifest import read_manifest
from probe.artifacts.names import CHECKPOINT, PARTIAL
from probe.artifacts.untrusted import read_json
from probe.doc import Doc
from probe.errors import BadInput, OpenworkError
from probe.methods import CacheName
from probe.methods.call import checked_arguments, flag, looked_at
from probe.methods.read_declarations import taken_by
from probe.plain_values import Settings, look_at_config
from probe.progress import SILENT, Progress
from probe.training.config import Rule

if TYPE_CHECKING:
    from probe.activations.cache import Cache
    from probe.dictionaries.store import AnyDictionary
    from probe.training.config import TrainConfig
    from probe.training.plan import TrainPlan
    from probe.training.result import TrainResult

ASKED = "asked.json"
SETTINGS = taken_by("probe.training.config", "TrainConfig").without("epochs", "seed", "precision")
"""What a training may be told besides; its precision is a matter of the machine."""


@dataclass(frozen=True)
class Asked(Settings):
    """A training as a person asks for it. Crosscoders and cross-layer transcoders have more sites than a form asks for."""

    cache: CacheName
    "What it is trained on."
    name: str = ""
    "By default it says the recipe."
    kind: Literal["skip_transcoder", "transcoder", "sae"] = "skip_transcoder"
    "Kind of dictionary."
    rule: Rule = "topk"
    "Sparsifier."
    k: Annotated[float, Doc(above=0, most=100_000)] = 32
    "The sparsifier's number: latents at a token, target L0, or penalty."
    factor: Annotated[int, Doc(least=1, most=4096)] = 8
    "Latents for each number it reads."
    epochs: Annotated[int, Doc(least=1, most=1000)] = 3
    "Passes over the tokens."
    seed: Annotated[int, Doc(least=0, most=2147483647)] = 0
    "The weights it starts with, and the order of the tokens."
    more: Annotated[Json, Doc(in_python=True)] = field(default_factory=dict)
    "Further settings of a training by name."

    def __post_init__(self) -> None:
        look_at_config(self)
        looked_at(SETTINGS, self.more)
        if len(self.name) > 120:
            raise BadInput(f"The name has {len(self.name)} characters; 120 are enough.")

    @property
    def whole_rule(self) -> str:
        """`topk:32`."""
        return f"{self.rule}:{self.k:g}"

    @property
    def latents(self) -> int | None:
        """How many there are, by the cache's manifest; None where the cache is gone."""
        try:
            found = read_manifest(place("cache", self.cache), "cache")
            width = found.facts["layout"]["widths"][found.sites[-1 if self.kind == "sae" else 0]]
            return self.factor * width if isinstance(width, int) else None
        except (OpenworkError, OSError, KeyError, TypeError, IndexError):
            return None

    def shell(self, d_dict: int | None, resume: bool = False) -> str:
        """The command that trains the same."""
        own = {"cache": self.cache, "kind": self.kind, "rule": self.whole_rule, "d_dict": d_dict}
        options = {**own, "epochs": self.epochs, "seed": self.seed, "name": self.name, **self.more}
        words = [word for name, value in options.items() if value is not None for word in _typed(name, value)]
        return shlex.join(["openwork", "train", *words, *(["--resume"] if resume else [])])

    def plan(self) -> "TrainPlan":
        """What it would take; nothing is written."""
        from probe.training.plan import plan

        source, dictionary, config = self._ingredients()
        return plan(dictionary, source, config)

    def begin(self) -> None:
        """Write beside the run what is asked for: it is found from now on, and whoever finds it can go on."""
        folder = place("dictionary", self.name)
        scratch = folder.with_name(folder.name + PARTIAL)
        with claim(folder):
            scratch.mkdir(parents=True, exist_ok=True)
            write_json(scratch / ASKED, asdict(self))

    def run(self, progress: Progress = SILENT) -> "TrainResult":
        """Train, from the last checkpoint where there is one."""
        from probe.activations.checks import require_sound
        from probe.training.trainer import train

        source, dictionary, config = self._ingredients()
        require_sound(source, progress)
        self.begin()
        folder = place("dictionary", self.name)
        again = (folder.with_name(folder.name + PARTIAL) / CHECKPOINT).is_file()
        return train(dictionary, source, config, folder, resume=again, progress=progress)

    def _ingredients(self) -> "tuple[Cache, AnyDictionary, TrainConfig]":
        """The cache, the untrained dictionary and the settings."""
        from probe.activations.cache import open_cache
        from probe.training.config import TrainConfig
        from probe.training.recipes import Recipe, make

        source = open_cache(self.cache)
        recipe = Recipe(self.kind, self.whole_rule, self.latents, seed=self.seed)
        return source, make(source, recipe), TrainConfig(epochs=self.epochs, seed=self.seed, **self.more)


def _typed(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag(name) if value else f"--no-{flag(name)[2:]}"]
    return [flag(name), str(value)]


ASKS = taken_by("probe.training.training_request", "Asked")
ALL = replace(ASKS, name="A training", parameters=(*ASKS.parameters, *SETTINGS.parameters))
"""All that may be asked of a training, its further settings among them."""


def asked_by(given: Json) -> Asked:
    """The training of plain values by name, of `ALL`. BadInput for what cannot be."""
    own = looked_at(ASKS, {name: value for name, value in given.items() if ASKS.parameter(name)})
    more = checked_arguments(SETTINGS, {name: value for name, value in given.items() if name not in own})
    asked = Asked(**own, more=more)
    return asked if asked.name else replace(asked, name=_free_name(asked))


def _free_name(asked: Asked) -> str:
    """A name that says the recipe, and is not taken."""
    stem = f"{asked.cache}-{asked.kind}-{asked.rule}-{asked.k:g}-x{asked.factor}-s{asked.seed}"
    there = {p.name.removesuffix(PARTIAL) for p in place("dictionary", "x").parent.glob("*/")}
    return next(name for i in range(1, 10_000) if (name := stem if i == 1 else f"{stem}-{i}") not in there)


def asked_of(name: str) -> Asked | None:
    """What an unfinished run was asked for, where that is written beside it."""
    try:
        folder = place("dictionary", name)
        return Asked(**read_json(folder.with_name(folder.name + PARTIAL) / ASKED, 1 << 20))
    except (ValueError, TypeError, OpenworkError):
        return None
