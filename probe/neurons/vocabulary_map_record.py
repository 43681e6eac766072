"""The vocabulary map (`probe.neurons.vocabulary_map`) as a record: neurons by their tokens, by concentration, and by layer.

A neuron counts as concentrated where its kurtosis is above the 99th percentile of the control's, which 1 % are by chance.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from probe.errors import BadInput
from probe.model.unit_names import UnitName, unit_name
from probe.show.html import shown
from probe.show.panels import Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.words import clip, counted, figures, percent

_BEYOND = 99.0  # percentile of the control that a concentrated neuron exceeds
_LISTED, _SHOWN, _LONGEST = 50, 6, 16  # neurons in the table, tokens in its cells, characters of a token
GOOD = (
    "A neuron is about a few tokens where its kurtosis is far beyond the control's: random directions are near 0, up to what the "
    "vocabulary's own clusters give. That 1 % of neurons lie beyond the control's 99th percentile is chance. What a neuron "
    "does in a text is another matter: clamp it (`edit`), or look at where it fires."
)


@dataclass(frozen=True, kw_only=True)
class Decoded(Record):
    """One sort of direction through the vocabulary. up, down: ids of the highest and lowest tokens, outermost first, and their
    centred scores; kurtosis (excess), variance, top_mass: of the scores over the whole vocabulary."""

    up: Int[np.ndarray, "neuron k"]
    up_score: Float[np.ndarray, "neuron k"]
    down: Int[np.ndarray, "neuron k"]
    down_score: Float[np.ndarray, "neuron k"]
    kurtosis: Float[np.ndarray, " neuron"]
    variance: Float[np.ndarray, " neuron"]
    top_mass: Float[np.ndarray, " neuron"]


@dataclass(frozen=True, kw_only=True)
class VocabularyMap(Record, figure=True):
    """layer, unit: of each neuron. decoded: by `out`, `in`, `gate` (of gated MLPs); controls likewise, of the layers in
    control_layer. words: the text of every id that is named. reads: where `in` and `gate` were read from; empty where the model
    does more to its token embeddings than to scale them, or they are not as wide as the stream."""

    n_vocabulary: int
    layer: Int[np.ndarray, " neuron"]
    unit: Int[np.ndarray, " neuron"]
    decoded: dict[str, Decoded]
    controls: dict[str, Decoded]
    control: str
    control_layer: Int[np.ndarray, " draw"]
    reads: str
    words: dict[int, str]

    def name(self, i: int) -> str:
        """`L5N120`, of the neuron at row i of the arrays."""
        return unit_name("neuron", int(self.layer[i]), int(self.unit[i]))

    def tokens_of(self, i: int, sort: str = "out", side: str = "up") -> list[str]:
        """The k outermost tokens of one neuron."""
        return [self.words[int(t)] for t in getattr(self.decoded[sort], side)[i]]

    def neuron(self, name: str) -> dict[str, Any]:
        """The row of one neuron, by its name. BadInput for one that the map lacks."""
        found = UnitName.parse(name)
        at = [] if found is None else np.flatnonzero((self.layer == found.layer) & (self.unit == found.unit))
        if found is None or found.kind != "neuron" or not len(at):
            raise BadInput(
                f"{name!r} is no neuron of this map; it has those of layers {sorted(set(self.layer.tolist()))}."
            )
        return self._row(int(at[0]))

    def about(self, token: str, sort: str = "out", k: int = 20) -> list[dict[str, Any]]:
        """The neurons that have a token among their k highest, by its score: `found.about(" dog")`."""
        ids = [i for i, word in self.words.items() if word == token]
        hits = np.argwhere(np.isin(self.decoded[sort].up, ids))
        ranked = sorted(hits.tolist(), key=lambda at: -self.decoded[sort].up_score[at[0], at[1]])
        return [self._row(i) | {"rank": j, "score": float(self.decoded[sort].up_score[i, j])} for i, j in ranked[:k]]

    def rows(self, k: int | None = _LISTED) -> list[dict[str, Any]]:
        """The neurons whose writes are most concentrated, by kurtosis; all with k=None."""
        return [self._row(int(i)) for i in np.argsort(-self.decoded["out"].kurtosis, kind="stable")[:k]]

    def _row(self, i: int) -> dict[str, Any]:
        out = self.decoded["out"]
        said = {
            "neuron": self.name(i),
            "promotes": self._cell(i, "out", "up"),
            "suppresses": self._cell(i, "out", "down"),
        }
        said |= {f"{sort} reads": self._cell(i, sort, "up") for sort in self.decoded if sort != "out"}
        numbers = {"kurtosis": out.kurtosis, "top mass": out.top_mass, "variance": out.variance}
        return said | {n: float(v[i]) for n, v in numbers.items()}

    def _cell(self, i: int, sort: str, side: str) -> str:
        return " ".join(shown(clip(token, _LONGEST)) for token in self.tokens_of(i, sort, side)[:_SHOWN])

    def beyond(self, sort: str = "out") -> Float[np.ndarray, " layer"]:
        """The share of each layer's neurons whose kurtosis is above the 99th percentile of all controls."""
        line = np.percentile(self.controls[sort].kurtosis, _BEYOND)
        high = self.decoded[sort].kurtosis > line
        return np.array([high[self.layer == i].mean() for i in np.unique(self.layer)])

    def layer_rows(self) -> list[dict[str, Any]]:
        """One row a layer: the median kurtosis of each sort beside the control's there; the share of neurons `beyond` chance."""
        rows, beyond = [], {sort: self.beyond(sort) for sort in self.decoded}
        for i, at in enumerate(np.unique(self.layer)):
            row: dict[str, Any] = {"layer": int(at), "neurons": int((self.layer == at).sum())}
            for sort, found in self.decoded.items():
                own, chance = found.kurtosis[self.layer == at], self.controls[sort].kurtosis[self.control_layer == at]
                row |= {
                    f"{sort}: median kurtosis": float(np.median(own)),
                    f"{sort}: control": float(np.median(chance)),
                    f"{sort}: beyond chance": float(beyond[sort][i]),
                }
            rows.append(row)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the table by layer and the most concentrated neurons; all of them are in the arrays."""
        plain = {n: getattr(self, n) for n in ("n_vocabulary", "control", "reads")}
        return {**plain, "neurons": len(self.layer), "layers": self.layer_rows(), "most_concentrated": self.rows(200)}

    def panels(self) -> list[Panel]:
        """Concentration by layer beside chance; the most concentrated neurons, one of them by its tokens; sentences."""
        first = int(self.decoded["out"].kurtosis.argmax())
        out = self.decoded["out"]
        figures_ = [Figure(f"How concentrated: {_SORTS[sort]}", partial(self.figure, sort)) for sort in self.decoded]
        if len(np.unique(self.layer)) == 1:  # its figure shows all sorts
            figures_ = [Figure("How concentrated its neurons are", self.figure)]
        return [
            *figures_,
            Rows("The neurons whose writes are most concentrated", self.rows()),
            Rows("Layers", self.layer_rows()),
            Tokens(f"{self.name(first)} promotes, logits a unit", self.tokens_of(first), out.up_score[first].tolist()),
            Sentence(self.summary()),
            Sentence(self.verdict()),
            Sentence(GOOD),
        ]

    def summary(self) -> str:
        """One sentence: how many neurons are more concentrated than chance, and the most concentrated one."""
        out, chance = self.decoded["out"], self.controls["out"]
        share = float((out.kurtosis > np.percentile(chance.kurtosis, _BEYOND)).mean())
        first = int(out.kurtosis.argmax())
        return (
            f"{counted(len(self.layer), 'neuron')} by {self.n_vocabulary:,} tokens: {percent(share)} write beyond the 99th "
            f"percentile of {counted(len(chance.kurtosis), f'{self.control} direction')} (1.0 % by chance); most, "
            f"{self.name(first)}, promotes {self.tokens_of(first)[0]!r} (kurtosis {figures(out.kurtosis[first])})."
        )

    def verdict(self) -> str:
        """The same for each sort of direction."""
        said = []
        for sort, found in self.decoded.items():
            line, low = (np.percentile(self.controls[sort].kurtosis, p) for p in (_BEYOND, 2.5))
            said.append(
                f"{_SORTS[sort]}: median kurtosis {figures(float(np.median(found.kurtosis)))}, control "
                f"{figures(float(np.median(self.controls[sort].kurtosis)))} ({figures(float(low), 2)} to "
                f"{figures(float(np.percentile(self.controls[sort].kurtosis, 97.5)), 2)}), "
                f"{percent(float((found.kurtosis > line).mean()))} beyond its 99th percentile"
            )
        reads = (
            f" Reads are of the {self.reads}."
            if self.reads
            else " Token embeddings reach no MLP as they are: nothing is read."
        )
        words = "; ".join(said)
        return f"{words[:1].upper()}{words[1:]}.{reads}"


_SORTS = {"out": "what neurons write", "in": "what inputs read", "gate": "what gates read"}
