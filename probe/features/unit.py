"""The record of one unit: what it fires at, what it does to the logits, and which units are near it."""

from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

from probe.features.unit_tables import histogram_rows, told
from probe.show.html import shown
from probe.show.panels import Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.words import figures

GROUPS = {0: "strongest", 1: "lowest"}
RARE = 30
"""Firings below which averages say little."""


class TokenScore(NamedTuple):
    """A token and its score; count: occurrences behind it, where it was measured."""

    id: int
    token: str
    score: float
    count: int | None = None


class Near(NamedTuple):
    """Another unit. joint: sampled tokens both fired at; pmi: log of how much more often than if they were independent (nats)."""

    unit: int
    name: str
    cosine: float
    joint: int | None = None
    pmi: float | None = None


@dataclass(frozen=True)
class Example(Record):
    """A stretch of text with the unit's activation at each token. peak: which of them it was chosen for.

    group: "strongest", "lowest", or "bin 1 of 5" (weakest fifth of its firings) and so on.
    """

    group: str
    value: float
    document: str
    row: int
    pos: int
    peak: int
    token_ids: list[int]
    tokens: list[str]
    activations: list[float]

    @property
    def text(self) -> str:
        """The tokens joined."""
        return "".join(self.tokens)


@dataclass(frozen=True)
class Unit(Record, figure=True, page=True):
    """One latent or neuron. density: share of tokens it is active at; `fired` of `n_tokens`. mean_active: mean where active.

    edges, counts: its histogram. Lists that do not exist for this kind of unit are empty, and `convention` says why.
    """

    name: str
    kind: str
    layer: int
    unit: int
    fired: int
    n_tokens: int
    density: float
    mean_active: float
    max: float
    min: float
    edges: list[float] = field(repr=False)
    counts: list[int] = field(repr=False)
    examples: list[Example] = field(repr=False)
    promoted: list[TokenScore] = field(repr=False)
    suppressed: list[TokenScore] = field(repr=False)
    inputs: list[TokenScore] = field(repr=False)
    measured: list[TokenScore] = field(repr=False)
    near: list[Near] = field(repr=False)
    coactive: list[Near] = field(repr=False)
    convention: dict[str, str] = field(repr=False, default_factory=dict)

    @property
    def dead(self) -> bool:
        """Whether it was never active."""
        return self.fired == 0

    @property
    def warning(self) -> str:
        """What to be careful about, of a dead and of a rare unit; nothing otherwise."""
        if self.dead:
            seen = f"Dead: it was active at none of {self.n_tokens:,} tokens."
            return f"{seen} No examples, then; what its weights say stands below."
        few = f"Rare: it was active at {self.fired:,} of {self.n_tokens:,} tokens."
        return f"{few} Means, neighbours and examples rest on few firings." if self.fired < RARE else ""

    @property
    def top(self) -> list[Example]:
        """The strongest examples."""
        return [e for e in self.examples if e.group == GROUPS[0]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        plain = asdict(self) | {"dead": self.dead}
        for name in ("promoted", "suppressed", "inputs", "measured", "near", "coactive"):
            plain[name] = [item._asdict() for item in getattr(self, name)]
        return plain

    def rows(self) -> list[dict[str, Any]]:
        """The strongest examples, one row each."""
        return [{"value": e.value, "document": e.document, "text": excerpt(e)} for e in self.top]

    def lists(self) -> list[dict[str, Any]]:
        """Its tokens and neighbours, one row per kind of list."""
        named = {
            "promotes": self.promoted,
            "suppresses": self.suppressed,
            "reads": self.inputs,
            "fires at": self.measured,
        }
        rows = [{"": k, "what": " ".join(shown(t.token) for t in v)} for k, v in named.items() if v]
        others = {"near": self.near, "fires with": self.coactive}
        return rows + [
            {"": k, "what": ", ".join(f"{n.name} {n.cosine:.2f}" for n in v)} for k, v in others.items() if v
        ]

    def panels(self) -> list[Panel]:
        """What it does by its weights and histogram, its tokens and neighbours, and its strongest examples."""
        strips = [Tokens(f"activation, {e.group}", e.tokens, e.activations) for e in self.top]
        top = [Rows("Strongest examples, the peak in brackets", rows)] if (rows := self.rows()) else []
        careful = [Sentence(self.warning)] if self.warning else []
        said = Sentence(self.summary())
        return [Figure("Unit", self.figure), *told(self), *top, *self._how(), *strips, *careful, said]

    def beside_examples(self) -> list[Panel]:
        """What there is to see for who has its examples before him: its activations, tokens and neighbours."""
        signed = "; those below 0 too" if self.min < 0 else ""
        draw = partial(self.figure, 240, histogram=True)
        figure = Figure(f"Tokens by activation, counts on a logarithmic axis{signed}", draw)
        bins = [rows] if (rows := histogram_rows(self)).rows else []
        return [figure, *told(self), *bins, *self._how()]

    def _how(self) -> list[Panel]:
        rows = [{"number": k, "is": str(v)} for k, v in self.convention.items()]
        return [Rows("How it was measured", rows)] if rows else []

    def facts(self) -> list[tuple[str, str, str]]:
        """Its main numbers, each with its name and what it is of."""
        known = self.fired > 0
        return [
            ("active at", f"{100 * self.density:.3g} %", f"{self.fired:,} of {self.n_tokens:,} tokens"),
            ("mean when active", figures(self.mean_active, 4) if known else "–", ""),
            ("max", figures(self.max, 4) if known else "–", "strongest activation" if known else ""),
            *([("min", figures(self.min, 4), "lowest activation")] if self.min < 0 else []),
        ]

    def summary(self) -> str:
        """One line of numbers."""
        if self.dead:
            return f"{self.name}: dead (never active on {self.n_tokens:,} tokens)"
        return (
            f"{self.name}: active at {self.fired:,} of {self.n_tokens:,} tokens ({self.density:.3%}), "
            f"mean {self.mean_active:.4g}, max {self.max:.4g}"
        )


def excerpt(example: Example, around: int = 8) -> str:
    """A few tokens up to the peak, which is marked, and some after."""
    before = "".join(example.tokens[max(0, example.peak - around) : example.peak])
    after = "".join(example.tokens[example.peak + 1 : example.peak + 1 + around // 2])
    return f"{before}[{example.tokens[example.peak]}]{after}"
