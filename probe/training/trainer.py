"""Train a dictionary: minimise the squared error of its reconstructions over batches of (inputs, targets).

The trainer never asks which kind it trains: an SAE's targets are its inputs, a transcoder's are another site. It works on
standardised activations (see `dictionaries.standardise`) and saves weights that read raw ones.

    config = TrainConfig(epochs=4)
    dictionary = Transcoder(576, 4608, sparsifier=TopK(32), site_in=..., site_out=..., skip=True)
    result = train(dictionary, cache, config, folder)

A run that was killed and is started again with `resume=True` continues from its last checkpoint and, on a CPU with the same
number of threads, ends with the very weights of an uninterrupted run. Under torchrun several processes share each batch (see
`world`); the first alone writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from probe.artifacts.folder import place
from probe.artifacts.manifest import ModelStamp, read_manifest
from probe.artifacts.names import as_path, partial
from probe.artifacts.renames import discard
from probe.artifacts.run_claims import claimed
from probe.artifacts.untrusted import reading
from probe.dictionaries import AffineMap, Standardiser, load_dictionary, save_dictionary
from probe.dictionaries.rows import unit_decoder
from probe.dictionaries.start import start_from_data
from probe.dictionaries.store import AnyDictionary, shape_of
from probe.distributed import world
from probe.errors import BadInput, Cancelled, OpenworkError
from probe.memory import require
from probe.progress import SILENT, Progress
from probe.show.record import Record
from probe.training.checkpoint import CHECKPOINT, held_interrupts, read_checkpoint
from probe.training.metrics_log import METRICS, MetricsLog, read_metrics
from probe.training.pairs import Pair, Pairs, identity_of, pairs_for, together
from probe.training.plan import TrainPlan, plan, training_bytes
from probe.training.step import TrainConfig, Training

if TYPE_CHECKING:
    from probe.activations.cache import Cache

__all__ = ["Run", "TrainConfig", "TrainPlan", "TrainResult", "Training", "plan", "train", "train_together"]


@dataclass(frozen=True, eq=False)
class TrainResult(Record, figure=True, page=True):
    """A finished training: the dictionary (it reads raw activations), its folder, the last metrics and the time it took."""

    dictionary: AnyDictionary
    folder: Path
    config: TrainConfig
    metrics: list[dict[str, Any]] = field(repr=False)
    seconds: float

    @property
    def last(self) -> dict[str, Any]:
        """The last line of metrics."""
        return self.metrics[-1] if self.metrics else {}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able summary."""
        facts = shape_of(self.dictionary)
        return {
            "folder": str(self.folder),
            "config": asdict(self.config),
            "seconds": self.seconds,
            **facts,
            "last": self.last,
        }

    def summary(self) -> str:
        """One sentence: what was trained, for how long, where it lies."""
        last = ", ".join(f"{m} {self.last[m]:.4g}" for m in ("fvu", "l0", "dead_share") if m in self.last)
        return f"{self.folder.name}: trained in {self.seconds:,.0f} s{', ' + last if last else ''}."


@dataclass(frozen=True, eq=False)
class Run(Record):
    """One of several trainings that share their data: which dictionary, where it goes, and how it is trained."""

    dictionary: AnyDictionary
    folder: Path
    config: TrainConfig


def train(
    dictionary: AnyDictionary,
    cache: "Cache | Pairs",
    config: TrainConfig | None = None,
    folder: Path | str | None = None,
    *,
    resume: bool = False,
    progress: Progress = SILENT,
    model: ModelStamp | None = None,
) -> TrainResult:
    """Train on a cache (or `LiveActivations`, or other `Pairs`) and save the dictionary in `folder`.

    By default the folder is named after cache and site. The given dictionary is trained in place on standardised activations;
    the result's reads raw ones. model: whose activations these are; taken from the cache where there is one. resume: continue
    the unfinished run in this folder (with the same config and data, else BadInput), or return it if it is finished; without
    it, what is there is refused. Raises BadInput where widths do not fit.
    """
    place_of = as_path(folder) if folder is not None else default_folder(dictionary, pairs_for(cache, dictionary))
    run = Run(dictionary, place_of, config or TrainConfig())
    return train_together([run], cache, resume=resume, progress=progress, model=model)[0]


def train_together(
    runs: Sequence[Run],
    cache: "Cache | Pairs",
    *,
    resume: bool = False,
    progress: Progress = SILENT,
    model: ModelStamp | None = None,
) -> list[TrainResult]:
    """Train several dictionaries on the same data; each ends with the very weights it would have if trained alone.

    Those with the same batch, epochs and seed share one pass over the data. resume: as of `train`, for each. One that fails (its
    loss is not finite) does not stop the others: they are stored, and then OpenworkError names it.
    """
    if len({run.folder for run in runs}) < len(runs):
        raise BadInput("Two dictionaries would be written to one folder; give each a name of its own.")
    needed = sum(training_bytes(run.dictionary, run.config, pairs_for(cache, run.dictionary).n_tokens) for run in runs)
    have = sum(p.numel() * p.element_size() for run in runs for p in run.dictionary.parameters())
    require(needed - have, f"Training {len(runs)} dictionaries together", runs[0].dictionary.W_enc.device)
    with claimed([run.folder for run in runs]):
        return _train_all(runs, cache, resume, progress, model)


