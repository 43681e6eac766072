"""A study as its file declares it: claims, and the parts that measure them.

    STUDY = Study(
        name="two-circuits",
        title="Two circuits",
        paper="Hanna et al. 2023",
        claims=[Claim(name="heads", sentence="...", source="...", measure="...", control="...", part="patching", rule=MOST)],
        parts=[Part("patching", patching, runs=lambda scale: 100 + scale.sets)],
    )

A part is a function of a `Bench` (the loaded model, how much of everything, where to report) that returns a `Found`: a number for
each claim that names it, and tables to look at. It is kept when it is done, so a study that was interrupted goes on from there.
Name, title, paper and the claims' names and sentences are plain texts: `catalogue` reads them without importing the file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from circuits.studies.claim import Claim, Measured
from probe.errors import BadInput
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Scale:
    """How much of everything. sets: control sets beside each number. prompts: at most so many of a task; None for all."""

    sets: int = 199
    prompts: int | None = None
    seed: int = 0

    def some(self, several: Sequence[Any]) -> list[Any]:
        """As many of the first as are wanted."""
        return list(several)[: self.prompts]


FULL, QUICK = Scale(), Scale(sets=19, prompts=4)


@dataclass(frozen=True)
class Bench:
    """What a part works with. step: tells how many runs were made, and raises Cancelled if somebody asked to stop. shared: what
    parts of one study found out and others need too, kept as long as it runs."""

    model: "TransformerBridge"
    scale: Scale
    step: Callable[[float], None]
    shared: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, made by the first part of a study that asks for it; why it could not be (BadInput) is kept too."""
        if name not in self.shared:
            try:
                self.shared[name] = make()
            except BadInput as why:
                self.shared[name] = why
        if isinstance(found := self.shared[name], BadInput):
            raise found
        return found


@dataclass(frozen=True)
class Table:
    """Something to look at beside the verdicts."""

    title: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Line:
    """One line of a picture, with its error at each point."""

    name: str
    x: list[float]
    y: list[float]
    error: list[float]


@dataclass(frozen=True)
class Lines:
    """A picture beside the verdicts."""

    title: str
    x: str
    y: str
    lines: list[Line]


@dataclass(frozen=True, kw_only=True)
class Found(Record):
    """What a part found: numbers by claim, and what to look at. lacking: why nothing was found."""

    measured: dict[str, Measured] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Lines] = field(default_factory=list)
    lacking: str = ""


@dataclass(frozen=True)
class Part:
    """runs: about how many runs of the model it takes, for the time that is left."""

    name: str
    measure: Callable[[Bench], Found]
    runs: Callable[[Scale], float]


@dataclass(frozen=True, kw_only=True)
class Study:
    """One paper, or several about one thing, re-examined. asks: what is asked of a model first, cheaply; BadInput where no part
    can be measured, since it does not do what is studied. None where that is seen in the parts alone."""

    name: str
    title: str
    paper: str
    claims: Sequence[Claim]
    parts: Sequence[Part]
    asks: Callable[[Bench], Any] | None = None

    def __post_init__(self) -> None:
        names, parts = [c.name for c in self.claims], [p.name for p in self.parts]
        if len(set(names)) < len(names) or len(set(parts)) < len(parts):
            raise BadInput(f"The study {self.name} has two claims or two parts of one name.")
        if lost := [c.name for c in self.claims if c.part not in parts]:
            raise BadInput(
                f"The study {self.name} has no part that measures the claim {lost[0]}; it has {', '.join(parts)}."
            )
