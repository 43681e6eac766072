"""Evaluations: exact dictionaries score perfectly, useless ones do not, and the counts behind each number are right."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_fvu import fvu

from probe.activations.cache import Cache
from probe.activations.harvest import harvest
from probe.dictionaries import SAE, CrossLayerTranscoder, Dictionary, TopK, Transcoder
from probe.errors import BadInput
from probe.evaluation.evaluate import (
    EvalReport,
    _training_means,
    by_position,
    cross_entropies,
    evaluate,
    evaluate_many,
    fit_affine,
)
from probe.evaluation.fvu import FVUByDocument
from probe.evaluation.metrics import kl_divergences, next_token_losses
from probe.evaluation.splice import Ablation, ByToken, choose_rows, losses
from probe.interventions.forward import capture
from probe.interventions.running import intervene
from probe.interventions.values import Splice
from probe.model.sites import mlp_in, mlp_out, resid_post
from probe.text.documents import Document
from probe.text.tokens import TokenSet, tokenize
from probe.training.pairs import CachePairs, TensorPairs
from probe.training.trainer import TrainConfig, train

SITES = {"site_in": mlp_in(1).name, "site_out": mlp_out(1).name}
WORDS = (
    "the",
    "clock",
    "counts",
    "wheels",
    "hands",
    "while",
    "people",
    "watch",
    "what",
    "time",
    "it",
    "is",
    "in",
    "Paris",
)


@pytest.fixture(scope="module")
def tokens(toy) -> TokenSet:
    rng = np.random.default_rng(0)
    documents = [Document(f"d{i}", " ".join(rng.choice(WORDS, 60))) for i in range(20)]
    return tokenize(toy, documents, context=32)


@pytest.fixture(scope="module")
def cache(toy, tokens: TokenSet, tmp_path_factory) -> Cache:
    folder = tmp_path_factory.mktemp("evals") / "cache"
    return harvest(toy, tokens, [mlp_in(1), mlp_out(1)], folder, dtype="float32")


def transcoder(d_dict: int = 96, k: int = 8) -> Dictionary:
    return Transcoder(64, d_dict, sparsifier=TopK(k), skip=True, **SITES)


@pytest.fixture(scope="module")
def trained(toy, cache: Cache, tmp_path_factory) -> Dictionary:
    config = TrainConfig(batch=64, epochs=30, checkpoint_every=10_000)
    return train(transcoder(), cache, config, tmp_path_factory.mktemp("evals") / "dictionary").dictionary


@pytest.fixture(scope="module")
def report(toy, cache: Cache, trained: Dictionary) -> EvalReport:
    return evaluate(toy, trained, cache, max_tokens=400)


def constant(cache: Cache, value: torch.Tensor) -> Dictionary:
    """A dictionary that answers `value` whatever it reads."""
    d = transcoder()
    with torch.no_grad():
        for weight in d.parameters():
            weight.zero_()
        d.b_dec.copy_(value)
    return d


@pytest.mark.slow
def test_training_and_judging_on_a_cache(report: EvalReport, cache: Cache, tokens: TokenSet) -> None:
    held_out = np.isin(tokens.doc.numpy(), cache.manifest.facts["held_out_documents"])
    assert report.n_documents == len(cache.manifest.facts["held_out_documents"]) == 2
    assert report.n_tokens == int((~tokens.special[held_out]).sum())
    assert 0 < report.fvu < 1
    assert 0 < report.l0 <= 8
    assert (
        len({report.ce, report.ce_spliced, report.ce_zero, report.ce_mean}) == 4
    )  # random weights: no order to expect
    assert report.errors["fvu"] > 0
    assert 0 < report.n_ce_tokens <= 400


def test_report_can_be_read_everywhere(report: EvalReport) -> None:
    json.dumps(report.to_dict(), allow_nan=False)
    assert "fvu_affine" in report.table()
    assert "ce_recovered_mean" in report._repr_html_()
    assert len(report.figure().data) == 2
    assert report.density_figure().data and report.position_figure().data
    assert set(report.convention) >= {"fvu", "ce", "dead_share"}


def test_an_untrained_dictionary_is_worse_than_the_affine_map(toy, cache: Cache) -> None:
    untrained = Transcoder(64, 96, sparsifier=TopK(8), **SITES)
    control = evaluate(toy, untrained, cache, max_tokens=100)
    assert control.fvu >= 1 > control.fvu_affine
    assert not control.beats_affine


def test_the_ablations_are_what_they_say(toy, cache: Cache) -> None:
    zero = evaluate(toy, constant(cache, torch.zeros(64)), cache, max_tokens=200)
    assert zero.ce_spliced == pytest.approx(zero.ce_zero, rel=1e-6)
    assert zero.ce_recovered_zero == pytest.approx(0, abs=1e-4)
    assert zero.dead_share == 1
    level = cache.rows(SITES["site_out"], cache.eligible("train")).mean(0)  # of the training documents
    mean = evaluate(toy, constant(cache, level), cache, max_tokens=200)
    assert mean.ce_spliced == pytest.approx(mean.ce_mean, rel=1e-6)
    assert mean.fvu == pytest.approx(1, abs=0.05)


def test_an_ablation_leaves_special_positions_alone(toy) -> None:
    site, after = mlp_out(1), resid_post(1)
    ids = toy.to_tokens("the clock counts")
    special = torch.zeros_like(ids, dtype=torch.bool)
    special[:, 0] = True
    clean = capture(toy, ids, [after])[after.name]
    with intervene(toy, [Ablation(site.name, 1e3, special)]):
        changed = capture(toy, ids, [after])[after.name]
    assert torch.equal(changed[:, 0], clean[:, 0])
    assert ((changed[:, 1:] - clean[:, 1:]).abs() > 100).all()


def test_rows_come_from_held_out_documents_only(tokens: TokenSet) -> None:
    rows = choose_rows(tokens, [3, 5], 10_000)
    assert set(tokens.doc[rows].tolist()) == {3, 5}
    few = choose_rows(tokens, [3, 5], 70)
    assert int((~tokens.special[few]).sum()) <= 70
    with pytest.raises(BadInput, match="two documents"):
        choose_rows(tokens, [], 100)


def test_document_sums_give_the_plain_fvu() -> None:
    y = 40 + torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    recons = y + 0.5 * y.flip(0) - 20
    documents = np.repeat(np.arange(6), 50)
    sums = FVUByDocument(2)
    for part in torch.arange(300).split(70):
        sums.update(y[part], (recons[part], y[part]), documents[part.numpy()])
    value, error = sums.fvu(0)
    assert value == pytest.approx(fvu(y, recons), rel=1e-9)
    assert 0 < error < value
    assert sums.fvu(1)[0] == 0


def test_cross_entropies_count_what_they_average() -> None:
    clean = np.array([[1.0, np.nan], [3.0, 5.0]])
    ce = {"clean": clean, "spliced": clean + 1, "zero": clean + 4, "mean": clean + 2}
    by_token = ByToken(ce, {"spliced": 0 * clean + 0.5})
    found = cross_entropies(by_token, np.array([0, 1]))
    assert found["ce"] == 3.0
    assert found["n_ce_tokens"] == 3
    assert found["ce_recovered_zero"] == pytest.approx(0.75)
    assert found["ce_recovered_mean"] == pytest.approx(0.5)
    assert found["errors"]["ce_recovered_zero"] == pytest.approx(0)
    assert (found["kl_spliced"], found["errors"]["kl_spliced"]) == (0.5, 0)
    assert by_position(by_token)["ce_zero"] == [6.0, 9.0]
    assert by_position(by_token)["n"] == [2, 1]
    alone = cross_entropies(by_token, np.array([0, 0]))
    assert math.isnan(alone["errors"]["ce"])


def test_shared_passes_give_what_whole_passes_give(toy, cache: Cache, tokens: TokenSet, trained: Dictionary) -> None:
    """The second implementation: every condition run by itself, from the embedding."""
    other = SAE(64, 32, sparsifier=TopK(4), site=mlp_out(2).name, seed=3)
    ids, special = tokens.tokens[:5], tokens.special[:5]
    means = {mlp_out(1).name: cache.mean(SITES["site_out"]), mlp_out(2).name: torch.randn(64)}
    found = losses(toy, [trained, other], ids, special, means, batch=2)
    counted = ~(special[:, :-1] | special[:, 1:])
    with torch.no_grad():
        clean = toy(ids)
    for d, one in zip((trained, other), found, strict=True):
        changes = {
            "spliced": Splice(d, keep=special),
            "spliced_bos": Splice(d),
            "zero": Ablation(d.site_out, 0.0, special),
            "mean": Ablation(d.site_out, means[d.site_out], special),
        }
        assert set(one.ce) == {*changes, "clean"} and set(one.kl) == set(changes)
        for name, change in changes.items():
            with torch.no_grad(), intervene(toy, [change]):
                logits = toy(ids)
            wanted = next_token_losses(logits, ids)[counted]
            torch.testing.assert_close(torch.from_numpy(one.ce[name])[counted], wanted, atol=2e-5, rtol=1e-5)
            kl = kl_divergences(clean[:, :-1], logits[:, :-1])[counted]
            torch.testing.assert_close(torch.from_numpy(one.kl[name])[counted], kl, atol=2e-5, rtol=1e-4)
            assert np.isnan(one.ce[name][~counted.numpy()]).all()


def test_all_sites_of_a_crosscoder_are_replaced_at_once(toy, tokens: TokenSet) -> None:
    sites = (mlp_out(1).name, resid_post(2).name)
    same = Dictionary([64, 64], 256, sparsifier=TopK(128), site_in=sites, site_out=sites)
    with torch.no_grad():
        eye = torch.eye(128)
        same.W_enc.copy_(torch.cat([eye, -eye], 1))
        same.W_dec.copy_(torch.cat([eye, -eye], 0))
    nothing = constant_for(sites)
    means = {site: torch.zeros(64) for site in sites}
    exact, zero = losses(toy, [same, nothing], tokens.tokens[:3], tokens.special[:3], means, batch=2)
    np.testing.assert_allclose(exact.ce["spliced"], exact.ce["clean"], atol=1e-5)
    for other in ("zero", "mean"):
        np.testing.assert_array_equal(zero.ce["spliced"], zero.ce[other])
    assert np.nanmax(np.abs(zero.ce["spliced"] - zero.ce["clean"])) > 0.1


def test_a_cross_layer_transcoder_is_spliced_from_the_untouched_run(toy, tokens: TokenSet) -> None:
    reads, writes = (mlp_in(1).name, mlp_in(2).name), (mlp_out(1).name, mlp_out(2).name)
    clt = CrossLayerTranscoder([64] * 2, 24, [64] * 2, sparsifier=TopK(4), sites_in=reads, sites_out=writes)
    with torch.no_grad():
        for part in clt.parts:
            torch.nn.init.normal_(part.W_dec, generator=torch.Generator().manual_seed(0))
    ids, special = tokens.tokens[:3], tokens.special[:3]
    found = losses(toy, [clt], ids, special, {s: torch.zeros(64) for s in writes})[0]
    clean = capture(toy, ids, reads)
    recons = clt(torch.cat([clean[s] for s in reads], -1)).recons.split(64, -1)
    with torch.no_grad(), intervene(toy, [Ablation(s, r, special) for s, r in zip(writes, recons, strict=True)]):
        wanted = next_token_losses(toy(ids), ids)
    counted = ~(special[:, :-1] | special[:, 1:])
    torch.testing.assert_close(torch.from_numpy(found.ce["spliced"])[counted], wanted[counted], atol=2e-5, rtol=1e-5)


def test_a_crosscoder_is_judged_on_a_cache(toy, cache: Cache) -> None:
    sites = tuple(SITES.values())
    report = evaluate(toy, constant_for(sites), cache, max_tokens=100)
    assert (report.kind, report.site_in) == ("crosscoder", " + ".join(sites))
    assert report.ce_spliced == pytest.approx(report.ce_zero) and report.fvu > 0.9 and report.dead_share == 1
    assert math.isnan(report.fvu_affine) and evaluate_many(toy, [], cache) == []


def constant_for(sites: tuple[str, ...]) -> Dictionary:
    """A crosscoder that answers zeros."""
    d = Dictionary([64] * len(sites), 8, sparsifier=TopK(2), site_in=sites, site_out=sites)
    with torch.no_grad():
        for weight in d.parameters():
            weight.zero_()
    return d


def test_many_at_once_are_judged_as_each_alone(toy, cache: Cache, trained: Dictionary) -> None:
    others = [trained, transcoder(40, 4), constant(cache, torch.zeros(64))]
    for one, alone in zip(
        evaluate_many(toy, others, cache, max_tokens=200),
        [evaluate(toy, d, cache, max_tokens=200) for d in others],
        strict=True,
    ):
        same, wanted = one.to_dict(), alone.to_dict()
        same.pop("seconds"), wanted.pop("seconds")
        assert same == wanted


def test_an_exact_dictionary_changes_nothing(toy, cache: Cache) -> None:
    same = SAE(64, 128, sparsifier=TopK(64), site=SITES["site_out"])  # x = relu(x) - relu(-x)
    with torch.no_grad():
        eye = torch.eye(64)
        same.W_enc.copy_(torch.cat([eye, -eye], 1))
        same.W_dec.copy_(torch.cat([eye, -eye], 0))
    report = evaluate(toy, same, cache, max_tokens=200)
    assert (report.fvu, report.l0) == (pytest.approx(0, abs=1e-12), 64)
    assert [report.explained_variance, report.shrinkage, report.norm_ratio, report.cosine, report.relative_bias] == (
        pytest.approx([1] * 5, abs=1e-6)
    )
    assert report.ce_spliced == pytest.approx(report.ce, abs=1e-6)
    assert report.ce_spliced_bos == pytest.approx(report.ce, abs=1e-6)
    assert report.kl_spliced == pytest.approx(0, abs=1e-6) and report.kl_zero > 1e-4
    assert report.ce_recovered_zero == pytest.approx(1, abs=1e-3) or not math.isfinite(report.ce_recovered_zero)


def test_another_text_is_reported_by_name(toy, cache: Cache, trained: Dictionary, tokens: TokenSet) -> None:
    report = evaluate(toy, trained, cache, texts={"sample:x": tokens}, max_tokens=200)
    other = evaluate(toy, trained, cache, tokens, max_tokens=200)
    assert report.texts["sample:x"]["ce_spliced"] == other.ce_spliced
    assert report.text == "held-out text of the cache"
    assert "ce_spliced on sample:x" in report.table()


def test_counts_and_curves(report: EvalReport) -> None:
    assert sum(report.density["counts"]) + report.density["dead"] == 96
    assert report.density["tokens"] == report.n_tokens
    curve = report.by_position
    assert curve["n"][0] == 0 and curve["ce"][0] is None  # what follows BOS is not counted
    total = sum(n * (v or 0) for n, v in zip(curve["n"], curve["kl_mean"], strict=True))
    assert total / sum(curve["n"]) == pytest.approx(report.kl_mean)


def test_affine_baseline_is_fitted_on_the_training_documents() -> None:
    x = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    y = x @ torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    y[360:] = 0
    affine = fit_affine(TensorPairs(x, y))
    torch.testing.assert_close(affine.predict(x[:360]), y[:360], atol=1e-2, rtol=1e-2)


def test_a_cache_without_the_site_is_refused(cache: Cache) -> None:
    other = Transcoder(64, 96, sparsifier=TopK(8), site_in=mlp_in(2).name, site_out=mlp_out(2).name)
    with pytest.raises(BadInput, match=r"does not hold mlp_in\.2"):
        CachePairs(cache, other.site_in, other.site_out)


def test_resume_from_a_cache_is_exact(cache: Cache, tmp_path: Path) -> None:
    from probe.artifacts.names import partial
    from probe.errors import Cancelled
    from probe.progress import Watched
    from probe.training.checkpoint import read_checkpoint

    config = TrainConfig(batch=64, epochs=3, checkpoint_every=5)
    whole = train(transcoder(), cache, config, tmp_path / "whole").dictionary
    watched = Watched(
        lambda snapshot: watched.cancel() if snapshot.stage == "train" and snapshot.done > 700 else None, 0.0
    )
    with pytest.raises(Cancelled):
        train(transcoder(), cache, config, tmp_path / "cut", progress=watched)
    assert read_checkpoint(partial(tmp_path / "cut")) is not None
    again = train(transcoder(), cache, config, tmp_path / "cut", resume=True).dictionary
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    from probe.artifacts.manifest import read_manifest

    assert read_manifest(tmp_path / "cut").model == cache.manifest.model


def test_mean_ablation_knows_the_training_documents_only(cache: Cache) -> None:
    site = SITES["site_out"]
    train = cache.eligible("train")
    assert len(train) < len(cache.eligible("all"))
    wanted = cache.rows(site, train).double().mean(0)
    torch.testing.assert_close(_training_means(cache, [site])[site], wanted, rtol=1e-9, atol=1e-12)
    assert (wanted - cache.mean(site)).abs().max() > 1e-4
