"""Training: it finds planted dictionaries, resumes to the bit, refuses what cannot work, and its log is valid at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from paths import FOLDERS, PYTHONPATH
from plain_fvu import fvu
from torch import Tensor
from trainings import SMALL, sparse_sums, stop_here, toy_dictionary, toy_pairs, unit_rows, weights

from probe.artifacts.manifest import read_manifest
from probe.artifacts.names import partial
from probe.dictionaries import SAE, ReLU, TopK, Transcoder, load_dictionary
from probe.errors import BadInput, Cancelled, OpenworkError, Unavailable
from probe.evaluation.evaluate import EvalReport
from probe.evaluation.report import CONVENTION
from probe.progress import Snapshot, Watched
from probe.training.checkpoint import CHECKPOINT, read_checkpoint
from probe.training.learning_rate_schedule import learning_rate
from probe.training.pairs import TensorPairs, pairs_for
from probe.training.run_logs.metrics_log import METRICS, read_metrics
from probe.training.trainer import TrainConfig, plan, train


@pytest.mark.slow
def test_planted_atoms_are_found(tmp_path: Path) -> None:
    atoms = unit_rows(48, 24, 3)
    x, _ = sparse_sums(atoms, 12_000, 3)
    config = TrainConfig(batch=256, epochs=6)
    d = train(SAE(24, 96, sparsifier=TopK(4)), TensorPairs(x, x), config, tmp_path / "sae").dictionary
    found = (atoms @ torch.nn.functional.normalize(d.W_dec, dim=1).T).amax(1)
    assert found.mean() > 0.9
    assert fvu(x, d(x).recons) < 0.2


@pytest.mark.slow
def test_skip_beats_plain_on_affine_plus_sparse(tmp_path: Path) -> None:
    atoms = unit_rows(64, 24, 4)
    x = sparse_sums(atoms, 12_000, 4)[0] + 0.3 * torch.randn(12_000, 24, generator=torch.Generator().manual_seed(1))
    hidden = (3 * x @ atoms.T - 1.5).relu()
    y = x @ torch.randn(24, 24, generator=torch.Generator().manual_seed(5)) / 3 + hidden @ unit_rows(64, 24, 6)
    scores = {}
    for skip in (False, True):
        d = Transcoder(24, 96, sparsifier=TopK(4), skip=skip)
        result = train(d, TensorPairs(x, y), TrainConfig(batch=256, epochs=4), tmp_path / str(skip))
        scores[skip] = fvu(y[-1200:], result.dictionary(x[-1200:]).recons)
    assert scores[True] < 0.9 * scores[False]


@pytest.mark.slow
def test_result_reads_raw_activations_and_is_an_artifact(tmp_path: Path) -> None:
    pairs = toy_pairs()
    result = train(toy_dictionary(), pairs, replace(SMALL, epochs=20, batch=32, checkpoint_every=1000), tmp_path / "d")
    assert fvu(pairs.targets, result.dictionary(pairs.inputs).recons) < 0.5
    again = load_dictionary(tmp_path / "d")
    assert torch.equal(again(pairs.inputs).recons, result.dictionary(pairs.inputs).recons)
    manifest = read_manifest(tmp_path / "d", "dictionary")
    assert manifest.config["batch"] == 32
    assert manifest.facts["dictionary_kind"] == "skip_transcoder"
    assert manifest.parents == ("tensors",)
    assert not partial(tmp_path / "d").exists()
    first, last = result.metrics[0], result.metrics[-1]
    assert set(first) >= {"step", "tokens", "loss", "fvu", "l0", "dead_share", "lr", "tokens_per_second"}
    assert last["loss"] < first["loss"]
    assert last["tokens"] == 20 * 630 == manifest.facts["tokens"]
    assert 0 < last["l0"] <= 4
    assert json.dumps(result.to_dict())


@pytest.mark.parametrize("stop_after", [1, 4, 11])
def test_resume_is_exact(tmp_path: Path, stop_after: int) -> None:
    whole = train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "whole")
    stop_here(tmp_path / "cut", stop_after)
    assert not (tmp_path / "cut").exists()
    again = train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "cut", resume=True)
    for name, weight in weights(whole.dictionary).items():
        assert torch.equal(weight, weights(again.dictionary)[name]), name
    timeless = [[{k: v for k, v in line.items() if "second" not in k} for line in r.metrics] for r in (whole, again)]
    assert timeless[0] == timeless[1]


KILLED = """
import sys, time, torch
torch.set_num_threads(1)
sys.path[:0] = {path!r}
from trainings import SMALL, toy_dictionary, toy_pairs
from probe.training.pairs import TensorPairs
from probe.training.trainer import train
class Slow(TensorPairs):
    def batches(self, *args, **kwargs):
        for pair in super().batches(*args, **kwargs):
            time.sleep(0.03)
            yield pair
