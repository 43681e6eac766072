"""Two processes under torchrun do what one does: the same weights to 1e-5, the same cache to the byte, stopped and continued."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from harvests import CONTEXT, SITES, token_set
from paths import PYTHONPATH
from torch import Tensor
from trainings import toy_pairs

from probe.activations.harvest import harvest
from probe.activations.streaming import LiveActivations
from probe.artifacts.names import partial
from probe.dictionaries import (
    SAE,
    BatchTopK,
    CrossLayerTranscoder,
    Dictionary,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    Sparsifier,
    TopK,
    Transcoder,
    load_dictionary,
)
from probe.distributed import World, local_device, world
from probe.model.load import load_model
from probe.training.checkpoint import read_checkpoint
from probe.training.pairs import TensorPairs
from probe.training.result import TrainResult
from probe.training.run_logs.metrics_log import METRICS, read_metrics
from probe.training.trainer import Run, TrainConfig, train, train_together

ROOT = Path(__file__).parents[2]
# 37 rows are not divided evenly, and the last batch of an epoch is one row. AuxK and resampling have something to do.
CONFIG = TrainConfig(batch=37, epochs=2, checkpoint_every=4, log_every=1, dead_tokens=30, resample_every=7)
RULES: dict[str, Sparsifier] = {
    "topk": TopK(4),
    "batchtopk": BatchTopK(4),
    "jumprelu": JumpReLU(4),
    "relu": ReLU(2.0),
    "gated": Gated(2.0),
    "matryoshka": Matryoshka(BatchTopK(4), (8, 20)),
}

NAMES = [*RULES, "cross_layer"]


def spread(script: str, *arguments: object, size: int = 2) -> subprocess.Popen:
    """Start a function of this module in several processes."""
    code = f"import torch, test_world as t; torch.set_num_threads(1); t.{script}(*{[str(a) for a in arguments]!r})"
    return torchrun("--no-python", sys.executable, "-c", code, size=size)


def torchrun(*arguments: str, size: int = 2) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([PYTHONPATH, str(Path(__file__).parent)]),
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(child: subprocess.Popen) -> str:
    out, err = child.communicate(timeout=240)
    assert child.returncode == 0, err[-4000:]
    return out


def pairs() -> TensorPairs:
    return toy_pairs(700)  # 630 for training: 17 batches of 37, and one row


def runs(folder: Path, config: TrainConfig = CONFIG) -> list[Run]:
    """A dictionary of each rule, and one of several layers."""
    made: dict[str, Any] = {
        name: Transcoder(12, 100, 8, sparsifier=rule, skip=name == "topk") for name, rule in RULES.items()
    }
    layers = {"sites_in": ("a", "b"), "sites_out": ("c", "d"), "sparsifier": JumpReLU(4)}
    made["cross_layer"] = CrossLayerTranscoder((6, 6), 40, (4, 4), **layers)
    return [Run(d, folder / name, config) for name, d in made.items()]


def noting_threads(folder: str) -> None:
    """Before this process connects: on leaving, after all that was to be done then, write down which threads are still there."""

    def note() -> None:
        names = []
        for task in Path("/proc/self/task").glob("*"):
            with suppress(OSError):  # it just ended
                names.append((task / "comm").read_text().strip())
        Path(f"{folder}.threads.{os.environ['RANK']}").write_text(" ".join(names))

    atexit.register(note)


def threads_of(folder: Path) -> str:
    """What the processes wrote down, where the system tells it."""
    noted = sorted(folder.parent.glob(f"{folder.name}.threads.*"))
    assert noted or not Path("/proc/self/task").is_dir()
    return " ".join(file.read_text() for file in noted)


def train_spread(folder: str) -> None:
    noting_threads(folder)
    train_all(folder)


def train_all(folder: str, resume: str = "") -> list[TrainResult]:
    return train_together(runs(Path(folder)), pairs(), resume=bool(resume))


def close(one: Dictionary, other: Dictionary) -> float:
    """Largest difference between the weights, as a share of the largest weight."""
    a, b = one.state_dict(), other.state_dict()
    return max(float((a[n] - b[n]).abs().max() / a[n].abs().max().clamp_min(1e-12)) for n in a)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainResult]:
    """What one process makes of them."""
    folder = tmp_path_factory.mktemp("alone")
    return dict(zip(NAMES, train_all(str(folder)), strict=True))


@pytest.fixture(scope="module")
def spread_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes make of them."""
    folder = tmp_path_factory.mktemp("spread")
    finished(spread("train_spread", folder))
    return folder


@pytest.mark.slow
def test_no_thread_that_carries_messages_outlives_python(spread_out: Path) -> None:
    """One that does, and then gives back a tensor, ends the process with SIGABRT."""
    assert "gloo" not in threads_of(spread_out)


