"""A run that is under way: how it begins (from the data, or from its checkpoint), a step, its log and its checkpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from probe.artifacts.names import partial
from probe.artifacts.untrusted import reading
from probe.dictionaries import AffineMap, Standardiser
from probe.dictionaries.rows import unit_decoder
from probe.dictionaries.start import start_from_data
from probe.distributed import world
from probe.errors import BadInput, OpenworkError
from probe.progress import Progress
from probe.training.checkpoint import CHECKPOINT, read_checkpoint
from probe.training.pairs import Pair, Pairs, identity_of
from probe.training.result import Run
from probe.training.run_logs.metrics_log import METRICS, MetricsLog
from probe.training.step import Training


class OngoingRun:
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
                require_same(self.training.settings(), found[1], self.scratch)
                self.training.restore(*found)
        elif config.start:
            start_weights(self.training, self.pairs, progress, linear)
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


def start_weights(training: Training, pairs: Pairs, progress: Progress, known: dict[tuple, Tensor]) -> None:
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


def require_same(now: dict[str, Any], then: dict[str, Any], folder: Path) -> None:
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


def scratch_folder(folder: Path, resume: bool) -> Path:
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