def _train_all(
    runs: Sequence[Run], cache: "Cache | Pairs", resume: bool, progress: Progress, model: ModelStamp | None
) -> list[TrainResult]:
    stamped = model or getattr(getattr(cache, "manifest", None), "model", None)
    waiting: dict[tuple, list[_Live]] = {}
    results: dict[Path, TrainResult] = {}
    for run in runs:
        pairs = pairs_for(cache, run.dictionary)
        if run.folder.is_dir() and resume:
            results[run.folder] = _finished(run, pairs)
        else:
            key = (run.config.batch, run.config.epochs, run.config.seed)
            waiting.setdefault(key, []).append(_Live(run, pairs, _scratch(run.folder, resume)))
    failed: list[_Live] = []
    for group in waiting.values():
        for live in _train_group(group, progress):
            if live.failed:
                failed.append(live)
            else:
                results[live.run.folder] = _finish(live, stamped)
    if failed:
        names = "; ".join(f"{live.run.folder.name}: {live.failed}" for live in failed)
        raise OpenworkError(f"{len(failed)} of {len(runs)} trainings failed, the others are stored. {names}")
    return [results[run.folder] for run in runs]


class _Live:
    """A run that is under way: its state, its log and its folder."""

    training: Training
    log: MetricsLog | None = None  # the first process's
    failed: OpenworkError | None = None

    def __init__(self, run: Run, pairs: Pairs, scratch: Path):
        self.run, self.pairs, self.scratch = run, pairs, scratch

    def begin(self, progress: Progress, linear: dict[tuple, Tensor]) -> None:
        """Start from the data, or from the checkpoint in the folder. linear: ridge maps found so far, by sites."""
        dictionary, config = self.run.dictionary, self.run.config
        total = self.pairs.n_tokens * config.epochs
        self.training = Training(dictionary, self.pairs.standardiser(), config, total, identity_of(self.pairs))
        found = read_checkpoint(self.scratch)
        if found:
            with reading(self.scratch / CHECKPOINT, f"delete {self.scratch} and train again"):
                _same(self.training.settings(), found[1], self.scratch)
                self.training.restore(*found)
        elif config.start:
            _start(self.training, self.pairs, progress, linear)
        world().send(dictionary.state_dict().values())
        if world().first:
            self.log = MetricsLog(self.scratch / METRICS, keep_until=self.training.steps if found else -1)

    def step(self, pair: Pair) -> None:
        """Train on a batch; keep the log, and the checkpoint when it is time."""
        training, config = self.training, self.run.config
        training.step(pair.inputs, pair.targets)
        training.position = pair.position
        if training.steps % config.log_every == 0:
            self.tell()
        if training.steps % config.checkpoint_every == 0:
            self.save()

    def tell(self) -> None:
        """Write a line of metrics."""
        line = self.training.metrics()
        if self.log:
            self.log.write(line)

    def save(self) -> None:
        """Write a checkpoint."""
        if world().first:
            self.training.save(self.scratch)


def default_folder(dictionary: AnyDictionary, pairs: Pairs) -> Path:
    """`layer4-skip_transcoder-blocks.4.mlp.hook_out-4608`: trained on which cache, kind, sites written, latents."""
    sites = dictionary.sites_out
    written = sites[0] if len(sites) == 1 else f"{len(sites)}_sites"
    return place("dictionary", f"{pairs.name}-{dictionary.kind}-{written}-{dictionary.d_dict}".replace("/", "-"))


def _scratch(folder: Path, resume: bool) -> Path:
    """The folder of the run; BadInput if something is there that would be lost."""
    scratch = partial(folder)
    if folder.exists() and not resume:
        raise BadInput(
            f"{folder} exists already. Choose another name, delete it, or resume to open it if it is the same."
        )
    if (scratch / CHECKPOINT).is_file() and not resume:
        raise BadInput(f"{scratch} holds an unfinished training. Resume it, or delete that folder to start over.")
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def _start(training: Training, pairs: Pairs, progress: Progress, known: dict[tuple, Tensor]) -> None:
    """Give the dictionary its first weights from the data."""
    d, scaling, seed = training.dictionary, training.scaling, training.config.seed
    linear, key = None, (tuple(d.sites_in), tuple(d.sites_out), seed)
    if getattr(d, "W_skip", None) is not None:
        if key not in known:
            with progress.stage("affine map", pairs.n_tokens, "tok") as step:
                known[key] = AffineMap().fit(_standardised(pairs, scaling, 8192, seed, d.W_enc, step)).weight_.float()
        linear = known[key]
    first = next(iter(_standardised(pairs, scaling, d.d_dict, seed, d.W_enc)))
    start_from_data(d, *first, linear)
    if training.config.decoder == "unit":
        unit_decoder(d)


