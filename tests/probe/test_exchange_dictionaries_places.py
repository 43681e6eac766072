"""Where an imported dictionary belongs in the model, and the way in and out by command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from exchanged import MLP, D, F, K, X, filled, random, sae, tracer, transcoder
from safetensors.torch import save_file
from tiny import tiny
from torch import Tensor

from app.cli import run
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.dictionaries import SAE, ReLU, TopK, Transcoder, load_dictionary, save_dictionary
from probe.errors import BadInput
from probe.exchange import export_dictionary, import_dictionary
from probe.exchange.hub import parse
from probe.exchange.places import module_of, of_module, ours
from probe.exchange.weights import Weights

# Places in the model


def test_names_of_places() -> None:
    assert ours("blocks.3.hook_mlp_in") == "blocks.3.hook_resid_mid" and ours("somewhere") == "somewhere"
    assert of_module("transformer.h.4.mlp", True) == ("blocks.4.mlp.hook_in", "blocks.4.mlp.hook_out")
    assert of_module("layers.4", False) == ("blocks.4.hook_resid_post",) * 2
    assert of_module("gpt_neox.layers.4.attention", False) == ("blocks.4.hook_attn_out",) * 2
    assert of_module("layers.4.mlp.gate", False) == ("layers.4.mlp.gate",) * 2
    assert module_of("blocks.4.mlp.hook_in", "blocks.4.mlp.hook_out", "h") == "h.4.mlp"
    assert module_of("blocks.4.mlp.hook_in", "blocks.5.mlp.hook_out") is None
    assert parse("hf:a/b/c/d@main") == ("a/b", "c/d", "main") and parse("hf://a/b") == ("a/b", "", None)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_what_reads_before_a_norms_weight_is_made_to_read_after_it(name: str, tmp_path: Path) -> None:
    """Fed with the norm's input divided by its scale, as their models do, and with the site itself, as ours: equal outputs."""
    model, folder = tiny(name), tmp_path / "set"
    folder.mkdir()
    width = model.cfg.d_model
    t = {"W_enc": random(F, width), "W_dec": random(F, width, seed=1), "b_enc": random(F, seed=2)}
    t |= {"b_dec": random(width, seed=3), "W_skip": random(width, width, seed=4)}
    save_file(t, folder / "layer_0.safetensors")
    hooks = {"feature_input_hook": "ln2.hook_normalized", "feature_output_hook": "hook_mlp_out"}
    (folder / "config.yaml").write_text(yaml.safe_dump({"model_kind": "transcoder_set", **hooks}))
    found = import_dictionary(folder, model=model, dtype="float64")
    assert found.site_in == "blocks.0.mlp.hook_in"
    assert found.site_out == ("blocks.0.hook_mlp_out" if name == "gemma2" else "blocks.0.mlp.hook_out")
    wanted = ["blocks.0.hook_resid_mid", "blocks.0.mlp.hook_in"]
    _, kept = model.run_with_cache(torch.tensor([[1, 5, 9, 200, 31]]), names_filter=wanted)
    resid, site = (kept[n][0] for n in wanted)
    if name == "gpt2":  # layer norms of unprepared models hold their weight in that hook already
        theirs = site
    else:
        theirs = resid / (resid.square().mean(-1, keepdim=True) + model.original_model.config.rms_norm_eps).sqrt()
    double = {n: v.double() for n, v in t.items()}
    latents, recons = tracer(double)(theirs)
    torch.testing.assert_close(found.encode(site), latents, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found(site).recons, recons, rtol=1e-6, atol=1e-6)


def test_an_sae_before_a_norms_weight_becomes_one_after_it(tmp_path: Path) -> None:
    model = tiny("llama")
    made = filled(SAE(model.cfg.d_model, F, sparsifier=ReLU(), site="blocks.1.ln2.hook_normalized")).double().eval()
    export_dictionary(made, tmp_path / "out", "saelens")
    found = import_dictionary(tmp_path / "out", model=model, dtype="float64")
    assert found.kind == "sae" and found.site_in == "blocks.1.mlp.hook_in"
    weight = model.original_model.model.layers[1].post_attention_layernorm.weight
    before = random(9, model.cfg.d_model).double()
    torch.testing.assert_close(found.encode(before * weight), made.encode(before))
    torch.testing.assert_close(found(before * weight).recons, made(before).recons * weight)


