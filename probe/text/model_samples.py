"""Text drawn from the loaded model itself, as a corpus: what the model thinks text is, which no bundled corpus can be.

    sampled = sample_text(model, place("text", "own"), n_documents=1000, length=256, seed=0)
    rows = tokenize(model, corpus("sample:own"))

Document i is drawn token by token from the model's own distribution, starting from the beginning-of-text token, with a stream
of random numbers made from (seed, i) alone: neither the batch nor what was drawn before can change it (but for a draw that falls
on a border within the rounding of the logits, which differs between machines and batches by about one in a million). A document
ends at `length` tokens or at a special token. What is done is kept batch by batch, so a killed run is continued and ends with
the same file.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from probe.artifacts.json import write_json
from probe.artifacts.locks.claims import claim
from probe.artifacts.manifest import Manifest, read_manifest, writing
from probe.artifacts.names import as_path, partial
from probe.artifacts.renames import discard
from probe.artifacts.schemas import fields, number, several, text, whole
from probe.artifacts.untrusted import read_json, reading, sealed, unsealed
from probe.doc import Doc
from probe.errors import BadInput, Unavailable
from probe.model.fingerprint import stamp
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress, Step
from probe.show.record import Record
from probe.text.display import tokenizer_of
from probe.text.sampling import draw
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

TEXT = "text.parquet"
_SETTINGS = "settings.json"
_SLACK = 64 << 20
"Bytes of buffers that no formula counts."


@dataclass(frozen=True)
class SampledText(Record):
    """A stored sample. nats_per_token: mean surprise of the model at its own tokens, at temperature 1."""

    folder: Path
    n_documents: int
    n_tokens: int
    nats_per_token: float

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "folder": str(self.folder), "name": self.folder.name}

    def summary(self) -> str:
        """How much of it there is, and how it surprises its model."""
        many = f"{counted(self.n_tokens, 'token')} in {counted(self.n_documents, 'document')}"
        return f"{many}, {self.nats_per_token:.2f} nats each, in {self.folder}"


@dataclass(frozen=True)
class SamplePlan(Record):
    """What a sampling will take. seconds: from a few tokens of one batch, drawn to find out."""

    documents: int
    most_tokens: int
    memory_bytes: int
    disk_bytes: int
    seconds: float

    def summary(self) -> str:
        """What it takes, in words."""
        return (
            f"{counted(self.documents, 'document')} of up to {self.most_tokens // self.documents} tokens, "
            f"{size(self.memory_bytes)} of memory, {size(self.disk_bytes)} on disk, about {estimate(self.seconds)}"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SampleConfig(Settings):
    """How text is drawn from a model."""

    length: Annotated[int, Doc(least=1)] = 256
    "Tokens of a document, at most."
    temperature: Annotated[float, Doc(above=0)] = 1.0
    "What logits are divided by before a token is drawn; 1 is the model's own distribution."
    seed: Annotated[int, Doc(least=0)] = 0
    "Of the draws; each document has its own."
    batch: Annotated[int, Doc(least=1)] = 32
    "Documents drawn side by side."


@takes_fields("config", SampleConfig)
def sample_text(
    model: "TransformerBridge",
    folder: Path | str,
    n_documents: int,
    *,
    config: SampleConfig = SampleConfig(),
    resume: bool = False,
    progress: Progress = SILENT,
) -> SampledText:
    """Draw documents and store them (columns id, text, tokens) as an artifact of kind `text`.

    config: its fields are keywords too. resume: continue an unfinished sample with the same settings, or open it if it is
    finished. Raises BadInput for settings that cannot be, or a folder that holds something else.

    >>> sampled = ow.sample_text(model, folder, n_documents=2, length=8)
    >>> sampled.n_documents
    2
    """
    folder, start = as_path(folder), time.perf_counter()
    settings = _settings(model, n_documents, config)
    with claim(folder):
        if folder.exists():
            return _finished(folder, settings, resume)
        _draw_all(model, folder, settings, _scratch(folder, settings, resume), progress, start)
    return open_sample(folder)


def _draw_all(
    model: "TransformerBridge", folder: Path, settings: dict[str, Any], scratch: Path, progress: Progress, start: float
) -> None:
    """Draw what is not drawn yet, batch by batch, and store the whole."""
    n_documents, length, batch = (settings[name] for name in ("documents", "length", "batch"))
    with progress.stage("sample", n_documents * length, "tok") as step:
        for group in _groups(n_documents, batch):
            path = scratch / _name(group)
            if _rows(path) is None:
                drawn = _group(model, group, length, settings["temperature"], settings["seed"], step)
                write_json(path, sealed({"rows": drawn}))
            else:
                step(len(group) * length)
    _finish(model, folder, scratch, settings, time.perf_counter() - start)


def open_sample(folder: Path | str) -> SampledText:
    """A stored sample, by its folder."""
    facts = read_manifest(Path(folder), "text").facts
    with reading(Path(folder), "draw it again"):
        return SampledText(Path(folder), facts["n_documents"], facts["n_tokens"], facts["nats_per_token"])


def plan_sample(
    model: "TransformerBridge", n_documents: int, *, length: int = 256, batch: int = 32, steps: int = 4
) -> SamplePlan:
    """Estimate time, memory and disk; draws `steps` tokens of one batch and keeps nothing."""
    _settings(model, n_documents, SampleConfig(length=length, batch=batch))
    size = min(batch, n_documents)
    list(draw(model, range(size), 1))  # the first pass also pays for what is set up once
    start = time.perf_counter()
    list(draw(model, range(size), min(steps, length)))
    each = (time.perf_counter() - start) / min(steps, length)
    c = model.cfg
    kept = (
        2 * c.n_layers * (getattr(c, "n_key_value_heads", None) or c.n_heads) * c.d_head * 4 * length
    )  # keys and values; half as much again, since with every token they are copied and leave holes
    return SamplePlan(
        documents=n_documents,
        most_tokens=n_documents * length,
        memory_bytes=_SLACK + size * (3 * kept // 2 + 3 * 8 * c.d_vocab),
        disk_bytes=n_documents * length * 6,
        seconds=each * length * math.ceil(n_documents / batch),
    )


def _groups(n_documents: int, batch: int) -> Iterator[range]:
    for first in range(0, n_documents, batch):
        yield range(first, min(first + batch, n_documents))


def _group(
    model: "TransformerBridge", group: range, length: int, temperature: float, seed: int, step: Step
) -> list[dict[str, Any]]:
    """The documents of one batch as rows."""
    rows, tokenizer = [], tokenizer_of(model)
    for index, (ids, nats) in zip(group, draw(model, group, length, temperature, seed, step=step), strict=True):
        text = tokenizer.decode(ids, clean_up_tokenization_spaces=False).rstrip("\ufffd")  # a character cut in half
        rows.append({"id": f"{index:08d}", "text": text, "tokens": ids, "nats": float(sum(nats))})
    return rows


def _name(group: range) -> str:
    """The file of a batch."""
    return f"{group.start:08d}.json"


def _rows(path: Path) -> list[dict[str, Any]] | None:
    """The documents of a batch that was finished; None where it is to be drawn: not yet there, or damaged."""
    try:
        rows = unsealed(read_json(path))["rows"]
    except (Unavailable, ValueError, KeyError):
        return None
    return rows if several(_ROW)(rows) else None


_ROW = fields({"id": text, "text": text, "tokens": several(whole(0, 2**31 - 1)), "nats": number()})


def _settings(model: "TransformerBridge", n_documents: int, config: SampleConfig) -> dict[str, Any]:
    """What decides a sample; BadInput for what cannot be."""
    length, temperature, seed, batch = config.length, config.temperature, config.seed, config.batch
    if min(n_documents, length, batch) < 1 or not 0 < temperature < math.inf or seed < 0:
        raise BadInput(
            f"A sample needs at least one document, one token and a batch of one, a temperature above 0 and a seed of 0 or more; "
            f"got {n_documents} documents of {length} tokens, batch {batch}, temperature {temperature}, seed {seed}."
        )
    longest = getattr(model.cfg, "n_ctx", None)
    if longest and length + 1 > longest:
        raise BadInput(
            f"Documents of {length} tokens and their first one do not fit: this model reads at most {longest}."
        )
    weights, tokenizer = stamp(model).weights, stamp(model).tokenizer
    return {
        "documents": n_documents,
        "length": length,
        "temperature": temperature,
        "seed": seed,
        "batch": batch,
        "weights": weights,
        "tokenizer": tokenizer,
    }


def _scratch(folder: Path, settings: dict[str, Any], resume: bool) -> Path:
    """The folder of the unfinished sample, new or to be continued."""
    scratch = partial(folder)
    if not (scratch / _SETTINGS).is_file():
        scratch.mkdir(parents=True, exist_ok=True)
        for path in scratch.glob("[0-9]*.json"):  # of what, nobody knows any more
            path.unlink()
        write_json(scratch / _SETTINGS, sealed(settings))
        return scratch
    if not resume:
        raise BadInput(f"{scratch} holds an unfinished sample. Resume it, or delete that folder to start over.")
    with reading(scratch / _SETTINGS, f"delete {scratch} and start again"):
        _same(unsealed(read_json(scratch / _SETTINGS)), settings, scratch)
    return scratch


def _same(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    differing = [f"{k} was {old.get(k)} and is now {v}" for k, v in new.items() if old.get(k) != v]
    if differing:
        raise BadInput(
            f"{folder} was begun with other settings ({'; '.join(differing)}). Use the same, or another name."
        )


def _finished(folder: Path, settings: dict[str, Any], resume: bool) -> SampledText:
    if not resume:
        raise BadInput(
            f"{folder} exists already. Choose another name, delete it, or resume to open it if it is the same."
        )
    _same(read_manifest(folder, "text").config, settings, folder)
    return open_sample(folder)


def _finish(model: "TransformerBridge", folder: Path, scratch: Path, settings: dict[str, Any], seconds: float) -> None:
    """Put the batches together into one table and clear the scratch folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = [scratch / _name(group) for group in _groups(settings["documents"], settings["batch"])]
    rows = [row for path in paths for row in _rows(path) or []]
    tokens = sum(len(row["tokens"]) for row in rows)
    nats = sum(row["nats"] for row in rows) / max(tokens, 1)
    table = pa.table(
        {
            "id": [row["id"] for row in rows],
            "text": [row["text"] for row in rows],
            "tokens": pa.array([row["tokens"] for row in rows], pa.list_(pa.int32())),
        }
    )
    facts = {"n_documents": len(rows), "n_tokens": tokens, "nats_per_token": nats, "seconds": seconds}
    manifest = Manifest("text", folder.name, stamp(model), seed=settings["seed"], config=settings, facts=facts)
    with writing(folder, manifest) as beside:
        pq.write_table(table, beside / TEXT, compression="zstd")
    discard(scratch)
