"""The live stream delivers what a cache would hold, each token once, and is continued exactly wherever it was cut."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from harvests import CONTEXT, SITES, token_set
from paths import FOLDERS, PYTHONPATH
from streams import CONFIG, IN, OUT, small, stream
from trainings import weights

from probe.activations.harvest import harvest
from probe.activations.streaming import LiveActivations
from probe.artifacts.manifest import read_manifest
from probe.artifacts.names import partial
from probe.dictionaries import SAE, TopK
from probe.errors import BadInput
from probe.evaluation.evaluate import evaluate
from probe.model.load import load_model
from probe.model.toy import toy_model
from probe.training.checkpoint import CHECKPOINT
from probe.training.pairs import CachePairs, TensorPairs
from probe.training.trainer import Run, train, train_together


def test_every_ordinary_token_once_an_epoch_with_the_activations_a_cache_holds(toy, tmp_path: Path) -> None:
    live = stream(toy)
    cache = harvest(toy, token_set(), SITES, tmp_path / "c", dtype="float32", batch=2, held_out=0.3, seed=3)
    for split in ("train", "held_out", "all"):
        np.testing.assert_array_equal(live.eligible(split), cache.eligible(split))
    kept = np.concatenate([b.indices for b in live.batches([IN], 20, split="held_out")])
    np.testing.assert_array_equal(np.sort(kept), cache.eligible("held_out"))
    for epochs in (1, 2):
        batches = list(live.batches([IN, OUT], 20, seed=1, epochs=epochs))
        indices = np.concatenate([b.indices for b in batches])
        np.testing.assert_array_equal(np.sort(indices), np.sort(np.tile(cache.eligible("train"), epochs)))
        full, rest = divmod(len(cache.eligible("train")), 20)
        assert rest and [len(b.indices) for b in batches] == epochs * [*[20] * full, rest]
        for i, site in enumerate((IN, OUT)):
            given = torch.cat([b.activations[i] for b in batches])
            torch.testing.assert_close(given, cache.rows(site, indices), rtol=1e-5, atol=1e-5)
    assert not set(live.eligible("train")) & set(live.eligible("held_out"))


def test_the_order_is_the_seeds_and_mixes_rows(toy) -> None:
    live = stream(toy, rows=40, block_tokens=12 * CONTEXT)

    def order(seed: int) -> np.ndarray:
        return np.concatenate([b.indices for b in live.batches([IN], 16, seed=seed, epochs=2)])

    assert np.array_equal(order(0), order(0))
    assert not np.array_equal(order(0), order(1))
    n = len(order(0)) // 2
    assert not np.array_equal(order(0)[:n], order(0)[n:])
    first = next(live.batches([IN], 16)).indices // CONTEXT
    assert len(set(first.tolist())) > 6 and np.ptp(first) > 12


def test_mean_and_variance_are_the_first_blocks_and_come_out_the_same_again(toy, tmp_path: Path) -> None:
    live = stream(toy)
    head = [b for b in live.batches([IN], 1, seed=3) if b.position.block == 0]
    first = torch.cat([b.activations[0] for b in head]).double()
    torch.testing.assert_close(live.mean(IN), first.mean(0), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(live.var(IN), first.var(0, correction=0), rtol=1e-10, atol=1e-12)
    list(live.batches([IN], 50))  # however far the stream has gone meanwhile
    assert torch.equal(stream(toy).mean(OUT), live.mean(OUT)) and torch.equal(stream(toy).var(OUT), live.var(OUT))
    whole = stream(toy, block_tokens=14 * CONTEXT, held_out=0.0)
    cache = harvest(toy, token_set(), SITES, tmp_path / "c", dtype="float32", held_out=0.0)
    for site in SITES:  # one block of all: the statistics of a cache
        torch.testing.assert_close(whole.mean(site), cache.mean(site), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(whole.var(site), cache.var(site), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 20, 200])
def test_a_stream_continues_exactly_from_any_place(toy, size: int) -> None:
    every = list(stream(toy, rows=8).batches([IN, OUT], size, seed=2, epochs=2))
    for i in range(0, len(every), max(1, len(every) // 8)):
        rest = list(
            stream(toy, rows=8).batches([IN, OUT], size, epochs=2, position=every[i].position.to_dict(), seed=9)
        )
        for a, b in zip(rest, every[i + 1 :], strict=True):
            assert np.array_equal(a.indices, b.indices)
            assert all(torch.equal(x, y) for x, y in zip(a.activations, b.activations, strict=True))
            assert a.position == b.position


def test_no_more_than_one_block_is_held(toy) -> None:
    live = stream(toy, rows=40)
    assert live.memory_bytes == 3 * CONTEXT * (4 * sum(live.width(s) for s in SITES) + 16)
    assert stream(toy, block_tokens=10**9).memory_bytes == 14 * CONTEXT * (4 * sum(live.width(s) for s in SITES) + 16)
    for batch in live.batches(SITES, 30):
        assert sum(v.nbytes for v in live._block.values.values()) <= live.memory_bytes
        assert [a.shape[1] for a in batch.activations] == [live.width(s) for s in SITES]


def test_training_from_a_stream_equals_training_on_its_batches(toy, tmp_path: Path) -> None:
    """With the order and the statistics of the stream in memory the weights are the same to the bit."""
    live, config = stream(toy), replace(CONFIG, epochs=1, start=True)
    pairs = CachePairs(live, IN, OUT)

    class Listed(TensorPairs):
        def standardiser(self):
            return pairs.standardiser()

        def batches(self, batch, *, epochs=1, seed=0, split="train", position=None):
            yield from listed[batch]

    listed = {n: list(CachePairs(stream(toy), IN, OUT).batches(n)) for n in (config.batch, 24)}
    memory = Listed(torch.zeros(pairs.n_tokens, pairs.d_in), torch.zeros(pairs.n_tokens, pairs.d_out), 0.0)
    one = train(small(live), live, config, tmp_path / "live")
    other = train(small(live), memory, config, tmp_path / "memory")
    assert all(torch.equal(w, weights(other.dictionary)[n]) for n, w in weights(one.dictionary).items())
    manifest = read_manifest(tmp_path / "live", "dictionary")
    assert manifest.model == live.manifest.model and manifest.parents == ("live-toy",)
    assert manifest.facts["tokens"] == len(live.eligible("train"))


def test_a_dictionary_is_judged_on_a_stream_as_on_a_cache(toy, tmp_path: Path) -> None:
    live = stream(toy)
    cache = harvest(toy, token_set(), SITES, tmp_path / "c", dtype="float32", batch=2, held_out=0.3, seed=3)
    found = [evaluate(toy, small(live), source) for source in (live, cache)]
    assert found[0].n_documents == found[1].n_documents and found[0].ce_spliced == pytest.approx(found[1].ce_spliced)
    for number in ("fvu", "fvu_affine", "l0"):
        assert getattr(found[0], number) == pytest.approx(getattr(found[1], number), rel=1e-4)


KILLED = """
import sys, time, torch
torch.set_num_threads(1)
sys.path[:0] = {path!r}
from streams import CONFIG, small, stream
from probe.model.load import load_model
from probe.training.trainer import train
live = stream(load_model("toy"))
batches = live.batches
live.batches = lambda *args, **kwargs: ((time.sleep(0.05), batch)[1] for batch in batches(*args, **kwargs))
train(small(live), live, CONFIG, {folder!r})
"""


@pytest.mark.slow
def test_kill_minus_nine_in_the_middle_of_a_block_loses_nothing(tmp_path: Path) -> None:
    folder, root, toy = tmp_path / "killed", str(Path(__file__).parents[2]), load_model("toy")
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(path=FOLDERS, folder=str(folder))],
        cwd=root,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not (partial(folder) / CHECKPOINT).exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert partial(folder).is_dir(), "the child finished or failed before it was killed"
    live = stream(toy)
    again = train(small(live), live, CONFIG, folder, resume=True)
    whole = train(small(live), stream(toy), CONFIG, tmp_path / "whole")
    assert all(torch.equal(w, weights(again.dictionary)[n]) for n, w in weights(whole.dictionary).items())


def test_several_dictionaries_share_a_stream_and_resume(toy, tmp_path: Path) -> None:
    class Stopping(LiveActivations):
        def batches(self, *args, **kwargs):
            for i, batch in enumerate(super().batches(*args, **kwargs)):
                if kwargs["epochs"] == 2 and i == 5:
                    raise ZeroDivisionError
                yield batch

    def runs(where: str) -> list[Run]:
        live = stream(toy)
        sae = SAE(live.width(SITES[2]), 30, sparsifier=TopK(2), site=SITES[2])
        return [Run(d, tmp_path / where / str(i), CONFIG) for i, d in enumerate((small(live), sae))]

    cut = Stopping(toy, token_set(), SITES, block_tokens=3 * CONTEXT, batch=2, held_out=0.3, seed=3)
    with pytest.raises(ZeroDivisionError):
        train_together(runs("cut"), cut)
    again = train_together(runs("cut"), stream(toy), resume=True)
    whole = train_together(runs("whole"), stream(toy))
    for one, other in zip(again, whole, strict=True):
        assert all(torch.equal(w, weights(other.dictionary)[n]) for n, w in weights(one.dictionary).items())
    alone = train(small(cut), stream(toy), CONFIG, tmp_path / "alone")
    # With fewer sites the model runs less far, but what it does on the way is the same.
    assert all(torch.equal(w, weights(whole[0].dictionary)[n]) for n, w in weights(alone.dictionary).items())


def test_a_run_is_not_continued_on_other_tokens_blocks_or_models(toy, tmp_path: Path) -> None:
    live = stream(toy)
    train(small(live), live, CONFIG, tmp_path / "d")
    train(small(live), stream(toy), CONFIG, tmp_path / "d", resume=True)
    other = toy_model()
    with torch.no_grad():
        next(other.original_model.parameters())[5] += 1
    for wrong in (stream(toy, rows=13), stream(toy, block_tokens=4 * CONTEXT), stream(toy, seed=4), stream(other)):
        with pytest.raises(BadInput, match="data was"):
            train(small(live), wrong, CONFIG, tmp_path / "d", resume=True)


def test_a_place_in_another_order_is_refused(toy) -> None:
    place = list(stream(toy).batches([IN], 20))[3].position
    with pytest.raises(BadInput, match="another order of rows"):
        next(stream(toy, rows=13).batches([IN], 20, position=place.to_dict()))
    with pytest.raises(BadInput, match="no position"):
        next(stream(toy).batches([IN], 20, position={"epoch": 0}))


def test_what_cannot_be_read_is_refused(toy) -> None:
    with pytest.raises(BadInput, match="cannot hold one row"):
        stream(toy, block_tokens=5)
    with pytest.raises(BadInput, match=r"does not read resid_post.2, but"):
        stream(toy).site("resid_post.2")
    with pytest.raises(BadInput, match="no split"):
        stream(toy).eligible("test")
    with pytest.raises(BadInput, match="at least one"):
        next(stream(toy).batches([IN], 0))
