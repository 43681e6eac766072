"""Text drawn from the loaded model itself, as a corpus: what the model thinks text is, which no bundled corpus can be.

    sampled = sample_text(model, place("text", "own"), n_documents=1000, length=256, seed=0)
    rows = tokenize(model, corpus("sample:own"))

Document i is drawn token by token from the model's own distribution, from the beginning-of-text token on, or from the
first tokens of a document of some source (`start`), which are then its first. Its stream of random numbers is made from (seed, i)
alone: neither the batch nor what was drawn before can change it (but for a draw that falls on a border within the rounding of the
logits, which differs between machines and batches by about one in a million). A document ends when `length` tokens were drawn, or
at a special token. What is done is kept batch by batch, so a killed run is continued and ends with the same file.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.artifacts.json import write_json
from probe.artifacts.locks.claims import claim
from probe.artifacts.manifest import Manifest, read_manifest, writing
from probe.artifacts.names import as_path, partial
from probe.artifacts.renames import discard
from probe.artifacts.schemas import fields, number, several, text, whole
from probe.artifacts.untrusted import read_json, reading, sealed, unsealed
from probe.errors import BadInput, Unavailable
from probe.memory import require
from probe.model.continuing.texts import Texts
from probe.model.fingerprint import stamp
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.show.record import Record
from probe.text.drawn_documents import Drawn, SampleConfig
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

TEXT = "text.parquet"
_SETTINGS = "settings.json"


@dataclass(frozen=True)
class SampledText(Record):
    """A stored sample. nats_per_token: mean surprise of the model at the tokens it drew, at temperature 1."""

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
    folder, began = as_path(folder), time.perf_counter()
    drawn = Drawn.of(model, n_documents, config)
    with claim(folder):
        if folder.exists():
            return _finished(folder, drawn.settings, resume)
        require(drawn.memory_bytes(), f"A batch of {drawn.config.batch} documents", model.cfg.device)
        scratch = _scratch(folder, drawn.settings, resume)
        _draw_all(drawn, scratch, progress)
        _finish(drawn, folder, scratch, time.perf_counter() - began)
    return open_sample(folder)


def _draw_all(drawn: Drawn, scratch: Path, progress: Progress) -> None:
    """Draw what is not drawn yet, batch by batch."""
    texts: Texts | None = None
    with progress.stage("sample", drawn.tokens, "tok") as step:
        for batch in drawn.batches:
            path = scratch / _name(batch)
            if _rows(path) is None:
                texts = texts or Texts(drawn.model)
                write_json(path, sealed({"rows": drawn.rows(texts, batch, step)}))
            else:
                step(len(batch) * drawn.config.length)


def open_sample(folder: Path | str) -> SampledText:
    """A stored sample, by its folder."""
    facts = read_manifest(Path(folder), "text").facts
    with reading(Path(folder), "draw it again"):
        return SampledText(Path(folder), facts["n_documents"], facts["n_tokens"], facts["nats_per_token"])


@takes_fields("config", SampleConfig)
def plan_sample(
    model: "TransformerBridge", n_documents: int, *, config: SampleConfig = SampleConfig(), steps: int = 4
) -> SamplePlan:
    """Estimate time, memory and disk; draws `steps` tokens of one batch and keeps nothing."""
    drawn = Drawn.of(model, n_documents, config)
    return SamplePlan(
        documents=n_documents,
        most_tokens=drawn.tokens,
        memory_bytes=drawn.memory_bytes(),
        disk_bytes=drawn.tokens * 6,
        seconds=drawn.seconds(steps),
    )


def _name(batch: range) -> str:
    """The file of a batch."""
    return f"{batch.start:08d}.json"


def _rows(path: Path) -> list[dict[str, Any]] | None:
    """The documents of a batch that was finished; None where it is to be drawn: not yet there, or damaged."""
    try:
        rows = unsealed(read_json(path))["rows"]
    except (Unavailable, ValueError, KeyError):
        return None
    return rows if several(_ROW)(rows) else None


_ROW = fields({"id": text, "text": text, "tokens": several(whole(0, 2**31 - 1)), "nats": number()})


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
    both = [k for k in {**new, **old} if old.get(k) != new.get(k)]
    differing = [f"{k} was {old.get(k)} and is now {new.get(k)}" for k in both]
    if differing:
        raise BadInput(
            f"{folder} was begun with other settings ({'; '.join(differing)}). Use the same, or another name."
        )


def _finished(folder: Path, settings: dict[str, Any], resume: bool) -> SampledText:
    if not resume:
        raise BadInput(
            f"{folder} exists already. Choose another name, delete it, or resume to open it if it is the same."
        )
    _same(
        {**read_manifest(folder, "text").config, "batch": settings["batch"]}, settings, folder
    )  # they are the same in any batch
    return open_sample(folder)


def _finish(drawn: Drawn, folder: Path, scratch: Path, seconds: float) -> None:
    """Put the batches together into one table and clear the scratch folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths, settings = [scratch / _name(batch) for batch in drawn.batches], drawn.settings
    rows = [row for path in paths for row in _rows(path) or []]
    tokens = sum(len(row["tokens"]) for row in rows)
    nats = sum(row["nats"] for row in rows) / max(tokens - sum(map(len, drawn.given)), 1)
    table = pa.table(
        {
            "id": [row["id"] for row in rows],
            "text": [row["text"] for row in rows],
            "tokens": pa.array([row["tokens"] for row in rows], pa.list_(pa.int32())),
        }
    )
    facts = {"n_documents": len(rows), "n_tokens": tokens, "nats_per_token": nats, "seconds": seconds}
    manifest = Manifest("text", folder.name, stamp(drawn.model), seed=settings["seed"], config=settings, facts=facts)
    with writing(folder, manifest) as beside:
        pq.write_table(table, beside / TEXT, compression="zstd")
    discard(scratch)
