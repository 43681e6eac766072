"""How the tokens of one document are cut into rows: one after the other, none overlapping, each beginning with BOS.

The rest of a document is a row of its own, unless it is shorter than `SHORTEST_TAIL` and not all there is of the document.
"""

from collections.abc import Iterator

SHORTEST_TAIL = 8  # tokens; a shorter rest of a document would be a row of padding


def document_rows(ids: list[int], context: int, bos: int | None) -> Iterator[list[int]]:
    """Rows of at most `context` tokens, BOS included; the last one is not padded yet."""
    begin = [] if bos is None else [bos]
    width = context - len(begin)
    for start in range(0, len(ids), width):
        if start == 0 or len(ids) - start >= min(SHORTEST_TAIL, width):
            yield begin + ids[start : start + width]