def left_alone(folder: str) -> None:
    """A message to a process that is gone, and nobody catches what that raises."""
    noting_threads(folder)
    world().total(1)
    if world().rank:
        os._exit(0)
    while True:
        world().total(1)


@pytest.mark.slow
def test_nor_where_another_process_is_gone(tmp_path: Path) -> None:
    _, err = spread("left_alone", tmp_path / "x").communicate(timeout=240)
    assert "Another process of this run is gone" in err and "gloo" not in threads_of(tmp_path / "x")


@pytest.mark.slow
@pytest.mark.parametrize("rule", NAMES)
def test_two_processes_train_the_weights_of_one(rule: str, alone: dict[str, TrainResult], spread_out: Path) -> None:
    assert close(alone[rule].dictionary, load_dictionary(spread_out / rule)) < 1e-5
    lines = [read_metrics(alone[rule].folder), read_metrics(spread_out / rule)]
    assert len(lines[0]) == len(lines[1])
    for one, other in zip(*lines, strict=True):
        for key in ("step", "tokens", "l0", "dead_share", "lr"):
            assert one[key] == pytest.approx(other[key], rel=1e-6), key
        for key in ("loss", "mse", "fvu"):
            assert one[key] == pytest.approx(other[key], rel=1e-4), key
    assert max(line["dead_share"] for line in lines[0]) > 0.1 or rule in ("relu", "gated")
    assert not list(spread_out.glob("*.partial"))


LIVE = {"block_tokens": 3 * CONTEXT, "batch": 2, "held_out": 0.3, "seed": 3}
SHARDS = {"shard_tokens": 2 * CONTEXT, "batch": 2, "dtype": "float32"}


def sources(folder: str) -> None:
    """A training from a live stream, and a cache."""
    model, where = load_model("toy"), Path(folder)
    live = LiveActivations(model, token_set(), SITES, **LIVE)
    sae = SAE(live.width(SITES[0]), 30, sparsifier=TopK(2), site=SITES[0])
    train(sae, live, replace(CONFIG, batch=20), where / "live")
    harvest(model, token_set(), SITES, where / "cache", **SHARDS)
    if world().first:
        held = {name: value.tolist() for name, value in live._block.values.items()}
        (where / "block.json").write_text(json.dumps(held))


def same_cache(one: Path, other: Path) -> None:
    """Every file the same to the byte, but for the date and the command in the manifest."""
    names = sorted(p.name for p in one.iterdir())
    assert sorted(p.name for p in other.iterdir()) == names
    assert {n: (one / n).read_bytes() == (other / n).read_bytes() for n in names if n != "manifest.json"} == {
        n: True for n in names if n != "manifest.json"
    }
    read = [json.loads((f / "manifest.json").read_text()) for f in (one, other)]
    assert read[0]["files"] == read[1]["files"] and read[0]["config"] == read[1]["config"]


@pytest.mark.slow
def test_two_processes_harvest_and_read_a_stream_as_one_does(tmp_path: Path) -> None:
    sources(str(tmp_path / "one"))
    finished(spread("sources", tmp_path / "two"))
    same_cache(tmp_path / "one" / "cache", tmp_path / "two" / "cache")
    assert (tmp_path / "one" / "block.json").read_text() == (tmp_path / "two" / "block.json").read_text()
    assert close(*(load_dictionary(tmp_path / n / "live") for n in ("one", "two"))) < 1e-5


def train_until(folder: str, step: str, number: str, victims: str) -> None:
    """Train until some of the processes send themselves a signal in the middle of a step."""

    sent = []

    class Stopping(TensorPairs):
        def batches(self, *args, **kwargs):
            for i, pair in enumerate(super().batches(*args, **kwargs)):
                if "epochs" in kwargs and i == int(step) and str(world().rank) in victims and not sent:
                    sent.append(number)  # once, though each dictionary reads for itself
                    os.kill(os.getpid(), int(number))
                yield pair

    data = pairs()
    train_together(runs(Path(folder)), Stopping(data.inputs, data.targets), resume=True)


@pytest.mark.slow
def test_stopped_by_one_or_killed_all_they_continue_to_the_same_weights(spread_out: Path, tmp_path: Path) -> None:
    first = spread("train_until", tmp_path, 5, int(signal.SIGINT), "1")
    assert first.communicate(timeout=240)[1] and first.returncode
    for name in NAMES:  # process 1 was interrupted; both stopped after that step, and the first saved it
        state = (read_checkpoint(partial(tmp_path / name)) or ({}, {}))[1]
        assert state["counts"]["steps"] == 6
    second = spread("train_until", tmp_path, 9, int(signal.SIGKILL), "01")
    assert second.communicate(timeout=240)[1] and second.returncode
    for name in NAMES:
        assert (read_checkpoint(partial(tmp_path / name)) or ({}, {}))[1]["counts"]["steps"] == 12
        for line in (partial(tmp_path / name) / METRICS).read_text().splitlines():
            json.loads(line)
    finished(spread("train_all", tmp_path, "resume"))
    for name in NAMES:
        whole, again = (load_dictionary(folder / name).state_dict() for folder in (spread_out, tmp_path))
        assert all(torch.equal(whole[n], again[n]) for n in whole), name


