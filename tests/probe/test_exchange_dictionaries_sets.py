"""circuit-tracer and Gemma Scope, whose own code is not at hand: against their formulas written here, both ways."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from exchanged import RESID, D, F, K, alike, filled, of_layer, random, sae, tracer, transcoder
from safetensors.torch import load_file, save_file
from torch import Tensor

from probe.dictionaries import BatchTopK, CrossLayerTranscoder, Gated, JumpReLU, ReLU, Sparsifier, TopK, load_dictionary
from probe.errors import BadInput
from probe.exchange import export_dictionary, import_dictionaries, import_dictionary, sniff, store

# circuit-tracer


@pytest.mark.parametrize("extra", [(), ("W_skip",), ("activation_function.threshold",)])
def test_a_set_of_circuit_tracer_is_read(extra: tuple[str, ...], tmp_path: Path) -> None:
    shapes = {"W_enc": (F, D), "W_dec": (F, D), "b_enc": (F,), "b_dec": (D,), "W_skip": (D, D)}
    files = []
    for layer in range(3):
        t = {name: random(*shape, seed=10 * layer + i) for i, (name, shape) in enumerate(shapes.items())}
        t["activation_function.threshold"] = random(F, seed=99).abs() + 0.1
        files.append({n: v for n, v in t.items() if n in ("W_enc", "W_dec", "b_enc", "b_dec", *extra)})
        save_file(files[-1], tmp_path / f"layer_{layer}.safetensors")
    hooks = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "hook_mlp_out"}
    config = {"model_name": "some/model", "model_kind": "transcoder_set", **hooks}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    found = list(import_dictionaries(tmp_path))
    assert sniff(tmp_path) == "circuit-tracer" and [f.name for f in found] == ["layer_0", "layer_1", "layer_2"]
    for layer, one in enumerate(found):
        assert one.dictionary.sites_in == (f"blocks.{layer}.mlp.hook_in",)
        assert (
            one.dictionary.sites_out == (f"blocks.{layer}.hook_mlp_out",) and one.origin["model_name"] == "some/model"
        )
        alike(one.dictionary, tracer(files[layer]))
    with pytest.raises(BadInput, match="3 dictionaries"):
        import_dictionary(tmp_path)
    assert import_dictionary(tmp_path, only=["layer_1"]).site_in == "blocks.1.mlp.hook_in"


RULES: dict[str, Callable[[], Sparsifier]] = {
    "relu": ReLU,
    "topk": lambda: TopK(K),
    "batchtopk": lambda: BatchTopK(K),
    "jumprelu": lambda: JumpReLU(8),
}


@pytest.mark.parametrize("rule", RULES)
def test_circuit_tracer_reads_our_sets(rule: str, tmp_path: Path) -> None:
    made = [of_layer(layer, RULES[rule](), skip=rule == "relu") for layer in range(3)]
    export_dictionary(made[::-1], tmp_path / "out", "circuit-tracer", model_name="some/model")
    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert config["model_kind"] == "transcoder_set" and config["feature_input_hook"] == "mlp.hook_in"
    assert config.get("activation", "relu") == ("topk" if rule == "topk" else "relu")
    for layer, back in enumerate(import_dictionaries(tmp_path / "out")):
        theirs = tracer(load_file(tmp_path / "out" / f"layer_{layer}.safetensors"), config.get("k"))
        alike(made[layer], theirs)
        alike(back.dictionary, theirs)
        assert back.dictionary.site_out == f"blocks.{layer}.mlp.hook_out"


def cross(t: list[dict[str, Tensor]], x: Tensor) -> tuple[Tensor, Tensor]:
    """A cross-layer transcoder as its decoders say: W_dec_l[f, i] is what latent f of layer l writes to layer l + i."""
    n = len(t)
    pre = torch.stack(
        [x[:, layer] @ t[layer][f"W_enc_{layer}"].T + t[layer][f"b_enc_{layer}"] for layer in range(n)], 1
    )
    level = torch.stack([t[layer].get(f"threshold_{layer}", torch.zeros(F)) for layer in range(n)])
    acts = pre * (pre > level)
    recons = torch.stack([t[layer][f"b_dec_{layer}"].expand(len(x), -1) for layer in range(n)], 1).clone()
    for source in range(n):
        for target in range(source, n):
            recons[:, target] += acts[:, source] @ t[source][f"W_dec_{source}"][:, target - source]
    return acts.flatten(1), recons.flatten(1)


@pytest.mark.parametrize("jumps", [False, True])
def test_cross_layer_transcoders_both_ways(jumps: bool, tmp_path: Path) -> None:
    n = 3
    sites = [[f"blocks.{layer}.{hook}" for layer in range(n)] for hook in ("hook_resid_mid", "mlp.hook_out")]
    rule = JumpReLU(8) if jumps else ReLU()
    made = CrossLayerTranscoder([D] * n, F, [D] * n, sparsifier=rule, sites_in=sites[0], sites_out=sites[1])
    filled(made, 4).eval()
    export_dictionary(made, tmp_path / "out", "circuit-tracer")
    names = [{p.name: p for p in (tmp_path / "out").glob(f"W_*_{layer}.safetensors")} for layer in range(n)]
    t = [{k: v for path in files.values() for k, v in load_file(path).items()} for files in names]
    assert t[0]["W_dec_0"].shape == (F, n, D) and t[2]["W_dec_2"].shape == (F, 1, D)
    x = random(32, n, D, seed=5) * 3
    acts, recons = cross(t, x)
    back = import_dictionary(tmp_path / "out")
    assert (
        back.kind == "cross_layer_transcoder" and back.sites_in == tuple(sites[0]) and back.sites_out == tuple(sites[1])
    )
    for ours_ in (made, back):
        torch.testing.assert_close(ours_.encode(x.flatten(1)), acts, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours_(x.flatten(1)).recons, recons, rtol=1e-5, atol=1e-5)
    saved = store(next(import_dictionaries(tmp_path / "out")), tmp_path / "stored")
    assert saved.facts["dictionary_kind"] == "cross_layer_transcoder"
    torch.testing.assert_close(load_dictionary(tmp_path / "stored")(x.flatten(1)).recons, recons, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: [of_layer(0, ReLU(), False), of_layer(2, ReLU(), False)], "every layer from 0"),
        (lambda: [of_layer(0, Gated(), False)], "no transcoder with the rule 'gated'"),
        (lambda: [of_layer(0, TopK(3), False), of_layer(1, TopK(4), False)], "one rule for all"),
        (lambda: [sae(ReLU())], "every layer from 0|transcoders that read"),
        (lambda: [transcoder(ReLU()), transcoder(ReLU())], "every layer from 0"),
    ],
)
def test_what_circuit_tracer_cannot_hold_is_refused(make: Callable, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=says):
        export_dictionary(make(), tmp_path / "out", "circuit-tracer")
    assert not list(tmp_path.iterdir())


# Gemma Scope


def test_gemma_scope_both_ways(tmp_path: Path) -> None:
    ours_ = sae(JumpReLU(8))
    export_dictionary(ours_, tmp_path / "gemma-scope-2b-pt-res" / "layer_3" / "width_16k", "gemma-scope")
    with np.load(tmp_path / "gemma-scope-2b-pt-res/layer_3/width_16k/params.npz", allow_pickle=False) as file:
        p = {name: torch.from_numpy(file[name]) for name in file.files}

    def theirs(x: Tensor) -> tuple[Tensor, Tensor]:
        pre = x @ p["W_enc"] + p["b_enc"]
        acts = (pre > p["threshold"]) * pre.relu()
        return acts, acts @ p["W_dec"] + p["b_dec"]

    back = import_dictionary(tmp_path)
    assert sniff(tmp_path) == "gemma-scope" and back.site_in == RESID
    alike(ours_, theirs)
    alike(back, theirs)
    alike(import_dictionary(tmp_path / "gemma-scope-2b-pt-res/layer_3/width_16k/params.npz"), theirs)


def test_gemma_scope_2_transcoders_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "transcoder_all" / "layer_5_width_16k_l0_small_affine"
    folder.mkdir(parents=True)
    shapes = {"w_enc": (D, F), "w_dec": (F, 9), "b_enc": (F,), "b_dec": (9,), "affine_skip_connection": (D, 9)}
    p = {name: random(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    p["threshold"] = random(F, seed=9).abs() + 0.1
    save_file(p, folder / "params.safetensors")

    def theirs(x: Tensor) -> tuple[Tensor, Tensor]:
        pre = x @ p["w_enc"] + p["b_enc"]
        acts = pre * (pre > p["threshold"])
        return acts, acts @ p["w_dec"] + p["b_dec"] + x @ p["affine_skip_connection"]

    back = import_dictionary(tmp_path)
    assert (back.kind, back.site_in, back.site_out) == (
        "skip_transcoder",
        "blocks.5.mlp.hook_in",
        "blocks.5.hook_mlp_out",
    )
    alike(back, theirs)