def _standardised(
    pairs: Pairs, scaling: Standardiser, batch: int, seed: int, like: Tensor, step: Any = lambda n: None
) -> Iterator[tuple[Tensor, Tensor]]:
    for pair in pairs.batches(batch, seed=seed):
        yield scaling.inputs(pair.inputs.to(like)), scaling.targets(pair.targets.to(like))
        step(len(pair.inputs))


def _same(now: dict[str, Any], then: dict[str, Any], folder: Path) -> None:
    """Refuse to continue a run of another config, shape or data, naming every difference."""
    differing = [
        f"{k} was {was} and is now {v}"
        for part in now
        for k, v in now[part].items()
        if (was := dict(then.get(part) or {}).get(k, "unknown")) != v
    ]
    if differing:
        raise BadInput(
            f"{folder} was begun differently: {'; '.join(differing)}. Use the same settings and data, choose another name, "
            "or delete that folder."
        )


def _train_group(group: list[_Live], progress: Progress) -> list[_Live]:
    """Begin or continue all, read the data once, and train each on every batch it has not seen yet."""
    linear: dict[tuple, Tensor] = {}
    try:
        for live in group:
            live.begin(progress, linear)
        _loop(group, progress)
    finally:
        for live in group:
            if live.log:
                live.log.close()
    return group


def _loop(group: list[_Live], progress: Progress) -> None:
    config, behind = group[0].run.config, min(group, key=lambda live: live.training.tokens).training
    seen = behind.tokens  # a kill between two checkpoints leaves some runs ahead of others
    batches = together(
        [live.pairs for live in group],
        config.batch,
        epochs=config.epochs,
        seed=config.seed,
        position=behind.position,
    )
    with held_interrupts() as interrupted, progress.stage("train", behind.total_tokens, "tok") as step:
        step(seen)
        for found in batches:
            for live, pair in zip(group, found, strict=True):
                if live.failed is None and live.training.tokens == seen:
                    _step_or_fail(live, pair, group)
            n = len(found[0].inputs)
            seen += n
            try:
                with world().agreed():
                    step(n)
                    if interrupted():
                        raise KeyboardInterrupt
            except (Cancelled, KeyboardInterrupt):  # somebody stopped us between two steps: lose nothing
                with world().agreed():  # torchrun ends all processes when one leaves, so none may before this is done
                    for live in group:
                        live.save()
                raise
    for live in group:
        if live.training.window.tokens and live.failed is None:
            live.tell()


def _step_or_fail(live: _Live, pair: Pair, group: list[_Live]) -> None:
    """A step; if it fails the run is set aside, unless no other is left."""
    try:
        live.step(pair)
    except OpenworkError as error:
        live.failed = error
        if all(one.failed for one in group):
            raise


def _finish(live: _Live, model: ModelStamp | None) -> TrainResult:
    """Save the artifact and clear the scratch folder."""
    training, folder = live.training, live.run.folder
    folded = training.scaling.fold(training.dictionary).requires_grad_(False).eval()
    with world().agreed():
        if world().first:
            _store(live, folded, model)
    folded.name = folder.name
    return TrainResult(folded, folder, training.config, read_metrics(folder), training.seconds)


def _store(live: _Live, folded: AnyDictionary, model: ModelStamp | None) -> None:
    training, folder, scratch = live.training, live.run.folder, live.scratch
    save_dictionary(
        folded,
        folder,
        model=model,
        config=asdict(training.config),
        facts={
            "data": training.data,
            "sparsifier_trained": training.dictionary.sparsifier.config(),  # folding scales some of its settings
            "tokens": training.tokens,
            "steps": training.steps,
            "seconds": training.seconds,
        },
        parents=(live.pairs.name,),
        seed=training.config.seed,
        extra={METRICS: (scratch / METRICS).read_bytes()},
    )
    discard(scratch)


def _finished(run: Run, pairs: Pairs) -> TrainResult:
    folder, config = run.folder, run.config
    manifest = read_manifest(folder, "dictionary")
    facts = manifest.facts
    shape = {**facts, "sparsifier": facts.get("sparsifier_trained", facts.get("sparsifier"))}
    _same(
        {"config": asdict(config), "shape": shape_of(run.dictionary), "source": {"data": identity_of(pairs)}},
        {"config": manifest.config, "shape": shape, "source": facts},
        folder,
    )
    return TrainResult(load_dictionary(folder), folder, config, read_metrics(folder), facts.get("seconds", 0.0))
