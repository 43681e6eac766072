"""Dictionaries saved by one library and loaded by the other encode and decode alike: against the others' real classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
import pytest
import torch
from exchanged import MLP, OUT, RESID, D, F, K, X, alike, filled, sae, same, transcoder
from torch import Tensor, nn

from probe.dictionaries import BatchTopK, Gated, JumpReLU, Matryoshka, ReLU, Sparsifier, TopK
from probe.errors import BadInput
from probe.exchange import export_dictionary, import_dictionary, sniff

RULES: dict[str, Callable[[], Sparsifier]] = {
    "relu": ReLU,
    "topk": lambda: TopK(K),
    "batchtopk": lambda: BatchTopK(K),
    "jumprelu": lambda: JumpReLU(8),
    "gated": Gated,
    "matryoshka": lambda: Matryoshka(BatchTopK(K), [10, 20, F]),
}


# SAELens


def lens(module: Any) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    return lambda x: (module.encode(x), module(x))


SAE_CLASSES = {
    "standard": ("StandardSAE", {}),
    "topk": ("TopKSAE", {"k": K}),
    "topk weighted": ("TopKSAE", {"k": K, "rescale_acts_by_decoder_norm": True}),
    "jumprelu": ("JumpReLUSAE", {}),
    "gated": ("GatedSAE", {}),
}
TRANSCODERS = ("Transcoder", "SkipTranscoder", "JumpReLUTranscoder", "JumpReLUSkipTranscoder")


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("kind", SAE_CLASSES)
def test_saelens_saes_are_read(kind: str, centred: bool, tmp_path: Path) -> None:
    lib, (name, options) = peers.sae_lens(), SAE_CLASSES[kind]
    meta = lib.saes.sae.SAEMetadata(model_name="toy", hook_name=RESID)
    config = getattr(lib, f"{name}Config")(d_in=D, d_sae=F, apply_b_dec_to_input=centred, metadata=meta, **options)
    theirs = filled(getattr(lib, name)(config)).eval()
    theirs.save_model(tmp_path)
    ours = import_dictionary(tmp_path)
    assert sniff(tmp_path) == "saelens" and ours.site_in == ours.site_out == RESID and ours.kind == "sae"
    alike(ours, lens(theirs))


@pytest.mark.parametrize("name", TRANSCODERS)
def test_saelens_transcoders_are_read(name: str, tmp_path: Path) -> None:
    lib = peers.sae_lens()
    meta = lib.saes.sae.SAEMetadata(hook_name=MLP["site_in"], hook_name_out="blocks.2.hook_mlp_out")
    config = getattr(lib, f"{name}Config")(d_in=D, d_sae=F, d_out=OUT, apply_b_dec_to_input=False, metadata=meta)
    theirs = filled(getattr(lib, name)(config)).eval()
    theirs.save_model(tmp_path)
    ours = import_dictionary(tmp_path)
    assert ours.kind == ("skip_transcoder" if "Skip" in name else "transcoder")
    assert (ours.site_in, ours.site_out) == (MLP["site_in"], "blocks.2.hook_mlp_out")
    alike(ours, lens(theirs))


@pytest.mark.parametrize("rule", RULES)
def test_saelens_reads_our_saes(rule: str, tmp_path: Path) -> None:
    ours = sae(RULES[rule]())
    export_dictionary(ours, tmp_path / "out", "saelens", model_name="toy")
    theirs = peers.sae_lens().SAE.load_from_disk(tmp_path / "out").eval()
    assert theirs.cfg.metadata.hook_name == RESID and theirs.cfg.metadata.model_name == "toy"
    alike(ours, lens(theirs))
    alike(import_dictionary(tmp_path / "out"), lens(theirs))  # and the way back


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("rule", ["relu", "batchtopk", "jumprelu", "matryoshka"])
def test_saelens_reads_our_transcoders(rule: str, skip: bool, tmp_path: Path) -> None:
    ours = transcoder(RULES[rule](), skip)
    export_dictionary(ours, tmp_path / "out", "saelens")
    theirs = peers.sae_lens().SAE.load_from_disk(tmp_path / "out").eval()
    assert theirs.cfg.metadata.hook_name_out == MLP["site_out"]
    alike(ours, lens(theirs))
    back = import_dictionary(tmp_path / "out")
    assert (back.site_in, back.site_out, back.kind) == (ours.site_in, ours.site_out, ours.kind)


TRAINED = {
    "standard": ("StandardTrainingSAE", {}),
    "topk": ("TopKTrainingSAE", {"k": K}),
    "batchtopk": ("BatchTopKTrainingSAE", {"k": 5.5}),
    "batchtopk plain": ("BatchTopKTrainingSAE", {"k": 5.5, "rescale_acts_by_decoder_norm": False}),
    "matryoshka": ("MatryoshkaBatchTopKTrainingSAE", {"k": 5.5, "matryoshka_widths": [10, 20, F]}),
    "jumprelu": ("JumpReLUTrainingSAE", {}),
    "gated": ("GatedTrainingSAE", {}),
}


@pytest.mark.parametrize("normalise", ["none", "expected_average_only_in", "covariance_whitening"])
@pytest.mark.parametrize("kind", TRAINED)
def test_saelens_training_checkpoints_are_read_as_saelens_exports_them(
    kind: str, normalise: str, tmp_path: Path
) -> None:
    """What it folds into the model it writes for inference, we fold when we read the checkpoint."""
    lib, (name, options) = peers.sae_lens(), TRAINED[kind]
    config = getattr(lib, f"{name}Config")(d_in=D, d_sae=F, normalize_activations=normalise, **options)
    training = filled(getattr(lib, name)(config), 3)
    training.save_model(tmp_path / "checkpoint")
    from sae_lens.training.activation_scaler import ActivationScaler, ActivationWhitening

    scaler = ActivationScaler()
    if normalise == "expected_average_only_in":
        scaler.scaling_factor = 0.37
        training.fold_activation_norm_scaling_factor(0.37)
    elif normalise == "covariance_whitening":
        matrix = torch.randn(D, D, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
        mean = torch.linspace(-1, 1, D, dtype=torch.float64)
        scaler.whitening = ActivationWhitening(mean, matrix, torch.linalg.inv(matrix))
        training.fold_activation_whitening(mean, matrix, torch.linalg.inv(matrix))
    scaler.save(str(tmp_path / "checkpoint" / "activation_scaler.json"))
    training.save_inference_model(tmp_path / "inference")
    theirs = lib.SAE.load_from_disk(tmp_path / "inference").eval()
    ours = import_dictionary(tmp_path / "checkpoint")
    latents = theirs.encode(X).detach()
    torch.testing.assert_close(ours.encode(X), latents, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours(X).recons, theirs(X).detach(), rtol=1e-4, atol=1e-4)
    assert latents.count_nonzero() > 20
    if "batchtopk" in kind or kind == "matryoshka":
        assert isinstance(ours.sparsifier, Matryoshka if kind == "matryoshka" else BatchTopK)


def test_saelens_of_version_5_is_read(tmp_path: Path) -> None:
    lib = peers.sae_lens()
    theirs = filled(lib.TopKSAE(lib.TopKSAEConfig(d_in=D, d_sae=F, k=K))).eval()
    theirs.save_model(tmp_path)
    old = {
        "d_in": D,
        "d_sae": F,
        "dtype": "torch.float32",
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": K},
    }
    (tmp_path / "cfg.json").write_text(json.dumps({**old, "hook_point": RESID, "normalize_activations": "none"}))
    ours = import_dictionary(tmp_path)
    assert ours.site_in == RESID
    alike(ours, lens(lib.SAE.load_from_disk(tmp_path)))


@pytest.mark.parametrize("kind", ["layer_norm", "constant_norm_rescale", "expected_average_only_in"])
def test_normalisation_that_cannot_be_folded_is_refused(kind: str, tmp_path: Path) -> None:
    lib = peers.sae_lens()
    lib.StandardSAE(lib.StandardSAEConfig(d_in=D, d_sae=F, normalize_activations=kind)).save_model(tmp_path)
    with pytest.raises(BadInput, match="normalised token by token|multiplied by a constant"):
        import_dictionary(tmp_path)


def test_saelens_has_no_topk_transcoder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="SAELens has no transcoder with the rule 'topk'"):
        export_dictionary(transcoder(TopK(K)), tmp_path / "out", "saelens")
    assert not list(tmp_path.iterdir())


# sparsify


def coder(module: Any) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        values, indices, _ = module.encode(x)
        recons = module.decode(values, indices)
        skip = x @ module.W_skip.mT if module.W_skip is not None else 0
        return torch.zeros(len(x), F).scatter(1, indices, values), recons + skip

    return run


KINDS = {
    "sae": (False, False),
    "transcoder": (True, False),
    "skip_transcoder": (True, True),
    "sae with a skip": (False, True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sparsify_is_read(kind: str, tmp_path: Path) -> None:
    lib, (transcodes, skip) = peers.sparsify(), KINDS[kind]
    config = lib.SparseCoderConfig(num_latents=F, k=K, transcode=transcodes, skip_connection=skip)
    theirs = filled(lib.SparseCoder(D, config))
    theirs.save_to_disk(tmp_path / "layers.2.mlp")
    ours = import_dictionary(tmp_path)
    assert sniff(tmp_path) == "sparsify" and ours.kind == kind.split()[0]
    assert ours.site_out == MLP["site_out"] and ours.site_in == (MLP["site_in"] if transcodes else MLP["site_out"])
    alike(ours, coder(theirs))
    same(ours(X).recons, theirs(X).sae_out.detach())


@pytest.mark.parametrize("kind", list(KINDS)[:3])
def test_sparsify_reads_ours(kind: str, tmp_path: Path) -> None:
    transcodes, skip = KINDS[kind]
    ours = transcoder(TopK(K), skip, d_out=D) if transcodes else sae(TopK(K))
    written = export_dictionary(ours, tmp_path / "out", "sparsify")
    place = "layers.2.mlp" if transcodes else "layers.3"
    assert written == [f"{place}/cfg.json", f"{place}/sae.safetensors"]
    theirs = peers.sparsify().SparseCoder.load_many(str(tmp_path / "out"), local=True)[place]
    alike(ours, coder(theirs))
    back = import_dictionary(tmp_path / "out")
    assert (back.site_in, back.site_out, back.kind) == (ours.site_in, ours.site_out, ours.kind)
    alike(back, coder(theirs))


# dictionary_learning


def learned(module: Any) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    return lambda x: (module.encode(x), module.decode(module.encode(x)))


def class_of(name: str) -> Any:
    lib = peers.dictionary_learning()
    homes = (lib.dictionary, lib.trainers.top_k, lib.trainers.batch_top_k, lib.trainers.matryoshka_batch_top_k)
    return next(getattr(home, name) for home in homes if hasattr(home, name))


MADE = {
    "AutoEncoder": (D, F),
    "AutoEncoderNew": (D, F),
    "GatedAutoEncoder": (D, F),
    "JumpReluAutoEncoder": (D, F),
    "AutoEncoderTopK": (D, F, K),
    "BatchTopKSAE": (D, F, K),
    "MatryoshkaBatchTopKSAE": (D, F, K, [10, 10, 20]),
}


@pytest.mark.parametrize("name", MADE)
def test_dictionary_learning_is_read(name: str, tmp_path: Path) -> None:
    theirs: nn.Module = filled(class_of(name)(*MADE[name]))
    torch.save(theirs.state_dict(), tmp_path / "ae.pt")
    trainer = {"dict_class": name, "layer": 3, "submodule_name": "resid_post_layer_3", "lm_name": "toy"}
    (tmp_path / "config.json").write_text(json.dumps({"trainer": trainer}))
    ours = import_dictionary(tmp_path)
    assert sniff(tmp_path) == "dictionary-learning" and ours.site_in == RESID
    alike(ours, learned(theirs))


def test_a_backup_of_dictionary_learning_is_read_on_raw_activations(tmp_path: Path) -> None:
    theirs = filled(class_of("BatchTopKSAE")(D, F, K))
    backup = {"step": 3, "ae": {n: v.clone() for n, v in theirs.state_dict().items()}, "norm_factor": 2.5}
    torch.save(backup, tmp_path / "ae.pt")
    (tmp_path / "config.json").write_text(json.dumps({"trainer": {"dict_class": "BatchTopKSAE"}}))
    with torch.no_grad():
        theirs.scale_biases(2.5)  # what it does itself before it saves for good
    alike(import_dictionary(tmp_path), learned(theirs))


@pytest.mark.parametrize("rule", RULES)
def test_dictionary_learning_reads_ours(rule: str, tmp_path: Path) -> None:
    ours = sae(RULES[rule]())
    export_dictionary(ours, tmp_path / "out", "dictionary-learning")
    kind = json.loads((tmp_path / "out" / "config.json").read_text())["trainer"]["dict_class"]
    theirs = class_of(kind)(*MADE[kind])
    theirs.load_state_dict(torch.load(tmp_path / "out" / "ae.pt", weights_only=True))
    alike(ours, learned(theirs))
    back = import_dictionary(tmp_path / "out")
    assert back.sparsifier.name == ours.sparsifier.name and back.site_in == RESID
    alike(back, learned(theirs))
