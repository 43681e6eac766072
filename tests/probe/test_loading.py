"""Loading: what is not whole, not finite, not a decoder, or wants to run code is refused in a sentence that names it."""

import contextlib
import json
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from probe.errors import BadInput, OpenworkError, Unavailable
from probe.interventions.generation import generate_with
from probe.model.load import load_model
from probe.model.toy import toy_tokenizer
from probe.progress import Watched
from probe.text.sampling import draw
from probe.text.tokens import bos_of, encode_prompt

SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
PROJ = "model.layers.1.mlp.down_proj.weight"


def make(folder: Path, model_type: str = "llama", shard: str = "1GB", **fields) -> Path:
    """A whole tiny model in a folder."""
    tokenizer = toy_tokenizer()
    marks = {"vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **{**marks, **SIZES, **fields})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder, max_shard_size=shard)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "model"))


def configure(folder: Path, **fields) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def reweigh(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def without(*names):
    return lambda state: [state.pop(name) for name in names]


def poisoned(value):
    return lambda state: state[PROJ].view(-1)[5:6].fill_(value)


def refusal(folder: Path, error=OpenworkError) -> str:
    """The sentence, which names what was asked for and fits a screen."""
    with pytest.raises(error) as caught:
        load_model(folder)
    words = str(caught.value)
    assert str(folder) in words and len(words) < 700 and "\n" not in words
    return words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("lm_head.weight", PROJ), rf"lack: lm_head\.weight, {PROJ}"),
        (lambda state: state.update(extra=torch.ones(2)), "does not know: extra"),
        (
            lambda state: state.update({PROJ: torch.ones(3, 3)}),
            rf"another shape: {PROJ} \(3, 3\), where \(16, 24\) was",
        ),
        (poisoned(float("nan")), f"not all finite numbers: {PROJ}"),
        (poisoned(float("-inf")), f"not all finite numbers: {PROJ}"),
    ],
)
def test_weights_that_are_not_whole_are_refused_by_name(folder, change, words):
    reweigh(folder, change)
    assert re.search(words, refusal(folder, Unavailable))