def test_transcoder_circuits_read_layer_norms_without_weight_and_bias(tmp_path: Path) -> None:
    """Their models were prepared with norms folded away, so the same hook's name means another tensor there."""
    model = tiny("gpt2")
    width = model.cfg.d_model
    t = {"W_enc": random(width, F), "b_enc": random(F, seed=1), "W_dec": random(F, width, seed=2)}
    t |= {"b_dec": random(width, seed=3), "b_dec_out": random(width, seed=4)}
    settings = {"hook_point": "blocks.1.ln2.hook_normalized", "out_hook_point": "blocks.1.hook_mlp_out"}
    torch.save({"cfg": settings, "state_dict": t}, tmp_path / "tc.pt")
    found = import_dictionary(tmp_path, model=model, dtype="float64")
    assert (found.site_in, found.site_out) == ("blocks.1.mlp.hook_in", "blocks.1.mlp.hook_out")
    wanted = ["blocks.1.hook_resid_mid", "blocks.1.mlp.hook_in"]
    _, kept = model.run_with_cache(torch.tensor([[1, 5, 9, 200, 31]]), names_filter=wanted)
    resid, site = (kept[n][0] for n in wanted)
    theirs = torch.nn.functional.layer_norm(resid, (width,), eps=model.original_model.config.layer_norm_epsilon)
    acts = ((theirs - t["b_dec"].double()) @ t["W_enc"].double() + t["b_enc"]).relu()
    torch.testing.assert_close(found.encode(site), acts, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found(site).recons, acts @ t["W_dec"].double() + t["b_dec_out"], rtol=1e-6, atol=1e-6)


def test_what_attention_returns_before_a_norm_is_no_site(tmp_path: Path) -> None:
    made = filled(SAE(32, F, sparsifier=TopK(K), site="blocks.1.hook_attn_out")).eval()
    export_dictionary(made, tmp_path / "out", "sparsify")
    assert import_dictionary(tmp_path / "out", model=tiny("llama")).site_in == "blocks.1.hook_attn_out"
    with pytest.raises(BadInput, match="what attention returns"):
        import_dictionary(tmp_path / "out", model=tiny("gemma2"))


def test_folding_means_what_it_says() -> None:
    """Scales, shifts and matrices before and after, with a linear path, against doing them to the activations."""
    w = Weights.of(transcoder(ReLU(), skip=True).double())
    matrix, shift = random(D, D, seed=1).double(), random(D, seed=2).double()
    out, away = random(10, 7, seed=3).double(), random(7, seed=4).double()
    x = X.double()

    def result(weights: Weights, x: Tensor) -> Tensor:
        return weights.dictionary(("a",), ("b",), "it", torch.float64)(x).recons

    torch.testing.assert_close(result(w.reads(matrix, shift), x), result(w, (x - shift) @ matrix))
    torch.testing.assert_close(result(w.reads(matrix[0], shift), x), result(w, (x - shift) * matrix[0]))
    torch.testing.assert_close(result(w.reads(0.3), x), result(w, x * 0.3))
    torch.testing.assert_close(result(w.writes(out, away), x), result(w, x) @ out + away)
    torch.testing.assert_close(result(w.norms_folded(), x), result(w, x))
    assert torch.allclose(w.norms_folded().W_dec.norm(dim=1), torch.ones(F).double())


# The command line and the store