p = toy_pairs()
train(toy_dictionary(), Slow(p.inputs, p.targets), SMALL, {folder!r})
"""


@pytest.mark.slow
def test_kill_minus_nine_loses_nothing(tmp_path: Path) -> None:
    folder, root = tmp_path / "killed", str(Path(__file__).parents[2])
    code = KILLED.format(path=FOLDERS, folder=str(folder))
    child = subprocess.Popen([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": PYTHONPATH})
    deadline = time.monotonic() + 60
    while not (partial(folder) / CHECKPOINT).exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert partial(folder).is_dir(), "the child finished or failed before it was killed"
    for line in (partial(folder) / METRICS).read_text().splitlines():
        json.loads(line)
    again = train(toy_dictionary(), toy_pairs(), SMALL, folder, resume=True)
    whole = train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "whole")
    for name, weight in weights(whole.dictionary).items():
        assert torch.equal(weight, weights(again.dictionary)[name]), name


def test_cancelling_loses_no_step(tmp_path: Path) -> None:
    def listen(snapshot: Snapshot) -> None:
        if snapshot.stage == "train" and snapshot.done > 300:
            watched.cancel()

    watched = Watched(listen, interval=0.0)
    with pytest.raises(Cancelled):
        train(toy_dictionary(), toy_pairs(), replace(SMALL, checkpoint_every=1000), tmp_path / "d", progress=watched)
    _, state = read_checkpoint(partial(tmp_path / "d")) or ({}, {})
    assert state["counts"]["tokens"] >= 300


def test_resume_of_a_finished_run_returns_it(tmp_path: Path) -> None:
    first = train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d")
    second = train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d", resume=True)
    assert torch.equal(first.dictionary.W_dec, second.dictionary.W_dec)
    assert second.metrics == first.metrics
    with pytest.raises(BadInput, match=r"lr was 0.004 and is now 0.1"):
        train(toy_dictionary(), toy_pairs(), replace(SMALL, lr=0.1), tmp_path / "d", resume=True)


def test_resume_with_other_settings_or_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    stop_here(tmp_path / "d", 5)
    with pytest.raises(BadInput, match="batch was 64 and is now 32"):
        train(toy_dictionary(), toy_pairs(), replace(SMALL, batch=32), tmp_path / "d", resume=True)
    wider = Transcoder(12, 50, 8, sparsifier=TopK(4), skip=True)
    with pytest.raises(BadInput, match="d_dict was 40 and is now 50"):
        train(wider, toy_pairs(), SMALL, tmp_path / "d", resume=True)
    path = partial(tmp_path / "d") / CHECKPOINT
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Unavailable, match="damaged"):
        train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d", resume=True)


@pytest.mark.parametrize("limit", [200, 3000])
def test_a_full_disk_is_said_in_a_sentence_and_training_goes_on_from_there(tmp_path: Path, limit: int) -> None:
    """200 bytes refuse the log, 3,000 the checkpoint."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(Unavailable, match="could not be written"):
            train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    again = train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d", resume=True)
    assert torch.equal(
        again.dictionary.W_dec, train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "e").dictionary.W_dec
    )


def test_torn_last_line_of_metrics_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / METRICS
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [line["step"] for line in read_metrics(path)] == [1, 2]
    assert read_metrics(tmp_path / "nothing") == []


def test_checkpoints_are_not_pickles(tmp_path: Path) -> None:
    stop_here(tmp_path / "d", 7)
    tensors, state = read_checkpoint(partial(tmp_path / "d")) or ({}, {})
    assert state["counts"]["steps"] == 6
    assert {"W_enc", "W_enc.exp_avg", "W_enc.exp_avg_sq", "W_enc.step", "silent"} <= set(tensors)


def test_runs_are_not_continued_on_other_data(tmp_path: Path) -> None:
    def data(identity: str) -> TensorPairs:
        pairs = toy_pairs()
        pairs.identity = identity
        return pairs

    def cancel(snapshot: Snapshot) -> None:
        if snapshot.stage == "train" and snapshot.done:
            watched.cancel()

    watched = Watched(cancel, interval=0.0)
    with pytest.raises(Cancelled):
        train(toy_dictionary(), data("aa"), SMALL, tmp_path / "d", progress=watched)
    for _ in ("unfinished", "finished"):
        with pytest.raises(BadInput, match="data was aa and is now bb"):
            train(toy_dictionary(), data("bb"), SMALL, tmp_path / "d", resume=True)
        train(toy_dictionary(), data("aa"), SMALL, tmp_path / "d", resume=True)
    assert read_manifest(tmp_path / "d", "dictionary").facts["data"] == "aa"


def test_nothing_is_overwritten_without_resume(tmp_path: Path) -> None:
    stop_here(tmp_path / "d", 5)
    before = (partial(tmp_path / "d") / CHECKPOINT).read_bytes()
    with pytest.raises(BadInput, match="unfinished training"):
        train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d")
    assert (partial(tmp_path / "d") / CHECKPOINT).read_bytes() == before
    train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d", resume=True)
    with pytest.raises(BadInput, match="exists already"):
        train(toy_dictionary(), toy_pairs(), SMALL, tmp_path / "d")


