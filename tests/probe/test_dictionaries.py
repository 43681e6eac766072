"""Dictionaries: sparse paths equal the dense formula, folding is exact, storage refuses what does not belong."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from probe.artifacts.manifest import ModelStamp
from probe.dictionaries import (
    SAE,
    AffineMap,
    BatchTopK,
    Crosscoder,
    CrossLayerTranscoder,
    Dictionary,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    Sparsifier,
    Standardiser,
    TopK,
    Transcoder,
    load_dictionary,
    save_dictionary,
    sparsifier,
)
from probe.dictionaries.store import WEIGHTS
from probe.errors import BadInput, Unavailable

D_IN, D_DICT, D_OUT, K, ROWS = 12, 40, 7, 5, 33


def rows(n: int = ROWS, width: int = D_IN, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def filled(d: Dictionary, seed: int = 5) -> Dictionary:
    """The same dictionary with every weight random, so that no term can hide behind a zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in d.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 3)
        for threshold in d.buffers():
            threshold.fill_(0.2)
    return d.eval()


def every_kind() -> list[Dictionary]:
    parts = {"sparsifier": TopK(K)}
    ends = {"site_in": "a", "site_out": ("b", "c")}
    several = {"sites_in": ("a", "b"), "sites_out": ("c", "d")}
    return [
        filled(SAE(D_IN, D_DICT, **parts)),
        filled(Transcoder(D_IN, D_DICT, D_OUT, **parts)),
        filled(Transcoder(D_IN, D_DICT, (4, D_OUT), **ends, **parts)),
        filled(Transcoder(D_IN, D_DICT, D_OUT, skip=True, **parts)),
        *(filled(Transcoder(D_IN, D_DICT, D_OUT, skip=True, sparsifier=rule)) for rule in every_rule()),
        filled(Crosscoder((5, D_IN - 5), D_DICT, sparsifier=BatchTopK(K), sites=("a", "b"))),
        filled(CrossLayerTranscoder((5, D_IN - 5), D_DICT, (3, 4), sparsifier=TopK(K), **several)),
        filled(CrossLayerTranscoder((5, D_IN - 5), D_DICT, (3, 4), sparsifier=JumpReLU(K), **several)),
    ]


def every_rule() -> list[Sparsifier]:
    matryoshka = Matryoshka(BatchTopK(K), (10, 20))
    return [ReLU(), BatchTopK(K), JumpReLU(K), Gated(), matryoshka]


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dictionary", every_kind(), ids=lambda d: f"{d.kind}-{d.sparsifier.name}-{len(d.sites_out)}")
def test_training_path_equals_dense_autograd(dictionary: Dictionary, dtype: torch.dtype) -> None:
    d = dictionary.to(dtype)
    x, y = rows().to(dtype).requires_grad_(), rows(width=d.d_out, seed=9).to(dtype)
    gradients, outputs = [], []
    for recons in (lambda: d.run(x).recons, lambda: d(x).recons):
        d.zero_grad(), setattr(x, "grad", None)
        out = recons()
        (out - y).square().sum().backward()
        outputs.append(out.detach())
        gradients.append({**{n: torch.clone(p.grad) for n, p in d.named_parameters()}, "x": torch.clone(x.grad)})
    assert relative(*outputs) < 1e-5
    for name, sparse in gradients[0].items():
        assert relative(sparse, gradients[1][name]) < 1e-5, name
    assert d.run(x.detach()).code.l0().double().mean() > 1


def test_gradient_keeps_the_layout_of_the_encoder() -> None:
    d = Transcoder(D_IN, D_DICT, sparsifier=TopK(K), skip=True)
    (d.run(rows().float()).recons.square().sum()).backward()
    assert d.W_enc.grad is not None
    assert d.W_enc.grad.stride() == d.W_enc.stride() == (1, D_IN)


@pytest.mark.parametrize("dictionary", every_kind(), ids=lambda d: f"{d.kind}-{d.sparsifier.name}-{len(d.sites_out)}")
def test_code_and_dense_latents_agree_and_errors_add_up(dictionary: Dictionary) -> None:
    d, x = dictionary.float(), rows().float()
    out, code = d(x), d.run(x).code
    torch.testing.assert_close(code.dense(), out.latents)
    torch.testing.assert_close(out.pre_acts, d.pre_acts(x))
    assert torch.equal(code.l0(), (out.latents != 0).sum(-1))
    assert torch.equal(code.firings(), (out.latents != 0).sum(0))
    assert (out.latents >= 0).all()
    recons = d.decode(d.encode(x), x)
    error = rows(width=d.d_out, seed=4).float() - recons
    torch.testing.assert_close(recons + error, rows(width=d.d_out, seed=4).float())
    torch.testing.assert_close(recons, out.recons)
    assert d(x.view(3, 11, -1)).recons.shape == (3, 11, d.d_out)


@pytest.mark.parametrize("dictionary", every_kind(), ids=lambda d: f"{d.kind}-{d.sparsifier.name}-{len(d.sites_out)}")
def test_folding_is_exact_and_can_be_undone(dictionary: Dictionary) -> None:
    d = dictionary.double()
    x, y = 3 + 2 * rows(200), -5 + 0.3 * rows(200, d.d_out, 8)
    y = x if d.kind in ("sae", "crosscoder") else y
    scaling = Standardiser(*(v.double() for v in vars(Standardiser.fit(x, y, d.widths_in, d.widths_out)).values()))
    folded = scaling.fold(d)
    expected = d(scaling.inputs(x))
    torch.testing.assert_close(folded(x).recons, expected.recons * scaling.scale_out + scaling.mean_out)
    if len(d.sites_out) == 1:
        torch.testing.assert_close(folded(x).latents, expected.latents * scaling.scale_out[0])
        assert torch.equal(folded.W_dec, d.W_dec)
    assert torch.equal(folded(x).latents != 0, expected.latents != 0)
    assert folded.kind == d.kind
    back = scaling.unfold(folded)
    for name, weight in back.named_parameters():
        torch.testing.assert_close(weight, dict(d.named_parameters())[name], msg=name)


