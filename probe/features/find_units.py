"""Units of a stored feature table, by its name: found by text, density and label (`openwork features find`), read one by one
(`openwork features unit`), and labelled (`openwork features label`).
"""

from dataclasses import dataclass
from typing import Annotated, Any

from probe.artifacts.manifest import found_folder, read_manifest
from probe.doc import Doc
from probe.errors import BadInput
from probe.features.labels import Labels, import_labels, labels_of, set_label
from probe.features.numbering import table_number
from probe.features.search import Found, Number, SearchIn
from probe.features.table import open_features
from probe.features.unit import Unit
from probe.methods import FileToRead, TableName, tool
from probe.methods.kinds import AnyText
from probe.plain_values import Settings, takes_fields
from probe.show.record import Record
from probe.words import counted


@dataclass(frozen=True)
class Among(Settings):
    """Where the text is looked for, and in which units."""

    where: SearchIn = "any"
    "Where the text is looked for."
    least_density: Annotated[float, Doc(least=0, most=1)] = 0.0
    "The share of tokens a unit is active at, at least."
    most_density: Annotated[float, Doc(least=0, most=1)] = 1.0
    "At most."
    dead: bool | None = None
    "Only units that were never active, or only others."
    label: AnyText = ""
    "Part of one of its labels; * for any."

    @property
    def asked(self) -> dict[str, Any]:
        """The same as a table is asked."""
        between = (self.least_density, self.most_density)
        density = between if between != (0.0, 1.0) else None
        return {"where": self.where, "density": density, "dead": self.dead, "label": self.label}


@tool("find", group="features")
@takes_fields("among", Among)
def find_units(
    table: Annotated[TableName, Doc("The feature table to search.")],
    text: Annotated[AnyText, Doc("Part of a unit's label, of one of its tokens, or of the text of an example.")] = "",
    *,
    among: Among = Among(),
    sort: Annotated[Number, Doc("The number that they are sorted by.")] = "density",
    descending: Annotated[bool, Doc("The largest first.")] = True,
    limit: Annotated[int, Doc("Units that are listed.", least=1)] = 20,
) -> Found:
    """Units of a feature table that match, with what of each did.

    >>> ow.find_units("small", "the").total > 0
    True
    """
    return open_features(table).search(text, **among.asked, sort=sort, descending=descending, limit=limit)


@tool("unit", group="features")
def unit_of_table(
    table: Annotated[TableName, Doc("The feature table that holds it.")],
    unit: Annotated[str, Doc("Its number there, or its name, like L4F650.")],
) -> Unit:
    """What a feature table holds of one unit: examples, density, effects on the logits, neighbours.

    >>> ow.unit_of_table("small", "L1N5").name
    'L1N5'
    """
    return open_features(table).unit(unit)


@dataclass(frozen=True)
class LabelsOfTable(Record):
    """Labels of a table by the number of their unit, the best of each first."""

    table: str
    labels: Labels

    def rows(self) -> list[dict[str, Any]]:
        """A row each."""
        return [{"unit": unit, **one.to_dict()} for unit, labels in self.labels.items() for one in labels]

    def to_dict(self) -> dict[str, Any]:
        return {str(unit): [one.to_dict() for one in labels] for unit, labels in self.labels.items()}

    def summary(self) -> str:
        """How many."""
        return f"{counted(len(self.rows()), 'label')} in {self.table}"


@tool("label", group="features")
def label_units(
    table: Annotated[TableName, Doc("The feature table whose units are labelled.")],
    unit: Annotated[str | None, Doc("Its number there, or its name; without it all labels are told.")] = None,
    text: Annotated[
        AnyText | None, Doc("What it does; without it its labels are told, and empty it is taken away.")
    ] = None,
    *,
    author: Annotated[AnyText, Doc("Whose words these are.")] = "",
    score: Annotated[float | None, Doc("A number some method gave the label.")] = None,
    method: Annotated[AnyText, Doc("The method that gave the score.")] = "",
    imported: Annotated[
        FileToRead | None, Doc("JSON to take over: unit number to text, or to {text, author, score, method}.")
    ] = None,
) -> LabelsOfTable:
    """Label units of a feature table, or tell the labels there are.

    >>> ow.label_units("small", "L1N5", "names after and", author="ana").rows()[0]["text"]
    'names after and'
    """
    folder = found_folder("features", table)
    if text is not None and unit is None:
        raise BadInput(f"Say which unit of {folder.name} does this: {text[:40]}")
    if imported is not None:
        import_labels(folder, imported, author=author)
    if text is not None and unit is not None:
        set_label(folder, unit, text, author=author, score=score, method=method)
    chosen = None if unit is None else table_number(read_manifest(folder, "features").facts, unit, folder.name)
    return LabelsOfTable(folder.name, {u: said for u, said in labels_of(folder).items() if chosen in (None, u)})
