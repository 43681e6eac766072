"""What dictionaries learn: planted truths are found, sparsity lands on its target, dead latents come back."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from harvests import SITES, token_set
from plain_fvu import fvu
from torch import Tensor
from trainings import SMALL, sparse_sums, stop_here, toy_pairs, unit_rows, weights

from probe.activations.harvest import harvest
from probe.dictionaries import (
    SAE,
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
)
from probe.dictionaries.dead import willing
from probe.errors import BadInput, OpenworkError
from probe.model.toy import toy_model
from probe.training.pairs import JoinedPairs, TensorPairs
from probe.training.step import Training
from probe.training.trainer import Run, TrainConfig, train, train_together

RULES = [TopK(4), BatchTopK(4), JumpReLU(4), ReLU(2.0), Gated(2.0), Matryoshka(BatchTopK(4), (8, 20))]


def name(rule: Sparsifier) -> str:
    return rule.name


def l0(d: Dictionary, x: Tensor) -> float:
    return float((d.encode(x) != 0).sum(1).double().mean())


def found(atoms: Tensor, d: Dictionary) -> float:
    """Share of atoms that some decoder row matches with a cosine of at least 0.9."""
    cosine = atoms @ torch.nn.functional.normalize(d.W_dec, dim=1).T
    return float((cosine.amax(1) >= 0.9).double().mean())


@pytest.mark.slow
@pytest.mark.parametrize("rule", [*RULES[:3], Matryoshka(BatchTopK(4), (32, 64, 128))], ids=name)
def test_planted_atoms_are_found_and_l0_is_on_target(rule: Sparsifier, tmp_path: Path) -> None:
    atoms = unit_rows(128, 64, 3)
    x, _ = sparse_sums(atoms, 40_000, 4)
    config = TrainConfig(batch=256, epochs=6)
    d = train(SAE(64, 160, sparsifier=rule), TensorPairs(x, x), config, tmp_path / "d").dictionary
    held = x[-4000:]
    assert found(atoms, d) >= 0.95
    assert l0(d, held) == pytest.approx(4, rel=0.1)
    assert fvu(held, d(held).recons) < 0.1
    assert found(atoms, SAE(64, 160, sparsifier=rule)) < 0.05  # chance


@pytest.mark.slow
@pytest.mark.parametrize(("target", "start"), [(2.0, True), (8.0, True), (8.0, False)])
def test_jumprelu_reaches_any_target_from_any_start(target: float, start: bool, tmp_path: Path) -> None:
    x, _ = sparse_sums(unit_rows(128, 64, 3), 20_000, 4)
    config = TrainConfig(batch=256, epochs=4, start=start)
    trained = train(SAE(64, 160, sparsifier=JumpReLU(target)), TensorPairs(x, x), config, tmp_path / "d")
    before = trained.metrics[0]["l0"]
    assert abs(before / target - 1) > 0.3, "it began at the target, so nothing was shown"
    assert l0(trained.dictionary, x[-2000:]) == pytest.approx(target, rel=0.1)


@pytest.mark.slow
def test_a_stronger_l1_leaves_fewer_latents(tmp_path: Path) -> None:
    x, _ = sparse_sums(unit_rows(64, 32, 3), 6_000, 4)
    sizes = []
    for l1 in (0.5, 3.0):
        for rule in (ReLU(l1), Gated(l1)):
            config = TrainConfig(batch=100, epochs=12)
            result = train(SAE(32, 80, sparsifier=rule), TensorPairs(x, x), config, tmp_path / f"{rule.name}{l1}")
            sizes.append(l0(result.dictionary, x))
    assert sizes[2] < 0.5 * sizes[0]
    assert sizes[3] < 0.9 * sizes[1]  # a gate learns slower, its auxiliary loss holds against the penalty


def half_dead(aux: float = 1 / 32, **config) -> tuple[Training, Tensor]:
    """A training whose every second latent cannot fire, and its data."""
    x, _ = sparse_sums(unit_rows(64, 32, 3), 6_000, 6)
    d = SAE(32, 64, sparsifier=TopK(3))
    with torch.no_grad():
        d.b_enc[::2] = -50.0
    settings = TrainConfig(batch=250, start=False, dead_tokens=500, lr=1e-2, aux=aux, decay=0, **config)
    return Training(d, Standardiser.fit(x, x), settings, 100 * len(x)), x


def dead_after(training: Training, x: Tensor, passes: int) -> float:
    for _ in range(passes):
        for rows in x.split(250):
            training.step(rows, rows)
    return float(training.dead().double().mean())


@pytest.mark.slow
def test_auxk_brings_dead_latents_back_and_nothing_else_does() -> None:
    helped, x = half_dead()
    alone, _ = half_dead(aux=0)
    with torch.no_grad():
        for training in (helped, alone):
            training.dictionary.b_enc[::2] = -4.0
    assert dead_after(alone, x, 8) > 0.3
    assert dead_after(helped, x, 8) < 0.02


def test_auxk_trains_encoder_bias_and_decoder_of_dead_latents() -> None:
    training, x = half_dead()
    with torch.no_grad():
        training.dictionary.b_enc[::2] = -1.0  # silent by decree, but their pre-activations are not all negative
    training.silent[::2] = 10_000
    *_, loss = training._forward(training.scaling.inputs(x[:250]), training.scaling.targets(x[:250]))
    with_aux = torch.autograd.grad(loss, list(training.dictionary.parameters()))
    training.silent[::2] = 0
    *_, loss = training._forward(training.scaling.inputs(x[:250]), training.scaling.targets(x[:250]))
    without = torch.autograd.grad(loss, list(training.dictionary.parameters()))
    names = [n for n, _ in training.dictionary.named_parameters()]
    for which in ("W_enc", "b_enc", "W_dec"):
        difference = (with_aux[names.index(which)] - without[names.index(which)]).abs()
        per_latent = difference if difference.ndim == 1 else difference.sum(0 if which == "W_enc" else 1)
        assert (per_latent[::2] > 0).double().mean() > 0.9, which


def test_auxk_gradients_equal_the_dense_formula() -> None:
    d = SAE(12, 40, sparsifier=TopK(3)).double()
    x = torch.randn(30, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dead = torch.arange(40) % 2 == 0
    for k in (4, 100):
        pre = d.pre_acts(x)[:, dead]
        kept = pre if k > 20 else torch.zeros_like(pre).scatter(1, (i := pre.topk(k, 1).indices), pre.gather(1, i))
        kept = willing(kept)
        dense = (kept @ d.W_dec[dead]).square().sum()
        sparse = d.dead_reconstruction(x, dead, k).square().sum()
        parameters = [d.W_enc, d.b_enc, d.W_dec]
        for a, b in zip(torch.autograd.grad(sparse, parameters), torch.autograd.grad(dense, parameters), strict=True):
            torch.testing.assert_close(a, b)


def test_resampling_revives_latents_that_nothing_else_reaches() -> None:
    helped, x = half_dead(aux=0, resample_every=30)
    alone, _ = half_dead(aux=0)
    assert dead_after(alone, x, 6) == 0.5
    assert dead_after(helped, x, 6) < 0.1


def test_unit_decoder_stays_unit(tmp_path: Path) -> None:
    pairs = toy_pairs()
    training = Training(
        SAE(12, 40, sparsifier=TopK(4)),
        Standardiser.fit(pairs.inputs, pairs.inputs),
        TrainConfig(decoder="unit"),
        10_000,
    )
    for rows in pairs.inputs.split(100):
        training.step(rows, rows)
    torch.testing.assert_close(training.dictionary.W_dec.norm(dim=1), torch.ones(40))


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_every_rule_resumes_exactly(rule: Sparsifier, tmp_path: Path) -> None:
    config = replace(SMALL, dead_tokens=100, resample_every=4)

    def fresh() -> Dictionary:
        return Transcoder(12, 40, 8, sparsifier=rule, skip=True)

    whole = train(fresh(), toy_pairs(), config, tmp_path / "whole")
    stop_here(tmp_path / "cut", 10, fresh(), config)
    again = train(fresh(), toy_pairs(), config, tmp_path / "cut", resume=True)
    for key, weight in weights(whole.dictionary).items():
        assert torch.equal(weight, weights(again.dictionary)[key]), key


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_every_rule_is_opened_again_when_it_is_finished(rule: Sparsifier, tmp_path: Path) -> None:
    """Folding scales settings of some rules; the run is still the same."""
    first, again = (
        train(Transcoder(12, 40, 8, sparsifier=rule), toy_pairs(), SMALL, tmp_path / "d", resume=resume)
        for resume in (False, True)
    )
    assert torch.equal(first.dictionary.W_dec, again.dictionary.W_dec)
    assert first.dictionary.sparsifier.config() == again.dictionary.sparsifier.config()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("rule", RULES, ids=name)
def test_every_rule_refuses_numbers_that_are_not_finite(rule: Sparsifier, bad: float) -> None:
    """Four rows, so that the one infinite row is all that BatchTopK guesses its threshold from."""
    pairs = toy_pairs()
    training = Training(Transcoder(12, 40, 8, sparsifier=rule), pairs.standardiser(), SMALL, 1000)
    inputs = pairs.inputs[:4].clone()
    inputs[0, 0] = bad
    with pytest.raises(OpenworkError, match="check the activations"):
        training.step(inputs, pairs.targets[:4])


def some_runs(folder: Path) -> list[Run]:
    dictionaries = [Transcoder(12, 40, 8, sparsifier=rule, skip=skip) for rule in RULES[:3] for skip in (True, False)]
    configs = [replace(SMALL, lr=4e-3 if i % 2 else 2e-3, seed=i // 5) for i in range(6)]
    return [Run(d, folder / str(i), c) for i, (d, c) in enumerate(zip(dictionaries, configs, strict=True))]


@pytest.mark.slow
def test_several_trained_together_equal_each_trained_alone(tmp_path: Path) -> None:
    together = train_together(some_runs(tmp_path / "together"), toy_pairs())
    for run, result in zip(some_runs(tmp_path / "alone"), together, strict=True):
        alone = train(run.dictionary, toy_pairs(), run.config, run.folder)
        for key, weight in weights(alone.dictionary).items():
            assert torch.equal(weight, weights(result.dictionary)[key]), key


def test_several_resume_from_different_checkpoints(tmp_path: Path) -> None:
    """A kill between two checkpoints leaves some runs ahead of others."""
    runs = some_runs(tmp_path / "cut")[:2]
    for run, steps in zip(runs, (4, 10), strict=True):
        stop_here(run.folder, steps, run.dictionary, run.config)
    again = train_together(some_runs(tmp_path / "cut")[:2], toy_pairs(), resume=True)
    whole = train_together(some_runs(tmp_path / "whole")[:2], toy_pairs())
    for a, b in zip(again, whole, strict=True):
        assert all(torch.equal(w, weights(b.dictionary)[k]) for k, w in weights(a.dictionary).items())
        assert [line["step"] for line in a.metrics] == [line["step"] for line in b.metrics]


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    runs = some_runs(tmp_path)[:3]
    wild = replace(runs[1].config, lr=1e18, seed=runs[0].config.seed)
    runs[1] = replace(runs[1], config=wild)
    with pytest.raises(OpenworkError, match=r"1 of 3 trainings failed, the others are stored. 1: The loss became"):
        train_together(runs, toy_pairs())
    assert [run.folder.is_dir() for run in runs] == [True, False, True]
    alone = train(some_runs(tmp_path / "alone")[0].dictionary, toy_pairs(), runs[0].config, tmp_path / "alone" / "0")
    assert torch.equal(load_dictionary(runs[0].folder).W_dec, alone.dictionary.W_dec)


def test_two_dictionaries_cannot_share_a_folder(tmp_path: Path) -> None:
    runs = some_runs(tmp_path)
    with pytest.raises(BadInput, match="one folder"):
        train_together([runs[0], replace(runs[1], folder=runs[0].folder)], toy_pairs())


@pytest.mark.slow
def test_matryoshka_prefixes_reconstruct_alone(tmp_path: Path) -> None:
    x, _ = sparse_sums(unit_rows(64, 32, 3), 8_000, 4)
    scores = {}
    for rule in (BatchTopK(4), Matryoshka(BatchTopK(4), (16, 80))):
        config = TrainConfig(batch=250, epochs=4)
        d = train(SAE(32, 80, sparsifier=rule), TensorPairs(x, x), config, tmp_path / rule.name).dictionary
        prefix = d.run(x).code.band(0, 16).decode(d.W_dec) + d.b_dec
        scores[rule.name] = fvu(x, prefix)
    assert scores["matryoshka"] < 0.95 * scores["batchtopk"]


def layers(n: int = 8000) -> tuple[Tensor, Tensor]:
    """Two layers' inputs of 16 and outputs of 12: each layer's atoms write to its own output, the first's also to the second."""
    first, own0 = sparse_sums(unit_rows(24, 16, 1), n, 3, 1)
    second, own1 = sparse_sums(unit_rows(24, 16, 2), n, 3, 2)
    out0 = own0 @ unit_rows(24, 12, 3)
    out1 = own1 @ unit_rows(24, 12, 4) + own0 @ unit_rows(24, 12, 5)
    return torch.cat([first, second], 1), torch.cat([out0, out1], 1)