def test_kinds_follow_from_parts() -> None:
    kinds = [d.kind for d in every_kind()]
    assert kinds[:4] == ["sae", "transcoder", "transcoder", "skip_transcoder"]
    assert kinds[-3:] == ["crosscoder", "cross_layer_transcoder", "cross_layer_transcoder"]
    sae = SAE(D_IN, D_DICT, sparsifier=TopK(K))
    assert torch.equal(sae.W_enc, sae.W_dec.T)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(D_DICT))


def test_affine_map_finds_an_affine_map() -> None:
    x, W = 2 + rows(500), rows(D_OUT, D_IN, 1)
    y = x @ W.T + 3
    one = AffineMap(ridge=1e-9).fit([(x, y)])
    many = AffineMap(ridge=1e-9).fit(zip(x.split(77), y.split(77), strict=True))
    torch.testing.assert_close(one.weight_, W, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(one.predict(x), y, atol=1e-5, rtol=1e-6)
    torch.testing.assert_close(many.weight_, one.weight_)
    assert one.n_tokens_ == 500


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SAE(4, 8, sparsifier=TopK(9)), "at least 9 latents"),
        (lambda: TopK(0), "at least 1"),
        (lambda: SAE(0, 8, sparsifier=ReLU()), "at least 1"),
        (lambda: Transcoder(4, 8, sparsifier=ReLU(), site_in="a", site_out="a"), "Use SAE"),
        (lambda: sparsifier({"name": "topp"}), "topk"),
        (lambda: AffineMap().fit([]), "no tokens"),
        (lambda: Standardiser.fit(torch.ones(5, 2), torch.ones(5, 2)), "zero, infinite or NaN"),
        (lambda: Transcoder(4, 8, sparsifier=ReLU(), skip=True).decode(torch.ones(1, 8)), "decode\\(latents, x\\)"),
    ],
)
def test_bad_input_is_said(make, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        make()


@pytest.mark.parametrize("dictionary", every_kind(), ids=lambda d: f"{d.kind}-{d.sparsifier.name}-{len(d.sites_out)}")
def test_storage_round_trip(dictionary: Dictionary, tmp_path: Path) -> None:
    d = dictionary.float()
    save_dictionary(d, tmp_path / "d", config={"lr": 1}, facts={"fvu": 0.5}, extra={"metrics.jsonl": b"{}\n"})
    again = load_dictionary(tmp_path / "d")
    x = rows().float()
    assert torch.equal(again(x).recons, d(x).recons)
    assert again.kind == d.kind
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_text())
    assert manifest["kind"] == "dictionary"
    assert manifest["facts"]["fvu"] == 0.5
    assert manifest["config"] == {"lr": 1}
    from safetensors.torch import load_file

    shapes = {k: tuple(v.shape) for k, v in load_file(tmp_path / "d" / WEIGHTS).items()}
    if d.kind == "cross_layer_transcoder":
        return
    assert shapes["W_enc"] == (D_IN, D_DICT)
    assert shapes["W_dec"] == (D_DICT, d.d_out)
    assert shapes.get("W_skip", (d.d_out, D_IN)) == (d.d_out, D_IN)


def test_loading_by_name_and_damage(home: Path) -> None:
    from probe.artifacts.folder import place

    save_dictionary(every_kind()[0].float(), place("dictionary", "mine"))
    assert load_dictionary("mine").kind == "sae"
    with pytest.raises(BadInput, match="no dictionary 'other'"):
        load_dictionary("other")
    path = place("dictionary", "mine") / WEIGHTS
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(Unavailable, match="differs from its checksum"):
        load_dictionary("mine")


def test_nan_is_not_saved(tmp_path: Path) -> None:
    d = every_kind()[0].float()
    with torch.no_grad():
        d.b_dec[0] = float("nan")
    with pytest.raises(BadInput, match="b_dec holds NaN"):
        save_dictionary(d, tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_a_dictionary_of_another_model_width_or_layer_is_refused(toy, tmp_path: Path) -> None:
    from probe.model.load import stamp

    own = stamp(toy)

    def saved(name: str, width: int = 64, layer: int = 1, model: ModelStamp = own) -> Path:
        sites = {"site_in": f"blocks.{layer}.mlp.hook_in", "site_out": f"blocks.{layer}.mlp.hook_out"}
        save_dictionary(Transcoder(width, 8, sparsifier=TopK(2), **sites), tmp_path / name, model=model)
        return tmp_path / name

    assert load_dictionary(saved("good"), toy).kind == "transcoder"
    with pytest.raises(BadInput, match="was made from stranger"):
        load_dictionary(saved("model", model=ModelStamp("stranger", "0" * 64, own.tokenizer)), toy)
    with pytest.raises(BadInput, match=r"d_in 32, but mlp_in.1 is 64 wide"):
        load_dictionary(saved("width", width=32), toy)
    with pytest.raises(BadInput, match="asks for layer 9"):
        load_dictionary(saved("layer", layer=9), toy)
