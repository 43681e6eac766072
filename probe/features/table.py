"""A feature table that was built: look up a unit, search, sort. Columns are memory-mapped, so only what is asked for is read."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.artifacts.manifest import Manifest, found_folder, read_manifest, require_files
from probe.artifacts.refuse_other_model import check_model
from probe.artifacts.tensors import read_tensors
from probe.artifacts.untrusted import reading
from probe.errors import BadInput
from probe.features.consistency import require_table
from probe.features.labels import FILE as LABELS
from probe.features.labels import Labels, labels_of
from probe.features.matches import what_matched
from probe.features.measuring.tally import edges
from probe.features.numbering import layer_of, table_number
from probe.features.overview import UNITS, overview_of
from probe.features.search import SHOWN, Found, Page, SearchIn, matching, page_of, places
from probe.features.store import EXAMPLES, FIRST_BIN, TEXT
from probe.features.text import Text
from probe.features.unit import GROUPS, Example, Near, TokenScore, Unit
from probe.model.unit_names import UnitName, unit_name
from probe.plain_values import takes_fields
from probe.show.beside import loads
from probe.show.html import shown
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.interventions.places import Place


DENSEST = 15
"""Units that a table shows of itself."""


class FeatureTable(Record, figure=True, page=True):
    """An opened table of `n_units` units over `n_tokens` ordinary tokens."""

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder, self.manifest = folder, manifest
        facts = manifest.facts
        self.kind, self.n_units, self.n_tokens = facts["units"], facts["n_units"], facts["tokens"]
        self._columns = _arrays(folder / UNITS)
        self._examples = _arrays(folder / EXAMPLES)
        words = _arrays(folder / TEXT)
        require_table(self._columns, self._examples, words, facts, folder)
        self.text = Text(words)
        self.answers: dict[tuple[Any, ...], np.ndarray] = {}
        self._labels: tuple[tuple[int, int], Labels] = ((-1, -1), {})

    @property
    def labels(self) -> Labels:
        """Labels by unit, the best of each first; read again when they were written."""
        try:
            found = (self.folder / LABELS).stat()
            mark = (found.st_mtime_ns, found.st_ino)  # clocks of file systems tick slowly; every write is a new file
        except OSError:
            mark = (0, 0)
        if self._labels[0] != mark:
            self._labels = (mark, labels_of(self.folder))
        return self._labels[1]

    def __len__(self) -> int:
        return self.n_units

    def __repr__(self) -> str:
        source = self.manifest.facts["source"]
        return f"FeatureTable({self.folder.name}: {self.n_units:,} {self.kind}s of {source}, {self.n_tokens:,} tokens)"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns there are."""
        return tuple(sorted(self._columns))

    def column(self, name: str) -> np.ndarray:
        """One value or one row of values per unit, memory-mapped. Do not write to it."""
        if name not in self._columns:
            raise BadInput(f"{self.folder} has no column '{name}', but {', '.join(self.columns)}.")
        return self._columns[name]

    def layer(self, unit: int) -> tuple[int, int]:
        """The layer of a unit, and its number within that layer."""
        return layer_of(self.manifest.facts, unit)

    def number(self, unit: "int | str | UnitName | Place") -> int:
        """The number in this table of a unit given by its name; a number as it is. BadInput for a unit it does not hold."""
        return table_number(self.manifest.facts, unit, self.folder.name)

    def name(self, unit: int) -> str:
        """`L4F650` for a latent, `L4N120` for a neuron."""
        return unit_name(self.kind, *self.layer(unit))

    def unit(self, unit: "int | str | UnitName | Place") -> Unit:
        """Everything about one unit, by its number or its name. BadInput if there is no such unit."""
        unit = self.number(unit)
        self._require(unit)
        layer, _ = self.layer(unit)
        numbers: dict[str, Any] = {n: float(self._columns[n][unit]) for n in ("density", "mean_active", "max", "min")}
        found = Unit(
            name=self.name(unit),
            kind=self.kind,
            layer=layer,
            unit=int(unit),
            fired=int(self._columns["fired"][unit]),
            n_tokens=self.n_tokens,
            edges=edges(self.manifest.facts["signed"]).tolist(),
            counts=self._columns["histogram"][unit].tolist(),
            examples=self.examples(unit),
            promoted=self._scores("promoted", "promoted_logit", unit),
            suppressed=self._scores("suppressed", "suppressed_logit", unit),
            inputs=self._scores("inputs", "inputs_score", unit),
            measured=self._scores("measured", "measured_mean", unit, "measured_count"),
            near=self._near(unit),
            coactive=self._coactive(unit),
            convention=self.manifest.facts["convention"],
            **numbers,
        )
        return came_from(found, self)

    def _require(self, unit: int) -> None:
        if not 0 <= unit < self.n_units:
            raise BadInput(f"Unit {unit} was asked for; {self.folder.name} holds units 0 to {self.n_units - 1}.")

    def examples(self, unit: "int | str | UnitName | Place") -> list[Example]:
        """The strongest examples, then those sampled over the activation range."""
        unit = self.number(unit)
        self._require(unit)
        start, end = self._examples["offsets"][unit : unit + 2]
        return [self._example(i) for i in range(start, end)]

    def _example(self, i: int) -> Example:
        tokens = self.text.tokens
        context, width = tokens.shape[1], self._examples["window"].shape[1]
        peak, config = int(self._examples["peak"][i]), self.manifest.config
        row, pos = divmod(peak, context)
        start = min(max(pos - config["before"], 0), context - width)
        ids, group = tokens[row, start : start + width].tolist(), int(self._examples["group"][i])
        return Example(
            group=GROUPS.get(group, f"bin {group - FIRST_BIN + 1} of {config['bins']}"),
            value=float(self._examples["value"][i]),
            document=self.text.document(row),
            row=row,
            pos=pos,
            peak=pos - start,
            token_ids=ids,
            tokens=[self.text.token(t) for t in ids],
            activations=self._examples["window"][i].tolist(),
        )

    def _scores(self, which: str, score: str, unit: int, count: str | None = None) -> list[TokenScore]:
        if which not in self._columns:
            return []
        ids, scores = self._columns[which][unit].tolist(), self._columns[score][unit].tolist()
        counts = self._columns[count][unit].tolist() if count else [None] * len(ids)
        return [TokenScore(i, self.text.token(i), s, c) for i, s, c in zip(ids, scores, counts, strict=True) if i >= 0]

    def _near(self, unit: int) -> list[Near]:
        pairs = zip(self._columns["near"][unit].tolist(), self._columns["near_cosine"][unit].tolist(), strict=True)
        return [Near(other, self.name(other), cosine) for other, cosine in pairs]

    def _coactive(self, unit: int) -> list[Near]:
        sampled, n = self._columns["sampled"], self.manifest.facts["sample"]["tokens"]
        found = []
        columns = (self._columns[f"coactive{end}"][unit].tolist() for end in ("", "_cosine", "_joint"))
        for other, cosine, joint in zip(*columns, strict=True):
            if other >= 0:
                pmi = float(np.log(joint * n / (float(sampled[unit]) * float(sampled[other]))))
                found.append(Near(other, self.name(other), cosine, joint, pmi))
        return found

    def rows(self, units: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """One row of numbers and tokens per unit, in the order given; by default of every unit."""
        units = range(self.n_units) if units is None else units
        lists = [name for name in SHOWN if name in self._columns]
        rows, labels = [], self.labels
        for unit, row in zip(units, self.records(units, lists, 5), strict=True):
            words = {name: " ".join(map(shown, row[name])) for name in lists}
            said = [label.text for label in labels.get(int(unit), [])][:1]
            rows.append({**row, **words, **({"label": "".join(said)} if labels else {})})
        return rows

    def records(self, units: Sequence[int], lists: Sequence[str], k: int) -> list[dict[str, Any]]:
        """Name and numbers of each unit, and the first k different tokens of some of its lists."""
        at, vocabulary = np.asarray(units, dtype=np.int64), self.text.vocabulary
        numbers = {n: self._columns[n][at].astype(float).tolist() for n in ("density", "mean_active", "max")}
        ids = {name: self._columns[name][at].tolist() for name in lists}
        rows = []
        for i, unit in enumerate(at.tolist()):
            row: dict[str, Any] = {"unit": unit, "name": self.name(unit)}
            row |= {name: column[i] for name, column in numbers.items()}
            row |= {
                name: [vocabulary[t] for t in dict.fromkeys(column[i]) if t >= 0][:k] for name, column in ids.items()
            }
            rows.append(row)
        return rows

    @takes_fields("page", Page)
    def search(
        self,
        text: str = "",
        *,
        where: SearchIn = "any",
        density: tuple[float, float] | None = None,
        dead: bool | None = None,
        label: str = "",
        page: Page = Page(),
    ) -> Found:
        """Units that match, sorted by a number, ties by unit; a page of them, whose fields are keywords too.

        text: part of one of a unit's labels, of one of its tokens, or of the text of its examples (case does not matter), looked
        for in one of them (`where`) or in any; what matched is told of each. density: from, to (both included). dead: only units
        that never fired, or only others. label: part of one of its labels, "*" for any.
        """
        keep = matching(self, text, where, density, dead, label)
        found = page_of(self, keep, page)
        if not (text or label):
            return found
        said = {unit: what_matched(self, unit, text, places(where), label) for unit in found.units}
        return replace(found, matched=said)

    @cached_property
    def windows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where each unit's examples begin in the list of all; and of each example the first token of its window, counted through
        all rows, and the one after its last."""
        context, width = self.text.tokens.shape[1], self._examples["window"].shape[1]
        row, pos = np.divmod(np.asarray(self._examples["peak"], dtype=np.int64), context)
        start = np.minimum(np.maximum(pos - self.manifest.config["before"], 0), context - width) + row * context
        return self._examples["offsets"], start, start + width

    @property
    def least_density(self) -> float:
        """The power of ten, rounded down, of half a token's density: where an axis of densities begins."""
        return math.floor(10 * math.log10(0.5 / max(self.n_tokens, 1))) / 10

    @property
    def dead_share(self) -> float:
        """Share of the units that were never active."""
        return overview_of(self._columns["density"]).dead_share

    def panels(self) -> list[Panel]:
        """How many units are how dense, and the densest."""
        densest = self.search(sort="density", descending=True, limit=DENSEST).rows()
        return [Figure("Units by density", self.figure), Rows("Densest first", densest), Sentence(repr(self))]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able summary."""
        facts = self.manifest.facts
        return {
            "folder": str(self.folder),
            "name": self.folder.name,
            "units": self.kind,
            "source": facts["source"],
            "n_units": self.n_units,
            "n_tokens": self.n_tokens,
            "dead_share": self.dead_share,
            "mean_active_units": float(self._columns["fired"].sum() / max(self.n_tokens, 1)),
            "sample": facts["sample"],
            "config": self.manifest.config,
            "convention": facts["convention"],
        }


def _arrays(path: Path) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in read_tensors(path).items()}


@loads
def open_features(folder: str | Path, model: "TransformerBridge | None" = None) -> FeatureTable:
    """Open a finished table, by folder or by name. With a model, refuse one that was made from another (BadInput).

    >>> table = ow.open_features("small", model)
    >>> table.unit("L1N5").name
    'L1N5'
    """
    path = found_folder("features", folder, "Build it with build_features, or with `openwork features`.")
    if not path.exists():
        raise BadInput(f"{path} is not finished. Build it again with resume to continue.")
    manifest = read_manifest(path, "features")
    if model is not None:
        from probe.model.load import stamp

        check_model(manifest, stamp(model), path)
    require_files(path, manifest, (UNITS, EXAMPLES, TEXT), "Delete the folder and build it again.")
    with reading(path, "delete the folder and build it again"):
        table = FeatureTable(path, manifest)
        if table.n_units < 1:
            raise BadInput(f"{path.name} holds no units.")
        for unit in (0, table.n_units - 1):  # one that was cut short says so now
            table.unit(unit)
        return table