@pytest.mark.slow
def test_cross_layer_transcoder_explains_what_a_layer_alone_cannot(tmp_path: Path) -> None:
    x, y = layers()
    config = TrainConfig(batch=250, epochs=6)
    ends = {"sites_in": ("a", "b"), "sites_out": ("c", "d")}
    clt = CrossLayerTranscoder((16, 16), 40, (12, 12), sparsifier=TopK(4), **ends)
    trained = train(clt, TensorPairs(x, y), config, tmp_path / "clt").dictionary
    alone = train(
        Transcoder(16, 40, 12, sparsifier=TopK(8)), TensorPairs(x[:, 16:], y[:, 12:]), config, tmp_path / "one"
    ).dictionary
    both = fvu(y[-800:, 12:], trained(x[-800:]).recons[:, 12:])
    assert both < 0.35
    assert both < 0.7 * fvu(y[-800:, 12:], alone(x[-800:, 16:]).recons)
    again = load_dictionary(tmp_path / "clt")
    assert torch.equal(again(x[:50]).recons, trained(x[:50]).recons)


@pytest.mark.slow
def test_crosscoder_finds_atoms_that_two_sources_share(tmp_path: Path) -> None:
    _, strength = sparse_sums(unit_rows(40, 32, 1), 12_000, 3)
    here, there = unit_rows(40, 32, 7), unit_rows(40, 20, 8)
    x = torch.cat([5 * (strength @ here), 0.2 * (strength @ there) + 3], 1)
    d = Crosscoder((32, 20), 60, sparsifier=TopK(3), sites=("a", "b"))
    trained = train(d, TensorPairs(x, x), TrainConfig(batch=250, epochs=6), tmp_path / "d").dictionary
    match = (torch.nn.functional.normalize(trained.W_dec[:, :32], dim=1) @ here.T).amax(0)
    best = (torch.nn.functional.normalize(trained.W_dec[:, :32], dim=1) @ here.T).argmax(0)
    other = torch.nn.functional.cosine_similarity(trained.W_dec[best, 32:], there)
    assert (match > 0.9).double().mean() > 0.9
    assert (other > 0.8).double().mean() > 0.9


