"""What two prompts set side by side differ in: predictions, heads and units by pair of aligned tokens."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.model.unit_names import unit_name
from probe.show.panels import Aligned, Chosen, Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.text.alignment import Alignment
from probe.words import counted, number


@dataclass(frozen=True)
class PairCandidate:
    """A next token with its probability after both prompts."""

    id: int
    token: str
    a: float
    b: float


@dataclass(frozen=True)
class UnitDifference:
    """A unit with its activation in both prompts. moved: length of the difference in what it writes to the residual stream."""

    layer: int
    kind: str
    unit: int
    a: float
    b: float
    moved: float
    dictionary: str = ""

    @property
    def name(self) -> str:
        """`L5N120` for a neuron, `L5F650` for a latent."""
        return unit_name(self.kind, self.layer, self.unit)


@dataclass(frozen=True, kw_only=True)
class ComparedPrompts(Record, figure=True):
    """What differs, for each pair of `alignment.pairs`.

    layers: labels of the rows of kl. kl: from a's prediction to b's as every layer would make them (logit lens), nats.
    candidates: the likeliest next tokens of either. units: those whose writes differ most. heads: total variation distance
    between the two attention patterns of the pair (0 equal, 1 disjoint), keys matched by the alignment. loss: of each token of
    either prompt, nats (NaN for the first). firsts, first_probs: of either prompt what each layer finds likeliest next.
    """

    prompts: tuple[str, str]
    tokens: tuple[list[str], list[str]]
    alignment: Alignment
    layers: list[str]
    kl: Float[np.ndarray, "row pair"]
    candidates: list[list[PairCandidate]]
    units: list[list[UnitDifference]]
    heads: Float[np.ndarray, "layer head pair"]
    loss: tuple[Float[np.ndarray, " pos_a"], Float[np.ndarray, " pos_b"]] | None = None
    firsts: list[list[list[str]]] = field(default_factory=list)
    first_probs: Float[np.ndarray, "side row pair"] | None = None

    def rows(self, pair: int = -1) -> list[dict[str, Any]]:
        """The next tokens of one pair: probability after both prompts."""
        return [{"token": c.token, "a": c.a, "b": c.b, "difference": c.b - c.a} for c in self.candidates[pair]]

    def head_rows(self, pair: int | None = None, k: int = 20) -> list[dict[str, Any]]:
        """Heads whose patterns differ most, at one pair or on average over all but the first tokens."""
        far = self.heads[:, :, pair] if pair is not None else self.mean_heads
        best = np.argsort(-far, axis=None, kind="stable")[:k]
        places = [tuple(int(x) for x in np.unravel_index(i, far.shape)) for i in best]
        return [{"layer": i, "head": h, "distance": float(far[i, h])} for i, h in places]

    @property
    def mean_heads(self) -> Float[np.ndarray, "layer head"]:
        """The mean distance over pairs; that of two first tokens is 0 whatever a head does, so it is left out."""
        counted = [i for i, pair in enumerate(self.alignment.pairs) if pair != (0, 0)]
        return self.heads[:, :, counted].mean(-1) if counted else np.zeros(self.heads.shape[:2])

    def layer_rows(self, pair: int = -1) -> list[dict[str, Any]]:
        """What both would predict after one pair at each layer, and how far apart the predictions are."""
        rows = []
        for i, label in enumerate(self.layers):
            row: dict[str, Any] = {"layer": label}
            if self.first_probs is not None:
                for side, name in enumerate("ab"):
                    row[f"{name} token"] = self.firsts[side][i][pair]
                    row[f"probability ({name})"] = float(self.first_probs[side, i, pair])
            rows.append({**row, "KL (nats)": float(self.kl[i, pair])})
        return rows

    def unit_rows(self, pair: int = -1) -> list[dict[str, Any]]:
        """The units whose writes differ most at one pair: activation in both, and the length of the difference."""
        return [
            {"unit": u.name, "of": u.dictionary or u.kind, "in a": u.a, "in b": u.b, "writes differ by": u.moved}
            for u in self.units[pair]
        ]

    def panels(self) -> list[Panel]:
        """Both prompts token by token, where the predictions part, and what differs at one place."""
        columns = self.alignment.columns
        if not columns:
            return [Sentence(self.summary())]
        both = [i for i, c in enumerate(columns) if c.a is not None and c.b is not None]
        return [
            self.aligned(),
            Figure("Where the predictions part (KL, nats)", lambda: self.figure(), axes=("column",)),
            Chosen({"column": len(columns)}, self.place, {"column": both[-1] if both else len(columns) - 1}),
            Sentence(self.about()),
            Sentence(self.summary()),
        ]

    def aligned(self) -> Aligned:
        """Both prompts as columns, coloured by loss, and how much more the second is surprised in each."""
        losses = self.loss or tuple(np.full(len(tokens), np.nan) for tokens in self.tokens)
        columns = [(c.a, c.b) for c in self.alignment.columns]
        more = [np.nan if a is None or b is None else float(losses[1][b] - losses[0][a]) for a, b in columns]
        values = losses[0].tolist(), losses[1].tolist()
        return Aligned("loss, nats", self.tokens, columns, values, "nats that the second is surprised more", more)

    def place(self, column: int) -> list[Panel]:
        """What there is to see of one column."""
        c = self.alignment.columns[column]
        if c.a is None or c.b is None:
            return [Sentence("Only one of the prompts has a token here; choose a column with two.")]
        pair = self.alignment.pairs.index((c.a, c.b))
        where = f"after {self.tokens[0][c.a]!r} ({c.a}) and {self.tokens[1][c.b]!r} ({c.b})"
        mean = self.mean_heads
        heads = [
            {
                "head": unit_name("head", r["layer"], r["head"]),
                "distance": r["distance"],
                "over all tokens": float(mean[r["layer"], r["head"]]),
            }
            for r in self.head_rows(pair, 24)
        ]
        units = self.unit_rows(pair)
        alike: Panel = Sentence(f"No unit writes differently {where}: both read the same up to this token.")
        return [
            Rows(f"Next tokens {where}", self.rows(pair)),
            Rows(f"Layer by layer {where}", self.layer_rows(pair)),
            Rows("Heads that look elsewhere there", heads),
            Rows("Units that differ most there", units) if units else alike,
        ]

    def about(self) -> str:
        """How long both are, how much of them is the same, and how much each surprises."""
        tokens = f"{len(self.tokens[0])} and {counted(len(self.tokens[1]), 'token')}"
        said = f"{tokens}, {self.alignment.n_same} the same at aligned places"
        if self.loss is None or not all(np.isfinite(one).any() for one in self.loss):
            return f"{said}."
        return f"{said}; mean loss {' and '.join(number(float(np.nanmean(one))) for one in self.loss)} nats."

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "prompts": self.prompts,
            "tokens": self.tokens,
            "pairs": self.alignment.pairs,
            "layers": self.layers,
            "kl": self.kl.tolist(),
            "candidates": [[asdict(c) for c in one] for one in self.candidates],
            "units": [[asdict(u) | {"name": u.name} for u in one] for one in self.units],
            "heads": self.head_rows(),
        }

    def summary(self) -> str:
        """One sentence: which prompts, and how far their last predictions are apart."""
        far = f": KL {self.kl[-1, -1]:.3g} nats" if self.kl.size else ""
        return f"Next tokens after {quoted(self.prompts[0])} (a) and {quoted(self.prompts[1])} (b){far}."