def harvest_failing(folder: str) -> None:
    """One process meets a disk that fails at its second shard."""
    from probe.activations import harvest as harvester

    write, seen = harvester.write_tensors, []

    def failing(path: Path, tensors: dict[str, Tensor]) -> str:
        seen.append(path)
        if world().rank == 1 and len(seen) == 2:
            raise OSError(5, "Input/output error")
        return write(path, tensors)

    harvester.write_tensors = failing
    harvest(load_model("toy"), token_set(), SITES, folder, **SHARDS)


def harvest_on(folder: str) -> None:
    harvest(load_model("toy"), token_set(), SITES, folder, resume=True, **SHARDS)


@pytest.mark.slow
def test_a_harvest_that_failed_in_one_of_three_is_continued_by_fewer(toy, tmp_path: Path) -> None:
    failed = spread("harvest_failing", tmp_path / "two", size=3)
    _, err = failed.communicate(timeout=240)
    assert failed.returncode and "Writing failed (Input/output error)" in err and "Another process of this run" in err
    shutil.copytree(partial(tmp_path / "two"), partial(tmp_path / "one"))  # keeps the times of its files
    there = {p.name: p.stat().st_mtime_ns for p in partial(tmp_path / "two").glob("shard-*")}
    assert 3 <= len(there) < 7
    finished(spread("harvest_on", tmp_path / "two"))
    harvest_on(str(tmp_path / "one"))
    harvest(toy, token_set(), SITES, tmp_path / "whole", **SHARDS)
    for name in ("one", "two"):
        same_cache(tmp_path / "whole", tmp_path / name)
        assert {n: (tmp_path / name / n).stat().st_mtime_ns for n in there} == there  # none was made again


@pytest.mark.slow
def test_the_command_line_under_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.cli import run

    (tmp_path / "text.txt").write_text("The king of France gave the queen a book. " * 60)
    orders = [
        ["harvest", "--model", "toy", "--sites", "mlp_in.1,mlp_out.1", "--text", str(tmp_path / "text.txt")],
        ["train", "--cache", "c", "--name", "d", "--d-dict", "48", "--k", "4", "--batch", "64", "--epochs", "1"],
    ]
    orders[0] += ["--name", "c", "--context", "16", "--tokens", "800", "--held-out", "0", "--json"]
    orders[1] += ["--json"]
    for place in ("one", "two"):
        monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / place))
        for order in orders:
            if place == "one":
                assert run(order) == 0
            else:
                said = json.loads(finished(torchrun("-m", "openwork", *order)))  # once, not twice
                assert said["folder"].startswith(str(tmp_path / "two"))
    same_cache(tmp_path / "one" / "caches" / "c", tmp_path / "two" / "caches" / "c")
    assert close(*(load_dictionary(tmp_path / n / "dictionaries" / "d") for n in ("one", "two"))) < 1e-5
    refused = torchrun("-m", "openwork", *orders[1])
    assert "exists already" in refused.communicate(timeout=240)[1] and refused.returncode


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_cover_each_row_once_or_all_do_all(n: int, size: int) -> None:
    shares = [World(rank, size).share(n) for rank in range(size)]
    assert sum(s.weight for s in shares) == pytest.approx(1)
    rows = [row for s in shares for row in range(n)[s.rows]]
    assert rows == list(range(n)) * (size if n < size else 1)
    assert all(len(range(n)[s.rows]) > 0 for s in shares)


def test_a_world_of_one_hands_back_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    world.cache_clear()
    one, x = world(), torch.randn(3, 2)
    assert one == World(0, 1) and one.first
    assert one.sum(x) is x and one.join(x) is x and one.lowest(x) is x and one.pooled(x.sum() * 1, 3) == x.sum()
    assert one.total(3, 4) == [3, 4] and one.mean([0.1], 0.5) == [0.1] and one.any(True) and not one.any(False)
    with pytest.raises(ZeroDivisionError), one.agreed():
        raise ZeroDivisionError
    monkeypatch.setenv("RANK", "3")  # of something that is not torchrun
    world.cache_clear()
    assert world() == World(0, 1)
    world.cache_clear()


def test_each_process_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert local_device() == torch.device("cuda") and local_device("cpu") == torch.device("cpu")
    for local, index in (("0", 0), ("1", 1), ("2", 0)):  # two share one where there are too few
        monkeypatch.setenv("LOCAL_RANK", local)
        assert local_device() == local_device("cuda") == torch.device("cuda", index)
        assert local_device("cpu") == torch.device("cpu")
