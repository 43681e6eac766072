"""What of a unit holds a text: one of its labels, a token of its lists, or the text of one of its examples.

A word that a tokenizer cuts in pieces ("Eiffel") is in no token. So the table's text is searched whole: each row is written out
once, without its case, and where the text stands there as tokens is looked up in the windows of all examples at once.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

if TYPE_CHECKING:
    from probe.features.table import FeatureTable

_AROUND = 24
"Characters of an example shown on either side of what was found."


def in_examples(table: "FeatureTable", wanted: str) -> Bool[np.ndarray, " unit"]:
    """Which units have an example whose text holds `wanted` (without its case)."""
    offsets, starts, ends = table.windows
    spans = _spans(table, wanted)
    if not len(spans):
        return np.zeros(table.n_units, bool)
    # The first place that begins in a window must end in it too; a later one ends no sooner.
    first = np.searchsorted(spans[:, 0], starts)
    held = np.zeros(len(starts), bool)
    inside = first < len(spans)
    held[inside] = spans[first[inside], 1] < ends[inside]
    owner = np.repeat(np.arange(table.n_units), np.diff(offsets))
    found = np.zeros(table.n_units, bool)
    found[owner[held]] = True
    return found


def _spans(table: "FeatureTable", wanted: str) -> Int[np.ndarray, "place 2"]:
    """First and last token (counted through all rows) of every place in the table's text where `wanted` stands."""
    folded, tokens = table.text.folded, table.text.tokens
    found: list[tuple[int, int]] = []
    for row, ids in enumerate(tokens):
        pieces = [folded[i] if i >= 0 else "" for i in ids.tolist()]
        text = "".join(pieces)
        at = text.find(wanted)
        if at < 0:
            continue
        ends = np.cumsum([len(p) for p in pieces])
        while at >= 0:
            span = np.searchsorted(ends, [at, at + len(wanted) - 1], side="right") + row * tokens.shape[1]
            found.append((int(span[0]), int(span[1])))
            at = text.find(wanted, at + 1)
    return np.array(sorted(found), np.int64).reshape(-1, 2)


def what_matched(table: "FeatureTable", unit: int, text: str, lists: tuple[str, ...], label: str = "") -> str:
    """In words why a unit was found: `label 'fires on Eiffel'`, `promoted ' Paris'`, `example '... the Eiffel Tower ...'`."""
    wanted, said = text.casefold(), []
    for one in table.labels.get(unit, []):
        if (wanted and "label" in lists and wanted in one.text.casefold()) or (
            label and (label == "*" or label.casefold() in one.text.casefold())
        ):
            said.append(f"label {one.text!r}")
            break
    if not wanted:
        return "; ".join(said)
    for name in lists:
        if name in table.columns:
            ids = (int(i) for i in table.column(name)[unit].flatten() if i >= 0)
            if (token := next((i for i in ids if wanted in table.text.folded[i]), None)) is not None:
                said.append(f"{name} {table.text.token(token)!r}")
    if not said and "examples" in lists:
        said += [f"example {found!r}" for found in [_excerpt(table, unit, wanted)] if found]
    return "; ".join(said[:3])


def _excerpt(table: "FeatureTable", unit: int, wanted: str) -> str:
    """What stands around the text in the first of a unit's examples that holds it."""
    offsets, starts, ends = table.windows
    tokens = table.text.tokens.reshape(-1)
    for i in range(int(offsets[unit]), int(offsets[unit + 1])):
        ids = tokens[starts[i] : ends[i]].tolist()
        at = "".join(table.text.folded[t] for t in ids if t >= 0).find(wanted)
        if at >= 0:
            text = "".join(table.text.vocabulary[t] for t in ids if t >= 0)
            start, end = max(0, at - _AROUND), at + len(wanted) + _AROUND
            return f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"
    return ""
