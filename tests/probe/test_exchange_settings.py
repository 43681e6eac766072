"""What other libraries' settings change in the arithmetic is read or refused, and places are taken from where they are said."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from exchanged import RESID, D, F, K, X, alike, filled, random, sae
from safetensors.torch import save_file
from tiny import tiny

from probe.dictionaries import SAE, JumpReLU, ReLU, TopK
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.exchange import export_dictionary, import_dictionary
from probe.exchange.hub import parse
from probe.exchange.places import of_module
from probe.exchange.settings import TRAINING


def reconfigure(path: Path, change) -> None:
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps(settings))


def kept(folder: Path, form: str, change) -> Path:
    """A dictionary in another library's form, with a changed setting."""
    rule = {"gemma-scope": JumpReLU(8), "sparsify": TopK(K)}.get(form, ReLU())
    export_dictionary(sae(rule), folder, form)
    if form == "gemma-scope":
        (folder / "config.json").write_text("{}")
    reconfigure(next(p for p in folder.rglob("*.json") if p.name in ("cfg.json", "config.json")), change)
    return folder


CHANGES = {
    "saelens activation": ("saelens", lambda c: c.update(activation_fn="tanh-relu"), "activation_fn"),
    "saelens head": ("saelens", lambda c: c["metadata"].update(hook_head_index=0), "one head"),
    "saelens reshape": ("saelens", lambda c: c.update(reshape_activations="other"), "reshape_activations"),
    "saelens unknown": ("saelens", lambda c: c.update(doubles_every_latent=True), "doubles_every_latent = True"),
    "saelens folded values": (
        "saelens",
        lambda c: c["metadata"].update(
            hook_name="blocks.1.attn.hook_z", model_from_pretrained_kwargs={"fold_value_biases": True}
        ),
        "fold_value_biases",
    ),
    "saelens model": (
        "saelens",
        lambda c: c["metadata"].update(model_from_pretrained_kwargs={"refactor_factored_attn_matrices": True}),
        "refactor_factored",
    ),
    "sparsify": ("sparsify", lambda c: c.update(layer_norm="yes"), "layer_norm = 'yes'"),
    "dictionary_learning": (
        "dictionary-learning",
        lambda c: c["trainer"].update(input_scale=2.0),
        r"input_scale = 2\.0",
    ),
    "its buffer": ("dictionary-learning", lambda c: c["buffer"].update(whiten=True), "whiten = True"),
    "gemma scope": ("gemma-scope", lambda c: c.update(architecture="topk"), "architecture as 'topk'"),
    "gemma scope unknown": ("gemma-scope", lambda c: c.update(rms_input=True), "rms_input"),
    "gemma scope path": ("gemma-scope", lambda c: c.update(affine_connection=True), "affine connection"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_that_nobody_reads_is_refused(name: str, tmp_path: Path) -> None:
    form, change, words = CHANGES[name]
    import_dictionary(kept(tmp_path / "plain", form, lambda c: c.update(some_switch=False)))  # off: says nothing
    with pytest.raises(BadInput, match=words):
        import_dictionary(kept(tmp_path / "changed", form, change))


def test_settings_of_the_two_other_formats(tmp_path: Path) -> None:
    tensors = {"W_enc": random(F, D), "W_dec": random(F, D), "b_enc": random(F), "b_dec": random(D)}
    save_file(tensors, tmp_path / "layer_0.safetensors")
    config = {"model_kind": "transcoder_set", "scan": "x", "output_scale": 2.0}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(BadInput, match=r"output_scale = 2\.0"):
        import_dictionary(tmp_path)
    state = {**tensors, "W_enc": random(D, F)}
    for extra, fine in (({"lr": 1e-3, "is_transcoder": False}, True), ({"input_gain": 2}, False)):
        file = tmp_path / f"{fine}.pt"
        torch.save({"cfg": {"hook_point": "blocks.2.ln2.hook_normalized", **extra}, "state_dict": state}, file)
        if fine:
            import_dictionary(file)
        else:
            with pytest.raises(BadInput, match="input_gain = 2"):
                import_dictionary(file)


def test_settings_of_training_change_nothing(tmp_path: Path) -> None:
    def train(config: dict) -> None:
        config.update(dict.fromkeys(("l1_coefficient", "lr", "seed", "context_size"), 3))

    made = sae(ReLU())
    export_dictionary(made, tmp_path / "out", "saelens")
    reconfigure(tmp_path / "out" / "cfg.json", train)
    torch.testing.assert_close(import_dictionary(tmp_path / "out").encode(X), made.encode(X))
    assert "activation_fn" not in TRAINING and "center_writing_weights" not in TRAINING


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_centred_models_dictionary_reads_our_stream_as_it_read_its_own(name: str, tmp_path: Path) -> None:
    """Trained on a stream without its mean (layer norms), or, where norms are not centred, on the stream as it is."""
    model, site = tiny(name), "blocks.1.hook_resid_post"
    made = filled(SAE(model.cfg.d_model, F, sparsifier=ReLU(), site=site)).double().eval()
    export_dictionary(made, tmp_path / "out", "saelens")

    def centre(config: dict) -> None:
        config["metadata"]["model_from_pretrained_kwargs"] = {"center_writing_weights": True}

    reconfigure(tmp_path / "out" / "cfg.json", centre)
    with pytest.raises(BadInput, match="Give the model"):
        import_dictionary(tmp_path / "out")
    found = import_dictionary(tmp_path / "out", model=model, dtype="float64")
    _, kept_ = model.run_with_cache(torch.tensor([[1, 5, 9, 200, 31]]), names_filter=[site])
    ours = kept_[site][0].double()
    theirs = ours - ours.mean(-1, keepdim=True) if name == "gpt2" else ours
    torch.testing.assert_close(found.encode(ours), made.encode(theirs), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found(ours).recons, made(theirs).recons, rtol=1e-9, atol=1e-9)
    assert ours.mean(-1).abs().max() > 0.1 and (made.encode(theirs) > 0).any()


def test_topk_of_dictionary_learning_without_a_stored_k(tmp_path: Path) -> None:
    made = sae(TopK(K))
    export_dictionary(made, tmp_path / "out", "dictionary-learning")
    file = tmp_path / "out" / "ae.pt"
    state = torch.load(file, weights_only=True)
    torch.save({name: value for name, value in state.items() if name not in ("k", "threshold")}, file)
    alike(import_dictionary(tmp_path / "out"), lambda x: (made.encode(x), made(x).recons))
    reconfigure(tmp_path / "out" / "config.json", lambda c: c["trainer"].pop("k"))
    with pytest.raises(BadInput, match="must give k"):
        import_dictionary(tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "layer", "site"),
    [
        ("resid_post_layer_3", 3, RESID),
        ("resid_post_3", 3, RESID),
        ("resid_post", 3, RESID),
        (RESID, 3, RESID),
        ("gpt_neox.layers.3", 3, RESID),
        ("transformer.h.3.mlp", 3, "blocks.3.mlp.hook_out"),
        ("resid_post_layer_13", 3, "refused"),
        ("model.layers.2", 3, "refused"),
        ("vision_tower.layers.3", 3, "vision_tower.layers.3"),
    ],
)
def test_places_of_dictionary_learning(name: str, layer: int, site: str, tmp_path: Path) -> None:
    export_dictionary(sae(ReLU()), tmp_path / "out", "dictionary-learning")
    reconfigure(tmp_path / "out" / "config.json", lambda c: c["trainer"].update(submodule_name=name, layer=layer))
    if site == "refused" and name.startswith("model"):
        with pytest.raises(BadInput, match="two places"):
            import_dictionary(tmp_path / "out")
    else:
        found = import_dictionary(tmp_path / "out").site_in
        assert found == (name if site == "refused" else site)


def test_a_vision_towers_layers_are_not_the_texts() -> None:
    assert of_module("vision_tower.layers.3", False) == ("vision_tower.layers.3",) * 2
    assert of_module("model.vision_model.encoder.layers.3.mlp", True)[1] == "model.vision_model.encoder.layers.3.mlp"
    assert of_module("model.language_model.layers.3", False) == (RESID,) * 2


@pytest.mark.parametrize(
    ("path", "site"),
    [
        ("layer_1_study/gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_8", RESID),
        ("layer_1_study/gemma-scope-2b-pt-res/width_16k", ""),
        ("resid_post_study/gemma-scope-2b-pt-mlp/layer_3/width_16k", "blocks.3.hook_mlp_out"),
        ("resid_post/models--google--gemma-scope-2b-pt-att/snapshots/1f/layer_3/x", "blocks.3.attn.hook_z"),
        ("my-mlp/gemma-scope-2b-pt-res-canonical/layer_3/x", RESID),
        ("attn_out_notes/resid_post_all/layer_3_width_16k_l0_small", RESID),
        ("layer_9/resid_post/layer_3_width_16k_l0_small", RESID),
    ],
)
def test_places_of_gemma_scope_are_the_innermost_of_its_own_names(path: str, site: str, tmp_path: Path) -> None:
    export_dictionary(sae(JumpReLU(8)), tmp_path / path, "gemma-scope")
    found = import_dictionary(tmp_path / path)
    assert found.site_in == found.site_out == site


def test_gemma_scopes_own_settings_win_over_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "attn_out" / "layer_9_width_16k_l0_small"
    export_dictionary(sae(JumpReLU(8)), folder, "gemma-scope")
    config = {"architecture": "jump_relu", "hf_hook_point_in": "model.layers.3.output", "affine_connection": False}
    (folder / "config.json").write_text(json.dumps(config))
    assert import_dictionary(folder).site_in == RESID


def test_addresses_of_the_hub() -> None:
    assert parse("hf://a/b/c.npz?revision=v1") == ("a/b", "c.npz", "v1")
    assert parse("hf:a/b@v1") == ("a/b", "", "v1") and parse("hf:a/b?revision=v1") == ("a/b", "", "v1")
    for odd in ("hf:a/b?branch=x", "hf:a/b@v1?revision=v2"):
        with pytest.raises(BadInput, match="more than a revision"):
            parse(odd)


def test_a_local_folder_makes_nothing_be_fetched(tmp_path: Path, monkeypatch) -> None:
    import huggingface_hub

    asked: list[dict] = []
    tensors = {"W_enc": random(F, D), "W_dec": random(F, D), "b_enc": random(F), "b_dec": random(D)}
    save_file(tensors, tmp_path / "file.safetensors")

    def download(**wanted):
        asked.append(wanted)
        if not wanted.get("local_files_only"):
            pytest.fail("the hub was asked")
        if wanted["revision"] == "gone":
            raise huggingface_hub.errors.LocalEntryNotFoundError("not here")
        return str(tmp_path / "file.safetensors")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: pytest.fail("a name was looked up"))
    folder = tmp_path / "set"
    folder.mkdir()
    for revision in ("here", "gone"):
        address = f"hf://owner/name/layer_0.safetensors?revision={revision}"
        config = {"model_kind": "transcoder_set", "transcoders": [address], "feature_input_hook": "hook_resid_mid"}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        if revision == "gone":
            with pytest.raises(Unavailable, match="not on this machine"):
                import_dictionary(folder)
        else:
            assert import_dictionary(folder).d_dict == F
    assert [a["revision"] for a in asked] == ["here", "gone"]


def test_a_whole_disk_is_no_source(tmp_path: Path, monkeypatch) -> None:
    from probe.exchange import foreign

    monkeypatch.setattr(foreign, "MOST_FOLDERS", 200)
    with pytest.raises(OpenworkError):  # too many folders, or none with dictionaries: never a traceback
        import_dictionary("/")
    np.savez(tmp_path / "params.npz", a=np.ones(2))
    with pytest.raises(BadInput, match="lacks W_enc"):
        import_dictionary(tmp_path)
