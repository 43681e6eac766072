"""Files that mean harm, and broken ones: nothing is run, nothing is stored, and a sentence says what is wrong."""

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from exchanged import D, F, alike, of_layer, random, sae
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.cli import run
from probe.dictionaries import ReLU
from probe.errors import BadInput, Unavailable
from probe.exchange import export_dictionary, import_dictionaries, import_dictionary
from probe.exchange.unpickle import Inert, read_torch

# transcoder_circuits, and pickles that mean harm


@dataclass
class Settings:
    hook_point: str = "blocks.2.ln2.hook_normalized"
    out_hook_point: str = "blocks.2.hook_mlp_out"
    model_name: str = "gpt2-small"
    d_in: int = D


def checkpoint(path: Path, cfg: Any = None, **changed: Any) -> dict[str, Tensor]:
    """A file as their training writes it, its settings an object of a class that is gone when it is read."""
    t = {"W_enc": random(D, F), "b_enc": random(F, seed=1), "W_dec": random(F, D, seed=2)}
    t |= {"b_dec": random(D, seed=3), "b_dec_out": random(D, seed=4)}
    gone = ModuleType("their_training_code")
    kind = type("Settings", (Settings,), {"__module__": gone.__name__})
    gone.Settings = kind  # type: ignore[attr-defined]
    sys.modules[gone.__name__] = gone
    try:
        torch.save({"cfg": kind() if cfg is None else cfg, "state_dict": {**t, **changed}}, path)
    finally:
        del sys.modules[gone.__name__]
    return t


