"""Where text comes from: the bundled corpus, your own files, or a `datasets` id. Everything becomes documents.

    "sotu"                          State of the Union addresses, 1790 to 2016, shipped with Openwork
    notes.txt                       one file is one document
    rows.jsonl                      one JSON object a line, its text under "text"
    rows.parquet                    a column "text"
    sample:NAME                     text sampled from a model, stored under that name (`probe.text.model_samples`)
    datasets:ID[:split[:column]]    the `datasets` library; ID is `org/name` or `org/name/config`, streamed

Blank rows are passed over; a source with nothing but blank rows is refused. A column "id" names the documents where
there is one.
"""

import difflib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.artifacts.untrusted import json_lines, reading, utf8_text
from probe.errors import BadInput, Unavailable
from probe.show.record import Record
from probe.text.bundled import bundled

BUNDLED = {"sotu": "sotu.parquet"}
_STREAM_BUFFER = 10_000  # rows held to shuffle a stream that has no end we know of


@dataclass(frozen=True)
class Document(Record):
    """A text that belongs together, and its name in its source."""

    id: str
    text: str


def corpus(spec: str | Path = "sotu", *, seed: int | None = None, column: str = "text") -> Iterator[Document]:
    """Documents of `spec` (see above), read as they are asked for.

    seed: shuffle the documents, always alike for one seed, so that the first few are a fair sample; the bundled
    corpus, for one, is in order of date. The source is then read whole (a `datasets` stream: 10,000 rows at a time).
    column: where the text is in .jsonl and .parquet files.
    Raises BadInput for an unknown spec, a missing file or column, an empty text or one that is not UTF-8.

    >>> next(iter(ow.corpus("sotu"))).id
    '1790-george-washington'
    """
    text = str(spec)
    if text.startswith("datasets:"):
        return _not_empty(_hub(text, seed), text)
    if text.startswith("sample:"):
        documents = _parquet(_sample(text), "text")
    elif text in BUNDLED:
        documents = _parquet(bundled(BUNDLED[text]), "text")
    else:
        path = Path(text).expanduser()
        documents = _reader(path)(path, column)
    return _not_empty(documents if seed is None else _shuffled(documents, seed), text)


def _sample(spec: str) -> Path:
    """The table of the stored sample that `sample:NAME` names."""
    from probe.artifacts.folder import home, place
    from probe.artifacts.manifest import read_manifest, require_files

    name = spec.removeprefix("sample:")
    path = place("text", name) / "text.parquet"
    if not path.is_file():
        raise BadInput(
            f"No sampled text '{name}' is stored under {home()}. Make it first: openwork sample --name {name}"
        )
    require_files(path.parent, read_manifest(path.parent, "text"), [path.name], "Draw it again.")
    return path


def _shuffled(documents: Iterable[Document], seed: int) -> Iterator[Document]:
    whole = list(documents)
    random.Random(seed).shuffle(whole)
    yield from whole


def _not_empty(documents: Iterable[Document], spec: str) -> Iterator[Document]:
    """Pass over blank documents, but refuse a source that has no other."""
    empty = True
    for document in documents:
        if document.text.strip():
            empty = False
            yield document
    if empty:
        raise BadInput(f"'{spec}' holds no text. Give a file with something in it.")


def _reader(path: Path):
    """The function that reads files of this name."""
    readers = {".txt": _plain, ".jsonl": _jsonl, ".parquet": _parquet}
    if path.is_dir():
        raise BadInput(f"{path} is a folder; give one file ({', '.join(readers)}).")
    if not path.is_file():
        raise BadInput(_unknown(path, readers))
    if path.suffix.lower() not in readers:
        raise BadInput(
            f"{path.name} is of no kind that can be read as text; rename or convert it to {', '.join(readers)}."
        )
    return readers[path.suffix.lower()]


def _unknown(path: Path, readers: Iterable[str]) -> str:
    """The sentence for a spec that names nothing, with the nearest thing that exists."""
    folder = path.parent if path.parent.is_dir() else Path()
    beside = {p.name: str(p) for p in folder.iterdir() if p.suffix.lower() in readers}
    close = difflib.get_close_matches(path.name, [*BUNDLED, *beside], n=1, cutoff=0.5)
    hint = f" Did you mean '{beside.get(close[0], close[0])}'?" if close else ""
    known = ", ".join([*BUNDLED, f"a {', '.join(readers)} file", "sample:NAME", "datasets:ID"])
    return f"There is no corpus or file '{path}'.{hint} Known: {known}."


def _plain(path: Path, column: str) -> Iterator[Document]:
    yield Document(path.name, utf8_text(path.read_bytes(), path))


def _jsonl(path: Path, column: str) -> Iterator[Document]:
    for line, row in json_lines(path, strict=False):
        if not isinstance(row, dict) or column not in row:
            fields = ", ".join(row) if isinstance(row, dict) else f"a {type(row).__name__}"
            raise BadInput(f"{path}, line {line} has no field '{column}'; it has {fields or 'no field'}.")
        yield _document(row, column, f"{path.name}:{line}")


def _parquet(path: Path, column: str) -> Iterator[Document]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        file = pq.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise Unavailable(f"{path} cannot be read as parquet ({error}); it may be truncated.") from error
    names = file.schema_arrow.names
    if column not in names:
        raise BadInput(f"{path} has no column '{column}'; it has {', '.join(names)}.")
    for row, values in enumerate(_rows(file, [c for c in ("id", column) if c in names], path)):
        yield _document(values, column, f"{path.name}:{row}")


def _rows(file: Any, columns: list[str], path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a parquet file, some at a time; damage may show itself only then."""
    with reading(path, "it may be truncated, so fetch or write it again"):
        for batch in file.iter_batches(64, columns=columns):
            yield from batch.to_pylist()


def _document(row: dict[str, Any], column: str, fallback: str) -> Document:
    """One row as a document; a missing value is a blank text, which is passed over later."""
    text = row[column]
    if text is not None and not isinstance(text, str):
        raise BadInput(f"{fallback}: '{column}' holds a {type(text).__name__} where text was wanted.")
    return Document(str(row.get("id") or fallback), text or "")


def _hub(spec: str, seed: int | None) -> Iterator[Document]:
    """`datasets:ID[:split[:column]]`, streamed."""
    name, split, column = ([*spec.split(":")[1:], "", ""])[:3]
    split, column = split or "train", column or "text"
    if not name or spec.count(":") > 3:
        raise BadInput(f"'{spec}' should read datasets:ID[:split[:column]], e.g. datasets:org/name:train:text.")
    rows = _load(name, split)
    known = list(getattr(rows, "column_names", None) or [])
    if known and column not in known:
        raise BadInput(f"{name} has no column '{column}'; it has {', '.join(known)}.")
    if seed is not None:
        rows = rows.shuffle(seed=seed, buffer_size=_STREAM_BUFFER)
    return (_document(row, column, f"{name}:{split}:{i}") for i, row in enumerate(rows))


def _load(name: str, split: str) -> Any:
    """Open a dataset of the hub, or say what is in the way."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise Unavailable("Reading a dataset needs the `datasets` library: pip install datasets") from error
    identity, config = (name.rsplit("/", 1)) if name.count("/") == 2 else (name, None)
    try:
        return load_dataset(identity, config, split=split, streaming=True)
    except Exception as error:  # datasets and its file systems raise many kinds for one cause
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unavailable(
            f"The dataset '{name}' (split '{split}') cannot be opened: {reason} Check the name and the network, "
            "or use a local .txt, .jsonl or .parquet file."
        ) from error