def test_a_tied_unembedding_may_be_absent(tmp_path):
    folder = make(tmp_path, tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    model = load_model(folder)
    assert torch.equal(model.W_U.T, model.W_E)


def test_constants_that_older_files_hold_are_no_weights(folder):
    names = ("model.layers.0.self_attn.rotary_emb.inv_freq", "h.0.attn.bias", "layers.1.attention.masked_bias")
    reweigh(folder, lambda state: state.update({name: torch.ones(4) for name in names}))
    load_model(folder)


def test_the_same_in_float16_overflow(folder):
    reweigh(folder, poisoned(1e30))
    load_model(folder)
    with pytest.raises(Unavailable, match="do not fit float16"):
        load_model(folder, dtype="float16")


def test_one_shard_of_several_is_refused(tmp_path):
    folder = make(tmp_path, shard="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    load_model(folder)
    last = shards[-1].rename(folder / "elsewhere")
    assert shards[-1].name in refusal(folder, Unavailable)
    (folder / "model.safetensors.index.json").unlink()
    refusal(folder, Unavailable)
    last.rename(folder / "model.safetensors")  # a part under the name of a whole
    assert "lack: " in refusal(folder, Unavailable)


def test_pickled_weights_are_held_to_the_same(folder):
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    load_model(folder)
    del state[PROJ]
    torch.save(state, folder / "pytorch_model.bin")
    assert PROJ in refusal(folder, Unavailable)


def gguf_file(path: Path, layers: int = 1, but: str = "") -> Path:
    """A tiny Llama in a GGUF file, without the tensor `but`."""
    from gguf import GGUFWriter

    writer, d = GGUFWriter(path, "llama"), 32
    vocabulary, made = toy_tokenizer().get_vocab(), toy_tokenizer().backend_tokenizer.to_str()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    for add, value in (
        (writer.add_context_length, 64),
        (writer.add_embedding_length, d),
        (writer.add_block_count, layers),
        (writer.add_feed_forward_length, 32),
        (writer.add_head_count, 4),
        (writer.add_head_count_kv, 4),
        (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_vocab_size, len(pieces)),
        (writer.add_tokenizer_model, "gpt2"),
        (writer.add_token_list, pieces),
        (writer.add_token_merges, [" ".join(pair) for pair in json.loads(made)["model"]["merges"]]),
        (writer.add_bos_token_id, 1),
        (writer.add_eos_token_id, 2),
    ):
        add(value)
    block = ("attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    names = ["token_embd", "output_norm", "output", *(f"blk.0.{part}" for part in block)]
    generator = np.random.default_rng(0)
    for name in names:
        shape = (d,) if name.endswith("norm") else (len(pieces), d) if name in ("token_embd", "output") else (d, d)
        if name != but:
            writer.add_tensor(f"{name}.weight", generator.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_is_held_to_the_same_and_says_what_it_takes(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_CACHE", str(tmp_path / "cache"))
    told = []
    model = load_model(gguf_file(tmp_path / "whole.GGUF"), progress=Watched(told.append))
    assert model.cfg.n_layers == 1 and re.search(r"unpack whole.GGUF \(about \d+ s and .* GB of memory", told[0].stage)
    part = gguf_file(tmp_path / "part.gguf", but="blk.0.ffn_down")
    with pytest.raises(Unavailable, match=r"part\.gguf' do not make a whole .*layers\.0\.mlp\.down_proj\.weight"):
        load_model(part)
    for layers, words in ((2, "lack: "), (100_000, r"100000\.gguf' has num_hidden_layers = 100000")):
        with pytest.raises(OpenworkError, match=words):
            load_model(gguf_file(tmp_path / f"{layers}.gguf", layers))
    assert [p.name.split("-")[0] for p in (tmp_path / "cache").glob("[!.]*")] == ["whole"]


def test_an_adapter_is_a_part(folder):
    (folder / "adapter_config.json").write_text("{}")
    assert "Merge" in refusal(folder, Unavailable)
    (folder / "config.json").unlink()
    assert "Merge" in refusal(folder, Unavailable)


def test_an_index_names_nothing_outside_its_folder(tmp_path):
    folder = make(tmp_path / "model", shard="20KB")
    outside = shutil.copy(next(folder.glob("model-*.safetensors")), tmp_path / "x.safetensors")
    index = folder / "model.safetensors.index.json"
    for name in ("../x.safetensors", str(outside)):
        found = json.loads(index.read_text())
        found["weight_map"][PROJ] = name
        index.write_text(json.dumps(found))
        assert "not in its folder" in refusal(folder, Unavailable)
    index.write_text("[]")
    assert "damaged" in refusal(folder, Unavailable)


def spoil(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


def cut(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 3000)


DAMAGE = {
    "truncated": cut,
    "empty weights": spoil("model.safetensors", ""),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "tokenizer": spoil("tokenizer.json", '{"version": 1}'),
    "tokenizer text": spoil("tokenizer.json", "not json"),
    "no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "config": spoil("config.json", "[1]"),
    "config text": spoil("config.json", "{"),
    "quantised": lambda folder: configure(folder, quantization_config={"quant_method": "gptq", "bits": 4}),
    "no heads": lambda folder: configure(folder, num_attention_heads=0),
    "no layers": lambda folder: configure(folder, num_hidden_layers=0),
    "negative": lambda folder: configure(folder, hidden_size=-16),
    "uneven heads": lambda folder: configure(folder, num_attention_heads=3, num_key_value_heads=2),
    "a million layers": lambda folder: configure(folder, num_hidden_layers=1_000_000),
    "a wide stream": lambda folder: configure(folder, hidden_size=800_000),
    "text for a number": lambda folder: configure(folder, num_hidden_layers="two"),
    "no such activation": lambda folder: configure(folder, hidden_act="nothing"),
    "no type": lambda folder: configure(folder, model_type="nothing", architectures=["Nothing"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_models_are_refused_at_once(folder, damage):
    DAMAGE[damage](folder)
    start = time.monotonic()
    refusal(folder)
    assert time.monotonic() - start < 15  # a million layers would take minutes to build


@pytest.mark.parametrize(
    ("model_type", "name", "fields"),
    [
        ("t5", "T5ForConditionalGeneration", {}),
        ("bart", "BartForConditionalGeneration", {}),
        ("bert", "BertForMaskedLM", {}),
        ("llava", "LlavaForConditionalGeneration", {}),
        ("gemma3n", "Gemma3nForConditionalGeneration", {}),
        ("phimoe", "PhimoeForCausalLM", {}),
        ("mobilebert", "MobileBertForMaskedLM", {}),
        ("opt", "OPTForCausalLM", {"word_embed_proj_dim": 8, "hidden_size": 16}),
        ("opt", "OPTForCausalLM", {"word_embed_proj_dim": 16, "hidden_size": 16, "do_layer_norm_before": False}),
    ],
)
def test_families_that_cannot_be_read_are_named(folder, model_type, name, fields):
    config = AutoConfig.for_model(model_type, **fields)
    config.architectures = [name]
    config.save_pretrained(folder)
    words = refusal(folder)
    assert name in words or "OPT-350m" in words or "do_layer_norm_before" in words


CODE = "from pathlib import Path\nPath({mark!r}).write_text('ran')\nfrom transformers import {base} as {name}\n"


@pytest.mark.parametrize("part", ["config", "tokenizer"])
def test_code_in_a_folder_never_runs(folder, part, monkeypatch):
    """Not even where somebody answers yes to the library's question, which is never asked."""
    mark = folder.parent / "ran"
    if part == "config":
        configure(folder, model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"})
        code = CODE.format(mark=str(mark), base="LlamaConfig", name="Own")
    else:
        path = folder / "tokenizer_config.json"
        settings = {
            **json.loads(path.read_text()),
            "tokenizer_class": "Own",
            "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]},
        }
        path.write_text(json.dumps(settings))
        code = CODE.format(mark=str(mark), base="PreTrainedTokenizerFast", name="Own")
    (folder / "own.py").write_text(code)
    monkeypatch.setattr("builtins.input", lambda *_: asked.append("y") or "y")
    asked = []
    with contextlib.suppress(OpenworkError):
        assert load_model(folder) and part == "tokenizer"  # whose own class is not needed: the library reads its file
    assert not mark.exists() and not asked


def test_a_model_that_needs_its_own_code_says_so(folder):
    configure(folder, model_type="own", auto_map={"AutoConfig": "own.Own"})
    (folder / "own.py").write_text("raise SystemExit")
    assert "wants to run Python code of its own (config.json: auto_map)" in refusal(folder, BadInput)


def test_devices_that_are_not_there():
    for name, error in (("foo", BadInput), ("cuda:99", Unavailable), ("meta", BadInput), ("cuda:x", BadInput)):
        with pytest.raises(error, match=name):
            load_model("toy", device=name)
    if not torch.backends.mps.is_available():
        with pytest.raises(Unavailable, match="no mps device"):
            load_model("toy", device="mps")


def test_a_home_that_is_a_file(tmp_path, monkeypatch):
    from probe.artifacts.folder import home
    from probe.model.models_folder import model_cache

    (tmp_path / "file").write_text("x")
    for variable, place in (("OPENWORK_HOME", home), ("OPENWORK_CACHE", model_cache)):
        monkeypatch.setenv(variable, str(tmp_path / "file"))
        with pytest.raises(BadInput, match=f"a file and no folder. Name a folder with {variable}"):
            place()


def test_a_tokenizer_without_bos_is_not_lent_one(folder):
    """Every prompt would begin with an end of text, against the model's own tokenizer."""
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "bos_token": None, "add_bos_token": False}))
    made = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps({**made, "post_processor": None}))
    model, own = load_model(folder), AutoTokenizer.from_pretrained(folder)
    text = "The war lasted from 1714"
    assert own.bos_token is None and model.tokenizer.bos_token is None and bos_of(model) is None
    assert encode_prompt(model, text) == own(text)["input_ids"] == model.to_tokens(text)[0].tolist()
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([own(text)["input_ids"]])).logits
    torch.testing.assert_close(model(torch.tensor([encode_prompt(model, text)])), logits, atol=1e-5, rtol=1e-5)


def test_generation_ends_at_every_end_token(folder):
    """`generation_config.eos_token_id` may be a list, whose tokens the tokenizer knows nothing of."""
    model = load_model(folder)
    third = generate_with(model, "The war", [], 4).clean.ids[2]
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [2, third]}))
    model = load_model(folder)
    assert generate_with(model, "The war", [], 4).clean.ids[-1] == third
    assert all(third not in ids for ids, _ in draw(model, range(8), 24))
