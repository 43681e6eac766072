"""Names for the units of a stored feature table, by rule, each with a score on text that it was not made from.

For every unit, rules propose labels from half of the table's documents: the best candidate of a pool by pointwise mutual
information with its firing (after Hernandez et al. 2022, who caption vision neurons so), a list of tokens, what its input
direction reads, what its output direction promotes. Each label is then a prediction of where the unit fires, and the other half
of the documents says how good it is: AUROC with an interval, beside labels shuffled among the units. Where no label surely beats
those and reaches `least`, no label fits.

A unit fires at about `share` of the tokens, its strongest above 0 (MILAN too takes the strongest hundredth). A table keeps
examples, not every firing, so the model reads the table's text again up to the units' layer; nothing else of it is used.
Lists, AUROC, interval and the rule of what fits are ours.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from jaxtyping import Bool

from probe.features.naming.config import LabelConfig, ReadFor
from probe.features.naming.firings import Firings, firings_of, live_units
from probe.features.naming.judge import BLOCK, judge
from probe.features.naming.opened import dictionary_of, opened_table, require_some
from probe.features.naming.opened import model_of_table as model_of_table
from probe.features.naming.pool import pool_of
from probe.features.naming.proposals import Material, possible
from probe.features.naming.reading import reading_of
from probe.features.naming.record import UnitLabels
from probe.features.naming.write_labels import write_labels
from probe.features.table import FeatureTable
from probe.memory import require
from probe.methods import Doc, TableName, method
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.record import Record
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_SPEED = 3e10  # operations a second, two CPU cores
_LABELLING = 4e-7  # seconds for a token and a unit, all rules, two CPU cores


@dataclass(frozen=True, kw_only=True)
class LabelPlan(Record):
    """What labelling takes: units, tokens that are read; bytes at the peak, beside the model; seconds on two CPU cores."""

    units: int
    tokens: int
    bytes: int
    seconds: float

    def summary(self) -> str:
        """One sentence."""
        many, room = f"{counted(self.units, 'unit')} on {counted(self.tokens, 'token')}", size(self.bytes)
        return f"{many}, {room} of memory, about {estimate(self.seconds)}."


@takes_fields("how", ReadFor)
def plan_name_units(
    model: "TransformerBridge", table: TableName, *, units: int | None = None, how: ReadFor = ReadFor()
) -> LabelPlan:
    """Memory and time of labelling a table's units."""
    opened = opened_table(table, model)
    many, tokens = len(live_units(opened, units, how.seed)), min(how.read, opened.n_tokens)
    layers = 1 + max(int(layer) for _, layer in opened.manifest.facts["layers"])
    weights = sum(p.numel() for block in list(model.blocks)[:layers] for p in block.parameters())
    return LabelPlan(
        units=many,
        tokens=tokens,
        bytes=tokens * (min(BLOCK, many) * 16 + 400) + 100_000_000,
        seconds=2.0 * weights * tokens / _SPEED + _LABELLING * tokens * many,
    )


@method(
    "label-units",
    group="features",
    paper="Natural Language Descriptions of Deep Visual Features (Hernandez et al. 2022)",
    plan="plan_name_units",
    model_by="model_of_table",
)
@takes_fields("how", ReadFor)
@takes_fields("config", LabelConfig)
def name_units(
    model: "TransformerBridge",
    table: Annotated[TableName, Doc("The feature table whose units are labelled.")],
    *,
    units: Annotated[int | None, Doc("So many live units, drawn at random; by default all.", least=1)] = None,
    write: Annotated[bool, Doc("Put the labels that fit beside the table, where those of people stand.")] = True,
    how: ReadFor = ReadFor(),
    config: LabelConfig = LabelConfig(),
    progress: Progress = SILENT,
) -> UnitLabels:
    """Labels for the units of a feature table by rule, scored on text they were not made from; or that no label fits.

    Labels stand beside the table with their rule as author and are shown wherever labels are; those of people stay, and come
    first. Raises BadInput for a table of another model, one without examples, an empty pool, and where no unit fires often
    enough.

    >>> found = ow.name_units(model, "small", share=0.1, firings=2, occurrences=2)
    >>> found.rows()[0]["label"] != ""
    True
    """
    opened = opened_table(table, model)
    require(plan_name_units(model, table, units=units, how=how).bytes, "Labelling its units", "cpu")
    chosen, reading = live_units(opened, units, how.seed), reading_of(opened, how.read)
    proposing = reading.halves(how.seed)[0]
    rules, left_out = possible(opened, config.rules)
    pool = pool_of(reading, proposing, config) if "pmi" in rules else None
    firings = firings_of(model, opened, reading, chosen, how, progress).often(proposing, how.firings)
    require_some(firings, opened, how)
    given = Material(reading, proposing, pool, opened, config)
    judged = judge(given, rules, firings, how.seed, progress)
    made = UnitLabels(
        **_counted(opened, firings, proposing),
        rules=list(rules),
        **vars(judged),
        least=config.least,
        candidates=0 if pool is None else len(pool),
        rare=len(chosen) - len(firings.units),
        left_out=left_out,
    )
    return came_from(replace(made, written=write_labels(opened.folder, made)) if write else made, model)


def _counted(table: FeatureTable, firings: Firings, proposing: Bool[np.ndarray, " token"]) -> dict[str, Any]:
    """Which units were looked at, and on how much text."""
    return {
        "table": table.folder.name,
        "of": dictionary_of(table),
        "units": firings.units,
        "names": [table.name(int(unit)) for unit in firings.units],
        "firings": firings.often_in(~proposing),
        "tokens": [int(proposing.sum()), int((~proposing).sum())],
    }
