"""Units that a search finds: by name (`L5H3` a head, `L5N120` a neuron, `L4F650` a latent), by label, and by the tokens and
examples of stored feature tables.

For names and labels nothing is loaded: a model's shape comes from its folder, a dictionary's from its manifest, labels from the
file beside a table. For tokens the library's own search answers (`FeatureTable.search`), and says what of each unit matched;
opened tables remember what they were asked. They come with torch, which takes seconds to import the first time: until it is
there, `waiting` says so, and the page asks once more.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from app import links
from app.frame.search_words import Hit, clip, matching
from app.library import labels, tables, units
from app.library.artifacts import Library
from app.library.models import short_model
from probe.errors import OpenworkError
from probe.features.numbering import table_number
from probe.model.sizes import model_size
from probe.model.unit_names import UnitName

if TYPE_CHECKING:
    from probe.features import FeatureTable
    from probe.features.search import SearchIn

LEAST = 2  # characters: one is in nearly every unit
MOST = 6  # tables that are read, the newest; as many as are kept open
_EACH = 5  # units of a table
_EXAMPLES = 2_000_000  # tokens of a table up to which examples are read through while somebody types
_SAYS: dict["SearchIn", str] = {
    "peaks": "fires on",
    "measured": "fires on",
    "promoted": "promotes",
    "suppressed": "suppresses",
    "inputs": "reads",
}


def named_units(question: str, here: tuple[str, str], names: list[str], stored: Library) -> list[Hit]:
    """Pages of the unit this question names, in each model or dictionary that has it. here: model and prompt of the page that
    asks."""
    if not (asked := UnitName.typed(question)):
        return []
    if asked.kind == "latent":
        return [*_in_tables(asked, stored), *_in_dictionaries(asked, stored)]
    hits = []
    for model in dict.fromkeys([*filter(None, [here[0]]), *names]):
        size = model_size(model)
        most = (size.d_mlp if asked.kind == "neuron" else size.heads) if size else 0
        if size is None or asked.layer >= size.layers or asked.unit >= most:
            continue
        note = f"{asked.kind} of {short_model(model)}"
        if asked.kind == "neuron":
            hits.append(Hit(str(asked), note, links.neuron_page(model, asked.layer, asked.unit), "units"))
        else:
            prompt = here[1] if model == here[0] else None
            page = links.heads_page(model, prompt, head=f"{asked.layer}.{asked.unit}")
            hits.append(Hit(str(asked), note, page, "heads"))
    return hits


def _in_tables(asked: UnitName, stored: Library) -> list[Hit]:
    hits = []
    for folder, manifest in stored.kinds["features"]:
        try:
            number = table_number(manifest.facts, str(asked), folder.name)
        except (OpenworkError, KeyError, TypeError, ValueError):  # it has no such unit, or its manifest is damaged
            continue
        note = f"latent, in the feature table {folder.name}"
        hits.append(Hit(str(asked), note, links.unit_page(folder.name, number), "units"))
    return hits


def _in_dictionaries(asked: UnitName, stored: Library) -> list[Hit]:
    return [
        Hit(str(asked), f"latent of {folder.name}", links.latent_page(folder.name, number), "units")
        for folder, manifest in stored.kinds["dictionary"]
        if (number := units.number_in(manifest, asked)) is not None
    ]


def labelled(words: list[str]) -> list[Hit]:
    """Units with a label that holds the words."""
    return [
        Hit(clip(text), f"unit {unit} of {table}", links.unit_page(table, unit), "units")
        for table, rows in labels.by_table().items()
        for unit, text in matching(words, [(u, one.text) for u, said in rows.items() for one in said], lambda p: p[1])
    ]


def waiting(question: str, stored: Library) -> bool:
    """Would there be tables to search, if what reads them were imported? Its import is begun then."""
    if len(question.strip()) < LEAST or not stored.kinds["features"] or tables.warmed():
        return False
    tables.warm()
    return True


def matched_units(question: str, stored: Library) -> list[Hit]:
    """Units that hold this text in a token or an example, with what matched; the last hit of a table opens all it has."""
    if len(question) < LEAST or not tables.warmed():
        return []
    hits = []
    for folder, _ in stored.kinds["features"][:MOST]:
        try:
            hits += _of_table(tables.open_table(folder.name), folder, question)
        except OpenworkError:  # a damaged table says so on its own page
            continue
    return hits


def _of_table(table: "FeatureTable", folder: Path, question: str) -> list[Hit]:
    places: list[SearchIn] = [*_SAYS, *(["examples"] if table.text.tokens.size <= _EXAMPLES else [])]
    found: dict[int, str] = {}
    total = 0
    for place in places:
        page = table.search(question, where=place, sort="max", descending=True, limit=_EACH)
        total = max(total, page.total)
        for unit in page.units:  # `fires on ' commerce'` for `peaks ' commerce'`
            found.setdefault(unit, clip(page.matched[unit].replace(place, _SAYS.get(place, place), 1)))
    name = folder.name
    hits = [
        Hit(f"{table.name(unit)} {said}", f"{table.kind} {unit} of {name}", links.unit_page(name, unit), "units")
        for unit, said in list(found.items())[:_EACH]
    ]
    if max(total, len(found)) > _EACH:
        title, page = f"All of {name} with “{clip(question)}”", links.table_page(name, q=question)
        hits.append(Hit(title, "in a label, a token or an example", page, "units"))
    return hits
