"""Reading a cache: shuffled batches, splits, saved positions, checks and repair. The model is not needed for most of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from harvests import CONTEXT, SITES, token_set

from probe.activations.cache import Cache, open_cache
from probe.activations.harvest import harvest
from probe.activations.moments import Moments
from probe.activations.shuffle import held_out_documents
from probe.artifacts.tensors import read_tensors, write_tensors
from probe.errors import BadInput, Unavailable


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Two threads gain nothing on a toy and wait for each other when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cache(toy, tmp_path_factory) -> Cache:
    folder = tmp_path_factory.mktemp("cache") / "shared"
    return harvest(toy, token_set(), SITES, folder, dtype="float32", shard_tokens=5 * CONTEXT, batch=2, held_out=0.3)


@pytest.fixture
def fresh(toy, tmp_path) -> Cache:
    """A cache that a test may damage."""
    return harvest(toy, token_set(), SITES, tmp_path / "c", shard_tokens=5 * CONTEXT, batch=2)


def read_all(batches) -> tuple[list[int], torch.Tensor]:
    taken = list(batches)
    return [i for b in taken for i in b.indices.tolist()], torch.cat([b.activations[0] for b in taken])


def test_every_token_comes_exactly_once_an_epoch_and_special_ones_do_not(cache):
    for split in ("train", "held_out", "all"):
        indices, values = read_all(cache.batches([SITES[0]], 7, split=split))
        assert sorted(indices) == cache.eligible(split).tolist()
        assert not cache.special[indices].any()
        assert torch.equal(values, cache.rows(SITES[0], indices))
    everything, _ = read_all(cache.batches([SITES[0]], 7, split="all", special=True))
    assert sorted(everything) == list(range(cache.n_tokens))


def test_batches_are_shuffled_over_the_whole_cache(cache):
    first = next(iter(cache.batches([SITES[0]], 16, split="all")))
    assert len(set((first.indices // cache.layout.shard_tokens).tolist())) == cache.layout.shards
    assert (np.diff(first.indices) < 0).any()


def test_sites_of_a_batch_are_the_same_tokens(cache):
    for batch in cache.batches(SITES, 11):
        for site, values in zip(SITES, batch.activations, strict=True):
            assert torch.equal(values, cache.rows(site, batch.indices))
            assert values.dtype == torch.float32


def test_order_depends_on_seed_and_epoch_alone(cache):
    def order(**how):
        return [b.indices.tolist() for b in cache.batches([SITES[0]], 9, **how)]

    assert order(seed=1) == order(seed=1)
    assert order(seed=1) != order(seed=2)
    two = order(seed=1, epochs=2)
    half = len(two) // 2
    assert two[:half] == order(seed=1)
    assert two[half:] != two[:half]
    assert sorted(i for batch in two[half:] for i in batch) == sorted(i for batch in two[:half] for i in batch)


@pytest.mark.parametrize("stop", [0, 3, None])
def test_a_saved_position_continues_exactly(cache, stop):
    whole = list(cache.batches(SITES, 8, seed=3, epochs=3))
    at = len(whole) // 3 - 1 if stop is None else stop  # None: the end of the first epoch
    saved = json.loads(json.dumps(whole[at].position.to_dict()))
    rest = list(cache.batches(SITES, 8, epochs=3, position=saved))
    assert [b.indices.tolist() for b in rest] == [b.indices.tolist() for b in whole[at + 1 :]]
    assert all(torch.equal(x, y) for a, b in zip(rest, whole[at + 1 :]) for x, y in zip(a.activations, b.activations))
    assert len(cache.batches(SITES, 8, epochs=3, position=saved)) == len(rest)


def test_the_length_is_known_and_the_last_batch_may_be_dropped(cache):
    n = len(cache.eligible("train"))
    size = 7 if n % 7 else 6
    kept, dropped = cache.batches(SITES, size, epochs=2), cache.batches(SITES, size, epochs=2, drop_last=True)
    assert len(list(kept)) == len(kept) == 2 * -(-n // size)
    assert len(list(dropped)) == len(dropped) == 2 * (n // size)
    assert all(len(b.indices) == size for b in dropped)
    with pytest.raises(TypeError):
        len(cache.batches(SITES, size, epochs=None))


def test_a_position_of_another_cache_is_refused(cache, toy, tmp_path):
    saved = next(iter(cache.batches(SITES, 8))).position
    other = harvest(toy, token_set(rows=15), SITES, tmp_path / "other", held_out=0.3)
    with pytest.raises(BadInput, match="another order"):
        next(iter(other.batches(SITES, 8, position=saved)))


def test_splits_share_no_document_and_cover_all(cache):
    train, held = (set(cache.document[cache.eligible(s)].tolist()) for s in ("train", "held_out"))
    assert train.isdisjoint(held)
    assert train | held == set(cache.document.tolist())
    assert len(held) == round(0.3 * len(train | held))
    assert sorted(held) == cache.manifest.facts["held_out_documents"]


def test_held_out_documents_are_seeded_and_never_all_or_none():
    documents = np.repeat(np.arange(100), 3)
    assert len(held_out_documents(documents, 0.1, 0)) == 10
    assert held_out_documents(documents, 0.1, 0).tolist() != held_out_documents(documents, 0.1, 1).tolist()
    assert len(held_out_documents(np.array([4, 4, 9]), 0.01, 0)) == 1
    assert len(held_out_documents(np.array([4, 9]), 0.99, 0)) == 1
    assert len(held_out_documents(np.array([4, 4]), 0.5, 0)) == 0
    drawn = np.concatenate([held_out_documents(np.arange(50), 0.2, seed) for seed in range(200)])
    assert np.bincount(drawn, minlength=50).min() > 15  # 40 expected: every document has its chance


def test_rows_come_in_the_order_asked_and_may_repeat(cache):
    asked = [cache.n_tokens - 1, 0, 7, 0, 5 * CONTEXT]
    values = cache.rows(SITES[1], asked)
    assert all(torch.equal(v, cache.rows(SITES[1], [i])[0]) for v, i in zip(values, asked))
    assert cache.rows(SITES[1], torch.tensor(asked)).equal(values)
    assert cache.rows(SITES[1], []).shape == (0, cache.width(SITES[1]))
    with pytest.raises(BadInput, match="tokens 0 to"):
        cache.rows(SITES[1], [cache.n_tokens])


def test_unknown_sites_splits_and_sizes_are_refused(cache):
    with pytest.raises(BadInput, match=r"does not hold resid_pre\.3, but .*mlp_in\.2"):
        cache.batches(["resid_pre.3"], 8)
    with pytest.raises(BadInput, match="Did you mean"):
        cache.mean("mlp_inn.2")
    with pytest.raises(BadInput, match="no split"):
        cache.batches(SITES, 8, split="test")
    with pytest.raises(BadInput, match="too few"):
        cache.batches(SITES, 10**6, drop_last=True)


def test_the_token_set_comes_back_as_it_was(cache):
    given, back = token_set(), cache.tokens()
    for name in ("tokens", "doc", "special"):
        assert np.array_equal(np.asarray(getattr(given, name)), np.asarray(getattr(back, name)))
        assert np.asarray(getattr(given, name)).dtype == np.asarray(getattr(back, name)).dtype
    assert list(back.documents) == list(given.documents)


def test_a_corrupt_shard_is_named_and_repaired(fresh, toy):
    assert fresh.verify() == []
    path = fresh.folder / fresh.layout.name_of(1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    again = open_cache(fresh.folder, toy)  # one flipped bit is not seen at a glance
    assert again.verify() == [path.name]
    assert again.repair(toy, path.name)
    assert again.verify() == []
    assert path.read_bytes() == whole


def test_a_truncated_or_missing_shard_is_named_at_once_and_repaired(fresh, toy):
    whole = {}
    for index, spoil in ((0, lambda p: p.write_bytes(p.read_bytes()[:-10])), (2, lambda p: p.unlink())):
        path = fresh.folder / fresh.layout.name_of(index)
        whole[path] = path.read_bytes()
        spoil(path)
    with pytest.raises(Unavailable, match=r"shard-00000\.safetensors, shard-00002\.safetensors missing or truncated"):
        open_cache(fresh.folder, toy)
    damaged = open_cache(fresh.folder, toy, check=False)
    with pytest.raises(Unavailable, match="shard-00000"):
        damaged.rows(SITES[0], [0])
    assert damaged.repair(toy, 0)
    assert damaged.repair(toy, "shard-00002.safetensors")
    assert all(path.read_bytes() == content for path, content in whole.items())
    assert open_cache(fresh.folder, toy).verify() == []
    with pytest.raises(BadInput, match="no shard"):
        damaged.repair(toy, 99)


def test_a_shard_that_comes_out_differently_is_taken_into_the_statistics(fresh, toy):
    """As on another machine: here the first content is the one that was changed."""
    name = fresh.layout.name_of(0)
    path, before = fresh.folder / name, fresh.mean(SITES[0])
    spoiled = {k: v.clone() for k, v in read_tensors(path).items()}
    spoiled[f"mean.{fresh.site(SITES[0])}"] += 1.0
    fresh.manifest.files[name] = write_tensors(path, spoiled)
    assert not fresh.repair(toy, 0)
    again = open_cache(fresh.folder, toy)
    assert again.verify() == []
    assert torch.equal(again.mean(SITES[0]), before)


def test_without_its_tokens_a_cache_is_refused(fresh, toy):
    (fresh.folder / "tokens.safetensors").write_bytes(b"")
    with pytest.raises(Unavailable, match=r"tokens\.safetensors missing or truncated"):
        open_cache(fresh.folder, toy, check=False)


def test_a_cache_of_another_model_is_refused(fresh, toy):
    from probe.model.toy import toy_model

    with pytest.raises(BadInput, match="was made from"):
        open_cache(fresh.folder, toy_model(seed=1))
    with pytest.raises(BadInput, match="was made from"):
        fresh.repair(toy_model(seed=1), 0)


def test_what_is_no_cache_is_refused(tmp_path):
    with pytest.raises(BadInput, match="There is no cache"):
        open_cache(tmp_path / "nothing")


def test_shards_are_plain_safetensors_and_come_back_exactly(tmp_path: Path):
    from safetensors.torch import load_file

    given = {
        "a": torch.randn(5, 3).half(),
        "b": torch.randn(2, 2).bfloat16(),
        "c": torch.randn(7).double(),
        "d": torch.tensor([True, False]),
        "e": torch.arange(3, dtype=torch.int32),
        "f": torch.empty(0, 4),
    }
    checksum = write_tensors(tmp_path / "x.safetensors", given)
    for read in (read_tensors(tmp_path / "x.safetensors"), load_file(tmp_path / "x.safetensors")):
        assert {k: (v.dtype, v.shape) for k, v in read.items()} == {k: (v.dtype, v.shape) for k, v in given.items()}
        assert all(torch.equal(read[k], given[k]) for k in given)
    assert write_tensors(tmp_path / "x.safetensors", given) == checksum
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_moments_of_parts_merge_to_those_of_the_whole():
    """Also where the mean is a million times the deviation, which sums of squares do not survive."""
    values = torch.randn(1000, 5, dtype=torch.float64) + torch.tensor([0.0, 1e6, -3.0, 1e3, 1e-3])
    merged = Moments.nothing(5)
    for part in values.split([1, 0, 399, 600]):
        merged += Moments.of(part)
    assert merged.count == 1000
    torch.testing.assert_close(merged.mean, values.mean(0), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(merged.var, values.var(0, correction=0), rtol=1e-9, atol=0)
    assert Moments.nothing(5).var.isnan().all()