def test_joined_pairs_read_one_site_of_several_caches(toy, tmp_path: Path) -> None:
    twin = toy_model(seed=1)
    first, second = (harvest(m, token_set(), SITES, tmp_path / n) for m, n in ((toy, "a"), (twin, "b")))
    site = first.sites[1]
    pairs = JoinedPairs([(first, site), (second, site)])
    batch = next(iter(pairs.batches(32, seed=3)))
    one = next(iter(first.batches([site], 32, seed=3)))
    assert torch.equal(batch.inputs[:, :64], one.activations[0])
    assert torch.equal(batch.inputs[:, 64:], second.rows(site, one.indices))
    assert not torch.equal(batch.inputs[:, 64:], batch.inputs[:, :64])
    d = Crosscoder((64, 64), 80, sparsifier=TopK(4), sites=("a:mlp_out.2", "b:mlp_out.2"))
    assert train(d, pairs, TrainConfig(batch=16, epochs=1), tmp_path / "d").dictionary.kind == "crosscoder"
    other = harvest(toy, token_set(seed=1), SITES, tmp_path / "c")
    with pytest.raises(BadInput, match="not caches of the same tokens"):
        JoinedPairs([(first, site), (other, site)])


def test_bfloat16_products_train_float32_weights() -> None:
    pairs = toy_pairs()
    for rule in RULES[:3]:
        d = Transcoder(12, 40, 8, sparsifier=rule)
        training = Training(d, pairs.standardiser(), TrainConfig(precision="bfloat16"), 10_000)
        losses = [
            training.step(x, y) for _ in range(12) for x, y in zip(pairs.inputs.split(100), pairs.targets.split(100))
        ]
        assert losses[-1] < losses[0]
        assert d.W_enc.dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TrainConfig(decoder="long"), "decoder is 'long'"),
        (lambda: TrainConfig(aux=-1), "aux"),
        (lambda: Matryoshka(TopK(2), (8, 4)), "rising"),
        (lambda: SAE(4, 8, sparsifier=Matryoshka(TopK(2), (4, 9))), "prefix of 9"),
        (lambda: SAE(4, 8, sparsifier=JumpReLU(9)), "at least 9 latents"),
        (lambda: JumpReLU(0), "greater than 0"),
        (lambda: ReLU(-1), "l1 is -1"),
        (lambda: Crosscoder((4,), 8, sparsifier=TopK(2), sites=("a",)), "two sites or more"),
        (lambda: CrossLayerTranscoder((4, 4), 8, (4,), sparsifier=TopK(2), sites_in=("a", "b"), sites_out=("c",)), "as many"),
        (lambda: Transcoder(4, 8, (4, 4), sparsifier=TopK(2), site_out=("a",)), "2 widths for 1 sites"),
        (lambda: Crosscoder((4, 4), 8, sparsifier=TopK(2), sites=("a", "b")).site_in, "dictionaries of one"),
    ],
)  # fmt: skip
def test_bad_input_is_said(make, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        make()


def dense_jump(pre: Tensor, threshold: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
    """Latents and active marks whose gradients are those of the module's formulas, by straight-through sums."""
    active = ((pre > threshold) & (pre > 0)).double()
    kernel = ((pre - threshold).abs() < bandwidth / 2).double() / bandwidth
    step = active + (-kernel * threshold - (-kernel * threshold).detach())  # d step / d threshold = -kernel
    latents = pre * active + (-kernel * threshold.detach()) * (threshold - threshold.detach())
    return latents, step


def test_sparse_jumprelu_gradients_equal_the_dense_formula() -> None:
    d = Transcoder(12, 64, 9, sparsifier=JumpReLU(2.0, bandwidth=0.8), skip=True).double().train()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in d.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 3)
        d.sparsifier.threshold.copy_(1.9 + 0.3 * torch.rand(64, generator=generator, dtype=torch.float64))
    x = torch.randn(40, 12, generator=generator, dtype=torch.float64)
    y = torch.randn(40, 9, generator=generator, dtype=torch.float64)

    def of(recons: Tensor, mean_l0: Tensor) -> list[Tensor]:
        loss = (recons - y).square().mean() + d.sparsifier.strength * (mean_l0 / 2.0 - 1).square()
        return list(torch.autograd.grad(loss, list(d.parameters())))

    recons, code = d.run(x)
    assert hasattr(code, "where"), "the sparse path was not taken"
    assert 0.5 < float(code.l0().double().mean()) < 6
    latents, step = dense_jump(d.pre_acts(x), d.sparsifier.threshold, 0.8)
    dense = of(d.decode(latents, x), step.sum(1).mean())
    loss = (recons - y).square().mean() + d.penalty(code, recons, y)
    for (key, _), a, b in zip(
        d.named_parameters(), torch.autograd.grad(loss, list(d.parameters())), dense, strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-12, msg=key)
    near = (d.pre_acts(x) - d.sparsifier.threshold).abs() < 0.4
    assert (near & (d.pre_acts(x) < d.sparsifier.threshold)).any(), "no entry below its threshold was in reach"
