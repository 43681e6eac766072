"""Train a dictionary: minimise the squared error of its reconstructions over batches of (inputs, targets).

The trainer never asks which kind it trains: an SAE's targets are its inputs, a transcoder's are another site. It works on
standardised activations (see `dictionaries.standardise`) and saves weights that read raw ones.

    config = TrainConfig(epochs=4)
    dictionary = Transcoder(576, 4608, sparsifier=TopK(32), site_in=..., site_out=..., skip=True)
    result = train(dictionary, cache, config, folder)

A run that was killed and is started again with `resume=True` continues from its last checkpoint and, on a CPU with the same
number of threads, ends with the very weights of an uninterrupted run.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from probe.artifact import ModelStamp, place, read_manifest
from probe.checkpoint import (
    CHECKPOINT,
    METRICS,
    MetricsLog,
    held_interrupts,
    partial,
    read_checkpoint,
    read_metrics,
)
from probe.dictionaries import AffineMap, Dictionary, Standardiser, load_dictionary, save_dictionary
from probe.dictionaries.start import start_from_data
from probe.dictionaries.store import shape_of
from probe.errors import BadInput, Cancelled
from probe.pairs import Pairs, identity_of, pairs_for
from probe.progress import SILENT, Progress
from probe.training import TrainConfig, Training
from probe.training_plan import TrainPlan, plan

if TYPE_CHECKING:
    from probe.cache import Cache

__all__ = ["TrainConfig", "TrainPlan", "TrainResult", "Training", "plan", "train"]


@dataclass(frozen=True, eq=False)
class TrainResult:
    """A finished training: the dictionary (it reads raw activations), its folder, the last metrics and the time it took."""

    dictionary: Dictionary
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

    def figure(self):
        """Loss, L0 and dead share over the training."""
        from probe.figures_dictionaries import training_figure

        return training_figure(self.metrics)


def train(
    dictionary: Dictionary,
    cache: "Cache | Pairs",
    config: TrainConfig | None = None,
    folder: Path | str | None = None,
    *,
    resume: bool = False,
    progress: Progress = SILENT,
    model: ModelStamp | None = None,
) -> TrainResult:
    """Train on a cache (or other `Pairs`) and save the dictionary in `folder`, by default one named after cache and site.

    The given dictionary is trained in place on standardised activations; the result's reads raw ones. model: whose
    activations these are; taken from the cache where there is one. resume: continue the unfinished run in this folder (with
    the same config and data, else BadInput), or return it if it is finished; without it, what is there is refused. Raises
    BadInput where widths do not fit.
    """
    config, pairs = config or TrainConfig(), pairs_for(cache, dictionary)
    folder = Path(folder) if folder is not None else place("dictionary", _default_name(dictionary, pairs))
    manifest = getattr(cache, "manifest", None)
    stamped = model or getattr(manifest, "model", None)
    if folder.is_dir() and resume and not (partial(folder) / CHECKPOINT).is_file():
        return _finished(folder, config, dictionary, pairs)
    scratch = _scratch(folder, resume)
    training, fresh = _begin(dictionary, pairs, config, scratch, progress)
    log = MetricsLog(scratch / METRICS, keep_until=-1 if fresh else training.steps)
    try:
        _loop(training, pairs, log, scratch, progress)
    finally:
        log.close()
    return _finish(training, folder, scratch, stamped, pairs)


def _default_name(dictionary: Dictionary, pairs: Pairs) -> str:
    """`layer4-skip_transcoder-blocks.4.mlp.hook_out-4608`: trained on which cache, kind, site, latents."""
    return f"{pairs.name}-{dictionary.kind}-{dictionary.site_out}-{dictionary.d_dict}".replace("/", "-")


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


def _begin(
    dictionary: Dictionary, pairs: Pairs, config: TrainConfig, scratch: Path, progress: Progress
) -> tuple[Training, bool]:
    """A training at its start, or at the checkpoint found in `scratch`."""
    scaling = pairs.standardiser()
    training = Training(dictionary, scaling, config, pairs.n_tokens * config.epochs, identity_of(pairs))
    found = read_checkpoint(scratch)
    if found:
        _same(training.settings(), found[1], scratch)
        training.restore(*found)
    elif config.start:
        _start(training, pairs, progress)
    return training, not found


def _start(training: Training, pairs: Pairs, progress: Progress) -> None:
    """Give the dictionary its first weights from the data."""
    d, scaling, seed = training.dictionary, training.scaling, training.config.seed
    linear = None
    if d.W_skip is not None:
        with progress.stage("affine map", pairs.n_tokens, "tok") as step:
            linear = AffineMap().fit(_standardised(pairs, scaling, 8192, seed, d.W_enc, step)).weight_.float()
    first = next(iter(_standardised(pairs, scaling, d.d_dict, seed, d.W_enc)))
    start_from_data(d, *first, linear)


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
        if (was := then.get(part, {}).get(k, "unknown")) != v
    ]
    if differing:
        raise BadInput(
            f"{folder} was begun differently: {'; '.join(differing)}. Use the same settings and data, choose another name, "
            "or delete that folder."
        )


def _loop(training: Training, pairs: Pairs, log: MetricsLog, scratch: Path, progress: Progress) -> None:
    config = training.config
    with held_interrupts() as interrupted, progress.stage("train", training.total_tokens, "tok") as step:
        step(training.tokens)
        batches = pairs.batches(config.batch, epochs=config.epochs, seed=config.seed, position=training.position)
        for pair in batches:
            training.step(pair.inputs, pair.targets)
            training.position = pair.position
            if training.steps % config.log_every == 0:
                log.write(training.metrics())
            if training.steps % config.checkpoint_every == 0:
                training.save(scratch)
            try:
                step(len(pair.inputs))
                if interrupted():
                    raise KeyboardInterrupt
            except (Cancelled, KeyboardInterrupt):  # somebody stopped us between two steps: lose nothing
                training.save(scratch)
                raise
    if training.window.tokens:
        log.write(training.metrics())


def _finish(training: Training, folder: Path, scratch: Path, model: ModelStamp | None, pairs: Pairs) -> TrainResult:
    """Save the artifact and clear the scratch folder."""
    folded = training.scaling.fold(training.dictionary).requires_grad_(False).eval()
    save_dictionary(
        folded,
        folder,
        model=model,
        config=asdict(training.config),
        facts={
            "data": training.data,
            "tokens": training.tokens,
            "steps": training.steps,
            "seconds": training.seconds,
        },
        parents=(pairs.name,),
        seed=training.config.seed,
        extra={METRICS: (scratch / METRICS).read_bytes()},
    )
    shutil.rmtree(scratch, ignore_errors=True)
    return TrainResult(folded, folder, training.config, read_metrics(folder), training.seconds)


def _finished(folder: Path, config: TrainConfig, dictionary: Dictionary, pairs: Pairs) -> TrainResult:
    manifest = read_manifest(folder, "dictionary")
    _same(
        {"config": asdict(config), "shape": shape_of(dictionary), "source": {"data": identity_of(pairs)}},
        {"config": manifest.config, "shape": manifest.facts, "source": manifest.facts},
        folder,
    )
    return TrainResult(
        load_dictionary(folder), folder, config, read_metrics(folder), manifest.facts.get("seconds", 0.0)
    )
