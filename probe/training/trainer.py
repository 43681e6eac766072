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

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from probe.artifacts.folder import place
from probe.artifacts.locks.run_claims import claimed
from probe.artifacts.manifest import ModelStamp, read_manifest
from probe.artifacts.names import as_path
from probe.artifacts.renames import discard
from probe.dictionaries import load_dictionary, save_dictionary
from probe.dictionaries.store import AnyDictionary, shape_of
from probe.distributed import world
from probe.errors import BadInput, Cancelled, OpenworkError
from probe.memory import require
from probe.model.fingerprint import stamp_of
from probe.progress import SILENT, Progress
from probe.training.checkpoint import held_interrupts
from probe.training.config import TrainConfig
from probe.training.ongoing import OngoingRun, require_same, scratch_folder
from probe.training.pairs import Pair, Pairs, identity_of, pairs_for, together
from probe.training.plan import TrainPlan, plan, training_bytes
from probe.training.result import Run, TrainResult
from probe.training.run_logs.metrics_log import METRICS, read_metrics
from probe.training.step import Training

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache

__all__ = ["Run", "TrainConfig", "TrainPlan", "TrainResult", "Training", "plan", "train", "train_together"]


def train(
    dictionary: AnyDictionary,
    cache: "Cache | Pairs",
    config: TrainConfig | None = None,
    folder: Path | str | None = None,
    *,
    resume: bool = False,
    progress: Progress = SILENT,
    model: "ModelStamp | TransformerBridge | None" = None,
) -> TrainResult:
    """Train on a cache (or `LiveActivations`, or other `Pairs`) and save the dictionary in `folder`.

    By default the folder is named after cache and site. The given dictionary is trained in place on standardised activations;
    the result's reads raw ones. model: whose activations these are; taken from the cache where there is one. resume: continue
    the unfinished run in this folder (with the same config and data, else BadInput), or return it if it is finished; without
    it, what is there is refused. Raises BadInput where widths do not fit.

    >>> sae = ow.SAE(64, 128, sparsifier=ow.TopK(8), site="resid_post.1")
    >>> live = ow.LiveActivations(model, tokens, ["resid_post.1"])
    >>> result = ow.train(sae, live, ow.TrainConfig(epochs=1), folder)
    >>> result.dictionary.d_dict
    128
    """
    place_of = as_path(folder) if folder is not None else default_folder(dictionary, pairs_for(cache, dictionary))
    run = Run(dictionary, place_of, config or TrainConfig())
    return train_together([run], cache, resume=resume, progress=progress, model=stamp_of(model))[0]


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
    waiting: dict[tuple, list[OngoingRun]] = {}
    results: dict[Path, TrainResult] = {}
    for run in runs:
        pairs = pairs_for(cache, run.dictionary)
        if run.folder.is_dir() and resume:
            results[run.folder] = _finished(run, pairs)
        else:
            key = (run.config.batch, run.config.epochs, run.config.seed)
            waiting.setdefault(key, []).append(OngoingRun(run, pairs, scratch_folder(run.folder, resume)))
    failed: list[OngoingRun] = []
    for group in waiting.values():
        for ongoing in _train_group(group, progress):
            if ongoing.failed:
                failed.append(ongoing)
            else:
                results[ongoing.run.folder] = _finish(ongoing, stamped)
    if failed:
        names = "; ".join(f"{ongoing.run.folder.name}: {ongoing.failed}" for ongoing in failed)
        raise OpenworkError(f"{len(failed)} of {len(runs)} trainings failed, the others are stored. {names}")
    return [results[run.folder] for run in runs]


def default_folder(dictionary: AnyDictionary, pairs: Pairs) -> Path:
    """`layer4-skip_transcoder-blocks.4.mlp.hook_out-4608`: trained on which cache, kind, sites written, latents."""
    sites = dictionary.sites_out
    written = sites[0] if len(sites) == 1 else f"{len(sites)}_sites"
    return place("dictionary", f"{pairs.name}-{dictionary.kind}-{written}-{dictionary.d_dict}".replace("/", "-"))


def _train_group(group: list[OngoingRun], progress: Progress) -> list[OngoingRun]:
    """Begin or continue all, read the data once, and train each on every batch it has not seen yet."""
    linear: dict[tuple, Tensor] = {}
    try:
        for ongoing in group:
            ongoing.begin(progress, linear)
        _loop(group, progress)
    finally:
        for ongoing in group:
            if ongoing.log:
                ongoing.log.close()
    return group


def _loop(group: list[OngoingRun], progress: Progress) -> None:
    config, behind = group[0].run.config, min(group, key=lambda ongoing: ongoing.training.tokens).training
    seen = behind.tokens  # a kill between two checkpoints leaves some runs ahead of others
    batches = together(
        [ongoing.pairs for ongoing in group],
        config.batch,
        epochs=config.epochs,
        seed=config.seed,
        position=behind.position,
    )
    with held_interrupts() as interrupted, progress.stage("train", behind.total_tokens, "tok") as step:
        step(seen)
        for found in batches:
            for ongoing, pair in zip(group, found, strict=True):
                if ongoing.failed is None and ongoing.training.tokens == seen:
                    _step_or_fail(ongoing, pair, group)
            n = len(found[0].inputs)
            seen += n
            try:
                with world().agreed():
                    step(n)
                    if interrupted():
                        raise KeyboardInterrupt
            except (Cancelled, KeyboardInterrupt):  # somebody stopped us between two steps: lose nothing
                with world().agreed():  # torchrun ends all processes when one leaves, so none may before this is done
                    for ongoing in group:
                        ongoing.save()
                raise
    for ongoing in group:
        if ongoing.training.window.tokens and ongoing.failed is None:
            ongoing.tell()


def _step_or_fail(ongoing: OngoingRun, pair: Pair, group: list[OngoingRun]) -> None:
    """A step; if it fails the run is set aside, unless no other is left."""
    try:
        ongoing.step(pair)
    except OpenworkError as error:
        ongoing.failed = error
        if all(one.failed for one in group):
            raise


def _finish(ongoing: OngoingRun, model: ModelStamp | None) -> TrainResult:
    """Save the artifact and clear the scratch folder."""
    training, folder = ongoing.training, ongoing.run.folder
    folded = training.scaling.fold(training.dictionary).requires_grad_(False).eval()
    with world().agreed():
        if world().first:
            _store(ongoing, folded, model)
    folded.name = folder.name
    return TrainResult(folded, folder, training.config, read_metrics(folder), training.seconds)


def _store(ongoing: OngoingRun, folded: AnyDictionary, model: ModelStamp | None) -> None:
    training, folder, scratch = ongoing.training, ongoing.run.folder, ongoing.scratch
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
        parents=(ongoing.pairs.name,),
        seed=training.config.seed,
        extra={METRICS: (scratch / METRICS).read_bytes()},
    )
    discard(scratch)


def _finished(run: Run, pairs: Pairs) -> TrainResult:
    folder, config = run.folder, run.config
    manifest = read_manifest(folder, "dictionary")
    facts = manifest.facts
    shape = {**facts, "sparsifier": facts.get("sparsifier_trained", facts.get("sparsifier"))}
    require_same(
        {"config": asdict(config), "shape": shape_of(run.dictionary), "source": {"data": identity_of(pairs)}},
        {"config": manifest.config, "shape": shape, "source": facts},
        folder,
    )
    return TrainResult(load_dictionary(folder), folder, config, read_metrics(folder), facts.get("seconds", 0.0))