def circuits(t: dict[str, Tensor]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def run_(x: Tensor) -> tuple[Tensor, Tensor]:
        acts = ((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()
        return acts, acts @ t["W_dec"] + t["b_dec_out"]

    return run_


def test_transcoder_circuits_are_read_without_their_code(tmp_path: Path) -> None:
    path = tmp_path / "final_sparse_autoencoder_gpt2-small_blocks.2.ln2.hook_normalized_40.pt"
    t = checkpoint(path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    for source in (path, tmp_path):
        (found,) = import_dictionaries(source)
        assert found.origin["model_name"] == "gpt2-small" and found.origin["format"] == "transcoder-circuits"
        assert found.dictionary.sites_out == ("blocks.2.hook_mlp_out",)
        alike(found.dictionary, circuits(t))


class Harm:
    """An object whose unpickling runs a program."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("where", ["cfg", "state_dict"])
def test_a_malicious_file_runs_nothing(where: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "harmed", tmp_path / "harm.pt"
    t = checkpoint(path, Harm(marker)) if where == "cfg" else checkpoint(path, {}, b_enc=Harm(marker))
    if where == "cfg":
        alike(import_dictionary(path), circuits(t))
    else:
        with pytest.raises(BadInput, match="lacks b_enc"):
            import_dictionary(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the control: the file does harm to whoever unpickles it
    assert marker.exists()


def archived(path: Path, program: bytes, compress: int = zipfile.ZIP_STORED, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", compress) as archive:
        archive.writestr("a/data.pkl", program)
        for name, content in entries.items():
            archive.writestr(f"a/data/{name}", content)
    return path


def test_unknown_names_are_labels_and_sizes_are_checked(tmp_path: Path) -> None:
    calls = archived(tmp_path / "a.pt", b"cbuiltins\neval\n(S'1/0'\ntR.")
    found = read_torch(calls)
    assert isinstance(found, Inert) and found.arguments == ("1/0",)
    # A pickle that sets attributes on what stands for classes and functions changes nothing for the next file.
    archived(tmp_path / "b.pt", b"cos\nsystem\n(dS'__setstate__'\nNsb.")
    with pytest.raises(BadInput, match="does not hold"):
        read_torch(tmp_path / "b.pt")
    assert read_torch(calls).arguments == ("1/0",)
    storage = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\ntQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"I0\n(I1000\nI1000\nt(I0\nI0\ntI00\nNtR."
    with pytest.raises(BadInput, match="larger than the numbers stored"):
        read_torch(archived(tmp_path / "c.pt", tensor, **{"0": bytes(16)}))
    with pytest.raises(BadInput, match="compressed"):
        read_torch(archived(tmp_path / "d.pt", b"N." + bytes(5000), zipfile.ZIP_DEFLATED))
    with pytest.raises(Unavailable, match="lacks a/data/0"):
        read_torch(archived(tmp_path / "e.pt", tensor))
    with pytest.raises(BadInput, match="does not hold"):
        read_torch(archived(tmp_path / "f.pt", b"\x80\x04garbage"))


def test_dictionary_learning_with_more_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"W_enc": Harm(tmp_path / "harmed")}, tmp_path / "ae.pt")
    with pytest.raises(BadInput, match="more than tensors"):
        import_dictionary(tmp_path)
    assert not (tmp_path / "harmed").exists()


# Broken files


def broken(folder: Path, how: str) -> None:
    weights, config = folder / "sae_weights.safetensors", folder / "cfg.json"
    t, cfg = load_file(weights), json.loads(config.read_text())
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "config":
        config.write_text(config.read_text()[:-20])
    elif how == "list":
        config.write_text("[1, 2]")
    elif how == "architecture":
        config.write_text(json.dumps({**cfg, "architecture": "temporal"}))
    elif how == "k":
        config.write_text(json.dumps({**cfg, "architecture": "topk", "k": F + 1}))
    elif how == "no k":
        config.write_text(json.dumps({**cfg, "architecture": "topk"}))
    else:
        change: dict[str, Callable[[], Any]] = {
            "nan": lambda: t["W_enc"].__setitem__((0, 0), float("nan")),
            "missing": lambda: t.pop("b_enc"),
            "extra": lambda: t.__setitem__("W_mystery", torch.ones(3)),
            "shape": lambda: t.__setitem__("W_dec", random(F, D + 1)),
            "transposed": lambda: t.__setitem__("W_enc", t["W_enc"].T.contiguous()),
            "flat": lambda: t.__setitem__("W_enc", t["W_enc"].flatten()),
            "complex": lambda: t.__setitem__("b_enc", t["b_enc"].to(torch.complex64)),
        }
        change[how]()
        save_file(t, weights)


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("truncated", Unavailable, "truncated"),
        ("empty", Unavailable, "truncated"),
        ("config", Unavailable, "damaged"),
        ("list", BadInput, "settings by name"),
        ("architecture", BadInput, "'temporal'"),
        ("k", BadInput, "needs at least"),
        ("no k", BadInput, "must give k"),
        ("nan", BadInput, "W_enc holds NaN"),
        ("missing", BadInput, "lacks b_enc"),
        ("extra", BadInput, "W_mystery"),
        ("shape", BadInput, "b_dec is 12"),
        ("transposed", BadInput, "W_dec is|b_enc is"),
        ("flat", BadInput, "must be matrices"),
        ("complex", BadInput, "real numbers"),
    ],
)
def test_broken_files_are_named_and_nothing_is_stored(
    how: str, kind: type, says: str, home: Path, tmp_path: Path, capsys
) -> None:
    export_dictionary(sae(ReLU()), tmp_path / "in", "saelens")
    broken(tmp_path / "in", how)
    with pytest.raises(kind, match=says):
        import_dictionary(tmp_path / "in")
    assert run(["import", str(tmp_path / "in")]) == (2 if kind is BadInput else 1)
    assert "Traceback" not in capsys.readouterr().err
    assert not [p for p in home.rglob("*") if not p.is_dir()]  # the shelf may be there: its lock was taken first


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.safetensors", b"x", "no known format"),
        ("ae.pt", b"not a zip", "truncated"),
        ("params.npz", b"PK\x03\x04 cut", "truncated"),
        ("W_enc_0.safetensors", b"x", "truncated"),
        ("config.yaml", b"model_kind: transcoder_set\ntranscoders: [../x.safetensors]\n", "outside its folder"),
        ("config.yaml", b"a: [1\n", "damaged"),
    ],
)
def test_foreign_files_are_refused(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((BadInput, Unavailable), match=says):
        import_dictionary(tmp_path)


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    harm = np.array([Harm(tmp_path / "harmed")], dtype=object)
    np.savez(tmp_path / "params.npz", W_enc=harm)
    with pytest.raises(Unavailable, match="no plain NumPy archive"):
        import_dictionary(tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_a_gap_between_layers_is_named(tmp_path: Path) -> None:
    export_dictionary([of_layer(layer, ReLU(), False) for layer in range(3)], tmp_path / "out", "circuit-tracer")
    (tmp_path / "out" / "layer_1.safetensors").unlink()
    with pytest.raises(BadInput, match=r"lacks layer_1\.safetensors"):
        list(import_dictionaries(tmp_path / "out"))


def test_half_precision_is_read_in_single(tmp_path: Path) -> None:
    export_dictionary(sae(ReLU()).to(torch.bfloat16), tmp_path / "out", "saelens")
    assert load_file(tmp_path / "out" / "sae_weights.safetensors")["W_enc"].dtype == torch.bfloat16
    assert import_dictionary(tmp_path / "out").W_enc.dtype == torch.float32
    assert import_dictionary(tmp_path / "out", dtype="bfloat16").W_enc.dtype == torch.bfloat16