def test_import_and_export_by_command(toy, home: Path, tmp_path: Path, capsys) -> None:
    width = toy.cfg.d_model
    made = filled(Transcoder(width, F, sparsifier=TopK(K), skip=True, **MLP)).eval()
    export_dictionary(made, tmp_path / "src", "sparsify")
    source = str(tmp_path / "src")
    assert run(["import", source, "--dry-run", "--json"]) == 0
    assert not [p for p in home.rglob("*") if not p.is_dir()]
    assert json.loads(capsys.readouterr().out)["dictionaries"] == ["src-layers.2.mlp"]
    assert run(["import", source, "--model", "toy", "--name", "skip", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["imported"]
    assert row["stored"] == "skip-layers.2.mlp" and row["kind"] == "skip_transcoder"
    folder = place("dictionary", row["stored"])
    manifest = read_manifest(folder, "dictionary")
    assert (
        manifest.model
        and manifest.model.name == "toy"
        and str(tmp_path) not in json.dumps([manifest.config, manifest.facts])
    )
    assert manifest.config["imported"]["format"] == "sparsify"
    x = random(8, width)
    torch.testing.assert_close(load_dictionary(folder, toy)(x).recons, made(x).recons)
    assert run(["import", source, "--model", "toy", "--name", "skip"]) == 2  # is there already
    assert run(["import", source, "--name", "skip", "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == ["skip-layers.2.mlp"]
    options = tmp_path / "export.toml"
    options.write_text(
        f'dictionary = ["skip-layers.2.mlp"]\nformat = "sparsify"\nto = "{tmp_path / "out"}"\nlayers = "h"\n'
    )
    assert run(["export", "--config", str(options), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["h.2.mlp/cfg.json", "h.2.mlp/sae.safetensors"]
    assert run(["export", "--config", str(options)]) == 2  # never over what is there
    assert run(["export", "--config", str(options), "--resume"]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("not an export")
    assert run(["export", "--config", str(options), "--to", str(tmp_path / "other"), "--resume"]) == 2
    save_dictionary(made, place("dictionary", "trained-layers.2.mlp"))  # --resume keeps what was imported, nothing else
    assert run(["import", source, "--name", "trained", "--resume"]) == 2
    back = import_dictionary(tmp_path / "out")
    torch.testing.assert_close(back(x).recons, made(x).recons, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["import", "nowhere"], "no folder or file nowhere"),
        (["import", "{src}", "--format", "zip"], "no format"),
        (["import", "{src}", "--format", "saelens"], "nothing of the format saelens"),
        (["import", "{src}", "--only", "layers.9"], "has no layers.9"),
        (["import", "{src}", "--model", "toy", "--site-in", "mlp_in.99"], "layer 99"),
        (["import", "{src}", "--model", "toy"], "wide in this model"),
        (["import", "hf:nobody"], "names nothing on the hub"),
        (["export", "--dictionary", "none", "--format", "saelens", "--to", "out"], "No dictionary named 'none'"),
        (["export", "--dictionary", "none", "--format", "frob", "--to", "out"], "'frob' is no format"),
    ],
)
def test_commands_say_what_is_wrong(arguments: list[str], says: str, home: Path, tmp_path: Path, capsys) -> None:
    export_dictionary(transcoder(TopK(K), d_out=D), tmp_path / "src", "sparsify")
    assert run([a.replace("{src}", str(tmp_path / "src")) for a in arguments]) == 2
    err = capsys.readouterr().err
    assert says in err and "Traceback" not in err and not list(home.rglob("*.safetensors"))


def test_the_hub_is_asked_by_its_client_and_its_absence_is_said(
    tmp_path: Path, monkeypatch, home: Path, capsys
) -> None:
    import huggingface_hub

    assert run(["import", "hf:owner/name"]) == 1 and "could not be fetched" in capsys.readouterr().err
    assert run(["import", "hf:owner/name", "--dry-run"]) == 1
    export_dictionary(sae(TopK(K)), tmp_path / "repo" / "inside", "saelens")
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda **wanted: asked.update(wanted) or str(tmp_path / "repo")
    )
    assert run(["import", "hf:owner/name/inside@v1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["imported"]
    assert asked.pop("local_files_only") is True  # tests are offline
    assert asked == {"repo_id": "owner/name", "revision": "v1", "allow_patterns": ["inside/*", "inside"]}
    assert row["stored"] == "inside" and row["source"] == "hf:owner/name/inside@v1"


def test_sites_can_be_given(tmp_path: Path, toy) -> None:
    width = toy.cfg.d_model
    params = {"W_enc": random(width, F), "b_enc": random(F), "W_dec": random(F, width), "b_dec": random(width)}
    np.savez(tmp_path / "params.npz", threshold=np.ones(F), **{n: v.numpy() for n, v in params.items()})
    assert import_dictionary(tmp_path).kind == "sae"
    with pytest.raises(BadInput, match="does not say where"):
        import_dictionary(tmp_path, model=toy)
    assert import_dictionary(tmp_path, model=toy, site_in="resid_post.1").sites_out == ("blocks.1.hook_resid_post",)
    given = import_dictionary(tmp_path, model=toy, site_in="mlp_in.1", site_out="mlp_out.1")
    assert given.kind == "transcoder" and given.site_out == "blocks.1.mlp.hook_out"
