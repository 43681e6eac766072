"""Whatever is stored is read for its checksum when it is used: a flipped bit is named, never computed with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from harvests import SITES, token_set

from app.cli import run
from circuits.blind.study import _read, _write_once
from circuits.patching.store import load_patching, save_patching
from circuits.patching.sweep import patch_sweep
from probe.activations.cache import open_cache
from probe.activations.harvest import harvest
from probe.artifacts import digest as verified
from probe.artifacts.digest import digest_of, sha256
from probe.artifacts.folder import place
from probe.artifacts.names import partial
from probe.errors import BadInput, Unavailable
from probe.features import build_features, open_features
from probe.progress import Watched
from probe.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint

SMALL = {"shard_tokens": 48, "batch": 3, "dtype": "float32"}


def flip(path: Path, at: int = -3) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


@pytest.fixture(scope="module")
def cached(toy, tmp_path_factory):
    return harvest(toy, token_set(), [*SITES, "mlp_post.1"], tmp_path_factory.mktemp("c") / "c", **SMALL)


def copy(cache, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(cache.folder, to / "c"))


def test_a_flipped_bit_of_a_shard_is_named_where_it_is_first_used(cached, tmp_path):
    folder = copy(cached, tmp_path)
    name = cached.layout.name_of(1)
    flip(folder / name, at=len((folder / name).read_bytes()) // 2)
    cache = open_cache(folder)
    cache.rows("mlp_in.2", [0])  # the other shards are what they were
    with pytest.raises(Unavailable, match=name):
        cache.rows("mlp_in.2", [50])


@pytest.mark.parametrize("name", ["tokens.safetensors", "stats.safetensors"])
def test_tokens_and_statistics_are_read_for_their_checksums_when_a_cache_is_opened(name, cached, tmp_path):
    folder = copy(cached, tmp_path)
    flip(folder / name)
    with pytest.raises(Unavailable, match=name):
        open_cache(folder)


def test_features_of_a_damaged_cache_end_in_a_sentence(toy, home, capsys, monkeypatch):
    cache = harvest(toy, token_set(), ["mlp_post.1"], place("cache", "c"), **SMALL)
    name = cache.layout.name_of(2)
    flip(cache.folder / name, at=len((cache.folder / name).read_bytes()) // 2)
    monkeypatch.setattr("probe.model.load.load_model", lambda *_, **__: toy)
    assert run(["features", "--layer", "1", "--cache", "c", "--name", "t"]) == 1
    assert name in capsys.readouterr().err and not place("features", "t").exists()


def test_a_resumed_harvest_makes_a_damaged_shard_again(toy, cached, tmp_path):
    def stop(snapshot):
        if snapshot.done > 100:
            raise KeyboardInterrupt

    folder = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        harvest(toy, token_set(), [*SITES, "mlp_post.1"], folder, progress=Watched(stop), **SMALL)
    flip(partial(folder) / cached.layout.name_of(0))
    again = harvest(toy, token_set(), [*SITES, "mlp_post.1"], folder, resume=True, **SMALL)
    for i in range(cached.layout.shards):
        name = cached.layout.name_of(i)
        assert (again.folder / name).read_bytes() == (cached.folder / name).read_bytes()


def kept(folder: Path):
    found = read_checkpoint(folder)
    assert found is not None
    return found


def test_a_flipped_bit_of_a_checkpoint_is_refused(tmp_path):
    tensors = {
        "a": torch.arange(5.0),
        "flag": torch.tensor([True, False, True]),
        "n": torch.tensor(3),
        "e": torch.zeros(0),
    }
    write_checkpoint(tmp_path, tensors, {"step": 7})
    found, state = kept(tmp_path)
    assert state == {"step": 7} and all(
        torch.equal(found[k], v) and found[k].dtype == v.dtype for k, v in tensors.items()
    )
    size = len((tmp_path / CHECKPOINT).read_bytes())
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for at in range(8, size, 3):
        flip(tmp_path / CHECKPOINT, at)
        try:
            found, state = kept(tmp_path)
        except Unavailable:
            pass
        else:  # a space of the header, or a name that is of no use: what is read is what was written
            assert state == {"step": 7} and all(torch.equal(found[k], v) for k, v in tensors.items())
        (tmp_path / CHECKPOINT).write_bytes(whole)


def test_checkpoints_from_before_there_were_checksums_are_read(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / CHECKPOINT, {"state": json.dumps({"step": 1})})
    assert kept(tmp_path)[1] == {"step": 1}


@pytest.mark.parametrize("name", ["units.safetensors", "examples.safetensors", "text.safetensors"])
def test_a_damaged_feature_table_is_named(name, toy, cached, tmp_path):
    table = build_features(toy, 1, cached, tmp_path / "t")
    assert open_features(table.folder).n_units == table.n_units
    flip(table.folder / name)
    with pytest.raises(Unavailable, match=name):
        open_features(table.folder)


@pytest.mark.parametrize("name", ["record.json", "arrays.safetensors"])
def test_a_damaged_patching_sweep_is_named(name, toy, home):
    found = patch_sweep(toy, "one two three", "one two four", over="resid_pre")
    folder = save_patching(found, "p")
    np.testing.assert_array_equal(load_patching("p").raw, found.raw)
    with pytest.raises(BadInput, match="exists already"):
        save_patching(found, "p")
    assert save_patching(found, "p", replace=True) == folder
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content.replace(b"0.", b"1.", 1) if name.endswith("json") else content[:-1] + b"\x07")
    with pytest.raises(Unavailable, match=name):
        load_patching("p")


def test_what_was_said_in_a_blind_study_is_what_was_written(tmp_path):
    path = tmp_path / "hypothesis.json"
    _write_once(path, {"text": "fires at years", "time": "then"})
    assert _read(path) == {"text": "fires at years", "time": "then"}
    path.chmod(0o644)
    path.write_text(path.read_text().replace("years", "names"))
    with pytest.raises(Unavailable, match="hypothesis"):
        _read(path)
    path.write_text('{"text": "of an older study"}')
    assert _read(path) == {"text": "of an older study"}


def test_a_checksum_is_computed_once_and_again_when_the_file_changes(tmp_path, monkeypatch):
    path, read = tmp_path / "x", []
    path.write_bytes(b"abc")
    monkeypatch.setattr(verified, "sha256", lambda p: read.append(p) or sha256(p))
    first = [digest_of(path, "sha") for _ in range(3)]
    assert first == [sha256(path)] * 3 and len(read) == 1
    path.write_bytes(b"abd")
    assert digest_of(path, "sha") == sha256(path) != first[0] and len(read) == 2
