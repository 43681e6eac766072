"""Audit: which units of a feature table fire for a concept, a class of tokens or a list of words.

The other way round from labels: the concept is given, and every unit is asked whether it predicts the unit's firing. Units are
ranked on half of the table's documents, by AUROC, and the best are scored on the other half, so that the best of many is not its
own judge. Null: the concept's tokens moved on by half of the text, so as many and as clustered, where it means nothing; the best
units for that are found and scored in the same way, and their mean is what searching among so many units gives by chance.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.errors import BadInput, brief
from probe.features.naming.config import LabelConfig, ReadFor
from probe.features.naming.firings import Firings, firings_of, live_units
from probe.features.naming.judge import BLOCK
from probe.features.naming.opened import dictionary_of, opened_table, require_some
from probe.features.naming.opened import model_of_table as model_of_table
from probe.features.naming.pool import pool_of
from probe.features.naming.reading import Reading, reading_of
from probe.features.naming.scores import Scores, scored
from probe.features.naming.token_classes import in_lists
from probe.methods import Doc, TableName, method
from probe.methods.kinds import AnyText
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, figures

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class ConceptUnits(Record, figure=True):
    """The units that fire for a concept, the best first. tokens: how many of the text that scores it holds at, of how many.
    auroc, low, high: on that text; learned: on the text that ranked them; hit: the share of the unit's firings at which it holds.
    null: the mean of the best units for the same concept moved elsewhere. looked: units that were looked at. of: the dictionary
    of latents."""

    table: str
    concept: str
    tokens: list[int]
    looked: int
    units: Int[np.ndarray, " unit"]
    names: list[str]
    firings: Int[np.ndarray, " unit"]
    learned: Float[np.ndarray, " unit"]
    auroc: Float[np.ndarray, " unit"]
    low: Float[np.ndarray, " unit"]
    high: Float[np.ndarray, " unit"]
    hit: Float[np.ndarray, " unit"]
    null: float
    of: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """A row a unit."""
        return [
            {
                "unit": self.names[i],
                **({"of": self.of} if self.of else {}),
                "AUROC": float(self.auroc[i]),
                "low": float(self.low[i]),
                "high": float(self.high[i]),
                "of its firings": float(self.hit[i]),
                "firings": int(self.firings[i]),
            }
            for i in range(len(self.names))
        ]

    @property
    def surely(self) -> int:
        """How many of these units fire for it more surely than the best do for the concept moved elsewhere."""
        return int((self.low > max(self.null, 0.5)).sum())

    def panels(self) -> list[Panel]:
        """The units; how sure each is; sentences."""
        return [
            Sentence(self.summary()),
            Figure(f"Units that fire {self.concept[:80]}", self.figure),
            Rows("Units", self.rows(), kinds={"unit": "name", "of its firings": "share"}),
        ]

    def summary(self) -> str:
        """Which unit is best, how many surely fire for it, what chance gives."""
        best = f"{self.names[0]} fires best {self.concept[:60]} (AUROC {figures(float(self.auroc[0]))})"
        return (
            f"{best}; {self.surely} of the best {len(self.names)} of {counted(self.looked, 'unit')} do surely. Best for the "
            f"concept moved elsewhere: {figures(self.null)}."
        )


@method("concept-units", group="features", model_by="model_of_table")
@takes_fields("how", ReadFor)
def units_for_concept(
    model: "TransformerBridge",
    table: Annotated[TableName, Doc("The feature table whose units are asked.")],
    concept: Annotated[
        AnyText, Doc("Words with commas between, or a label of the pool, like digits, months or after a comma.")
    ],
    *,
    k: Annotated[int, Doc("Units that are told.", least=1, most=1000)] = 20,
    how: ReadFor = ReadFor(),
    progress: Progress = SILENT,
) -> ConceptUnits:
    """Which units of a feature table fire for a concept: a class of tokens, or a list of words.

    Units are ranked on one half of the table's text and scored on the other. Raises BadInput for a table of another model or
    without examples, and for a concept that does not stand in its text.

    >>> ow.units_for_concept(model, "small", "Mary, John", firings=2).names[0][:3]
    'L1N'
    """
    opened = opened_table(table, model)
    reading = reading_of(opened, how.read)
    proposing = reading.halves(how.seed)[0]
    name, where = concept_in(reading, proposing, concept)
    units = live_units(opened, None, how.seed)
    firings = firings_of(model, opened, reading, units, how, progress).often(proposing, how.firings)
    require_some(firings, opened, how)
    best, learned, scores = _best(reading, proposing, where, firings, k)
    moved = np.roll(where, reading.n // 2)
    null = _best(reading, proposing, moved, firings, k)[2].auroc
    made = ConceptUnits(
        table=opened.folder.name,
        concept=name,
        tokens=[int(where[~proposing].sum()), int((~proposing).sum())],
        looked=len(firings.units),
        units=firings.units[best],
        names=[opened.name(int(unit)) for unit in firings.units[best]],
        firings=firings.often_in(~proposing)[best],
        learned=learned,
        auroc=scores.auroc,
        low=scores.low,
        high=scores.high,
        hit=scores.hit,
        null=float(np.nanmean(null)),
        of=dictionary_of(opened),
    )
    return came_from(made, model)


def concept_in(
    reading: Reading, proposing: Bool[np.ndarray, " token"], concept: str
) -> tuple[str, Bool[np.ndarray, " token"]]:
    """What a concept is called, and at which tokens it holds: a candidate of the pool by its text, else a list of words. BadInput
    where it holds in one half alone."""
    pool, wanted = pool_of(reading, proposing, LabelConfig(occurrences=1)), concept.strip()
    texts = {text: i for i, text in reversed(list(enumerate(pool.texts)))}
    number = next((texts[said] for said in (wanted, f"on {wanted}", f"at {wanted}") if said in texts), None)
    if number is not None:
        name, where = pool.texts[number], pool.holds[:, number].toarray().ravel() > 0
    else:
        words = frozenset(word.strip().casefold() for word in wanted.split(",") if word.strip())
        if not words:
            raise BadInput("A concept was wanted: words with commas between, or what a token is, like digits.")
        name, where = f"on {wanted}", next(in_lists(reading, {wanted: words}))[1]
    if not (where[proposing].any() and where[~proposing].any()):
        raise BadInput(
            f"{brief(concept)} does not stand in both halves of the text. Name words as they stand there, with commas between, "
            "or a class like digits, prepositions, months; or read more of the text (read)."
        )
    return name, where


def _best(
    reading: Reading,
    proposing: Bool[np.ndarray, " token"],
    where: Bool[np.ndarray, " token"],
    firings: Firings,
    k: int,
) -> tuple[Int[np.ndarray, " unit"], Float[np.ndarray, " unit"], Scores]:
    """The k units that it predicts best in one half: which, their AUROC there, and their scores in the other."""
    learned = np.concatenate(
        [
            _scores(where, firings.block(slice(first, first + BLOCK)), reading.group, proposing).auroc
            for first in range(0, len(firings.units), BLOCK)
        ]
    )
    best = np.argsort(-np.nan_to_num(learned, nan=-1), kind="stable")[:k]
    fired = firings.fired[:, best].toarray() > 0
    return best, learned[best], _scores(where, fired, reading.group, ~proposing)


def _scores(where: np.ndarray, fired: np.ndarray, group: np.ndarray, half: np.ndarray) -> Scores:
    return scored(where[half, None], np.zeros(fired.shape[1], np.int64), fired[half], group[half])