def test_ctrl_c_loses_no_step(tmp_path: Path) -> None:
    """Pressed in the middle of the fifth batch, long before any checkpoint is due: that step is finished and saved."""
    config = replace(SMALL, checkpoint_every=1000)

    class Pressing(TensorPairs):
        def batches(self, *args, **kwargs):
            for i, pair in enumerate(super().batches(*args, **kwargs)):
                if "epochs" in kwargs and i == 4:
                    os.kill(os.getpid(), signal.SIGINT)
                yield pair

    pairs = toy_pairs()
    with pytest.raises(KeyboardInterrupt):
        train(toy_dictionary(), Pressing(pairs.inputs, pairs.targets), config, tmp_path / "cut")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    _, state = read_checkpoint(partial(tmp_path / "cut")) or ({}, {})
    assert state["counts"]["steps"] == 5
    again = train(toy_dictionary(), toy_pairs(), config, tmp_path / "cut", resume=True)
    whole = train(toy_dictionary(), toy_pairs(), config, tmp_path / "whole")
    assert all(torch.equal(w, weights(again.dictionary)[n]) for n, w in weights(whole.dictionary).items())


def test_only_what_beats_the_affine_map_says_so() -> None:
    numbers = dict.fromkeys(
        ["l0", "dead_share", "ce", "ce_spliced", "ce_zero", "ce_mean", "ce_recovered_zero", "ce_recovered_mean"], 0.0
    )
    counts = dict.fromkeys(["n_tokens", "n_documents", "n_ce_tokens", "n_ce_documents"], 1)

    def beats(fvu: float, fvu_affine: float) -> bool:
        return EvalReport("sae", "a", "a", fvu, fvu_affine, **numbers, **counts).beats_affine

    assert beats(0.1, 0.2) and not beats(0.2, 0.1)
    assert not beats(0.1, float("nan"))  # an SAE's
    assert "of the training documents" in CONVENTION["mean"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_finite_activations_are_an_error(tmp_path: Path, bad: float) -> None:
    pairs = toy_pairs()
    pairs.inputs[17, 3] = bad
    with pytest.raises(BadInput, match="NaN"):
        train(toy_dictionary(), pairs, SMALL, tmp_path / "d")


def test_a_diverging_loss_is_an_error(tmp_path: Path) -> None:
    class Poisoned(TensorPairs):
        def batches(self, *args, **kwargs):
            for pair in super().batches(*args, **kwargs):
                yield pair._replace(targets=pair.targets * float("nan"))

    pairs = toy_pairs()
    poisoned = Poisoned(pairs.inputs, pairs.targets)
    with pytest.raises(OpenworkError, match="loss became nan at step 1"):
        train(toy_dictionary(), poisoned, replace(SMALL, start=False), tmp_path / "d")


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="maps 12 to 9 dimensions, but 'tensors' holds 12 and 8"):
        pairs_for(toy_pairs(), Transcoder(12, 40, 9, sparsifier=ReLU()))
    with pytest.raises(BadInput, match="no tokens"):
        pairs_for(TensorPairs(torch.zeros(0, 12), torch.zeros(0, 8)), toy_dictionary())


def test_config_is_checked_and_the_schedule_is_what_it_says() -> None:
    with pytest.raises(BadInput, match="lr is 0; a number above 0 was wanted"):
        TrainConfig(lr=0)
    with pytest.raises(BadInput, match="epochs is 0; a whole number of at least 1 was wanted"):
        TrainConfig(epochs=0)
    with pytest.raises(BadInput, match="lr is inf; a finite number above 0 was wanted"):
        TrainConfig(lr=float("inf"))
    with pytest.raises(BadInput, match="aux is nan; a number was wanted"):
        TrainConfig(aux=float("nan"))
    with pytest.raises(BadInput, match="seed is -1"):
        TrainConfig(seed=-1)
    with pytest.raises(BadInput, match="warmup is 3; a number from 0 to 1 was wanted"):
        TrainConfig(warmup=3)
    with pytest.raises(BadInput, match="decoder is 'tied'; one of 'free', 'unit' was wanted"):
        TrainConfig(decoder="tied")
    c = TrainConfig(lr=1.0, warmup=0.1, decay=0.5)
    rates = [learning_rate(c, s) for s in (0.05, 0.1, 0.3, 0.5, 0.75, 1.0)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 0.5, 0])


def test_seed_decides() -> None:
    def order(seed: int) -> Tensor:
        return next(iter(toy_pairs().batches(64, seed=seed))).inputs

    assert torch.equal(order(1), order(1))
    assert not torch.equal(order(1), order(2))


def test_pairs_continue_from_a_position() -> None:
    every = list(toy_pairs().batches(64, epochs=2, seed=3))
    for i in (0, 4, len(every) // 2 - 1):
        rest = list(toy_pairs().batches(64, epochs=2, seed=3, position=every[i].position))
        assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(rest, every[i + 1 :], strict=True))


def test_plan_counts() -> None:
    p = plan(toy_dictionary(), toy_pairs(), SMALL)
    assert p.steps == 20
    assert p.tokens == 1260
    assert p.parameters == 12 * 40 + 40 + 40 * 8 + 8 + 8 * 12
    assert p.memory_bytes > 16 * p.parameters
    assert p.seconds > 0
