"""Small files that would become large: each is refused from what its headers say, quickly and in little memory."""

import json
import os
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from circuits.exchange.read_neuronpedia import read_neuronpedia
from probe.errors import BadInput, OpenworkError
from probe.exchange import import_dictionaries
from probe.exchange.bounded import load_yaml
from probe.exchange.dictionary_learning import _load
from probe.exchange.files import is_zip, read_mapping, read_npz, read_safetensors, setting
from probe.exchange.unpickle import read_torch

HUGE = 1 << 28  # bytes that none of these may take


def refused(read, path: Path, words: str) -> None:
    """A sentence with these words, in no time and no memory."""
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(OpenworkError, match=words) as told:
            read(path)
        assert len(str(told.value)) < 1000
        assert tracemalloc.get_traced_memory()[1] < HUGE and time.perf_counter() - start < 30
    finally:
        tracemalloc.stop()


def test_archives_that_unfold(tmp_path):
    path = tmp_path / "a.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (25_000_000,)})
        for _ in range(100):
            file.write(bytes(1_000_000))
    refused(read_npz, path, "would unfold to")
    np.savez(tmp_path / "b.npz", a=np.ones(4, np.float32))
    assert read_npz(tmp_path / "b.npz")["a"].tolist() == [1, 1, 1, 1]
    np.savez_compressed(tmp_path / "c.npz", a=np.zeros(1_000_000, np.float32))  # zeros, and not many
    assert len(read_npz(tmp_path / "c.npz")["a"]) == 1_000_000


def test_one_storage_rebuilt_many_times(tmp_path):
    path, storage = tmp_path / "ae.pt", torch.zeros(100_000)
    torch.save({f"w{i}": storage.view(-1) for i in range(300)}, path)
    for read in (read_torch, _load):
        refused(read, path, "take far more than|makes tensors of")
    torch.save({"a": storage, "b": storage, "c": storage[:5]}, path)
    assert len(read_torch(path)) == len(_load(path)) == 3


def test_compressed_files_of_torch(tmp_path):
    torch.save({"w": torch.zeros(25_000_000)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for info in plain.infolist():
            small.writestr(info.filename, plain.read(info))
    (tmp_path / "a.pt").unlink()
    for read in (read_torch, _load):
        refused(read, tmp_path / "b.pt", "would unfold to|compressed")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize("text", [BOMB, "a: &a [*a]", "a: " + "[" * 600, "x" * 600_000, "a: !!python/name:os.system"])
def test_yaml_that_repeats_itself(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    refused(read_mapping, tmp_path / "config.yaml", "damaged")


def test_yaml_with_a_few_names_is_read():
    assert load_yaml("a: &a [1, 2]\nb: *a\nc: {<<: {d: 3}}") == {"a": [1, 2], "b": [1, 2], "c": {"d": 3}}


def test_values_are_shown_in_short():
    with pytest.raises(BadInput) as told:
        setting({"d_in": ["x" * 10_000] * 1000}, "d_in", int, "config.json")
    assert len(str(told.value)) < 400


def test_json_of_empty_lists(tmp_path):
    path = tmp_path / "graph.json"
    path.write_bytes(b'{"nodes": [' + b"[]," * 6_100_000 + b"[]]}")
    refused(read_neuronpedia, path, "lists and mappings")
    (tmp_path / "config.json").write_bytes(path.read_bytes())
    refused(read_mapping, tmp_path / "config.json", "lists and mappings")


def test_pipes_and_devices_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        for read in (read_mapping, read_safetensors, read_npz, read_torch, _load, read_neuronpedia):
            with pytest.raises(OpenworkError):
                read(tmp_path / name)
        assert not is_zip(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["cfg.json", "sae_weights.safetensors", "config.yaml", "config.json", "ae.pt", "params.npz"]
)
def test_folders_with_pipes_are_refused(tmp_path, name):
    (tmp_path / "cfg.json").write_text(json.dumps({"d_in": 4, "d_sae": 8}))
    save_file({"W_enc": torch.zeros(4, 8)}, tmp_path / "sae_weights.safetensors")
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(OpenworkError):
        list(import_dictionaries(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_model_folder_with_a_pipe_is_refused(tmp_path, name):
    from probe.model.load import load_model

    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name)
    with pytest.raises(OpenworkError, match=r"a pipe|no config"):
        load_model(str(tmp_path))
