"""The suite on a model: readings and baselines are what they say, and the whole runs and reports."""

import json

import numpy as np
import pytest
import torch

from probe.activations.harvest import harvest
from probe.dictionaries import Dictionary, TopK, Transcoder
from probe.evaluation.evaluate import evaluate, reconstruction
from probe.evaluation.suite import SuiteConfig, SuiteReport, plan_suite, run_suite
from probe.evaluation.suite.absorption import decoder, without_latents
from probe.evaluation.suite.baselines import activations, budget_rows, random_weights, untrained_like
from probe.evaluation.suite.readings import read
from probe.evaluation.suite.spelling import spelling
from probe.interventions.forward import capture
from probe.model.sites import mlp_in, mlp_out
from probe.text.documents import corpus
from probe.text.labelled import labelled_text
from probe.text.tokens import tokenize
from probe.training.pairs import CachePairs, TensorPairs
from probe.training.trainer import TrainConfig, train

pytestmark = pytest.mark.slow  # the suite is run once for the file
SITES = {"site_in": mlp_in(1).name, "site_out": mlp_out(1).name}
SMALL = SuiteConfig(context=20, per_address=3, per_class=60, words=16, seeds=2, budget=600, epochs=1)


@pytest.fixture(scope="module")
def cache(toy, tmp_path_factory):
    rows = tokenize(toy, [d.text[:400] for d in list(corpus("sotu", seed=0))[:40]], context=32)
    return harvest(toy, rows, [mlp_in(1), mlp_out(1)], tmp_path_factory.mktemp("suite") / "cache", dtype="float32")


@pytest.fixture(scope="module")
def dictionary(toy, cache, tmp_path_factory) -> Dictionary:
    fresh = Transcoder(64, 96, sparsifier=TopK(8), skip=True, **SITES)
    folder = tmp_path_factory.mktemp("suite") / "dictionary"
    return train(fresh, cache, TrainConfig(batch=64, epochs=2), folder).dictionary


@pytest.fixture(scope="module")
def report(toy, cache, dictionary) -> SuiteReport:
    return run_suite(toy, dictionary, cache, SMALL)


def test_readings_are_means_over_spans(toy, dictionary) -> None:
    text = labelled_text(toy, context=20, per_class=40)
    chosen = np.r_[0:6, len(text.row) - 5 : len(text.row)]
    spans = tuple(s[chosen] for s in (text.row, text.first, text.last))
    found = read(toy, text.tokens, spans, [dictionary], batch=4)
    for i, (row, first, last) in enumerate(zip(*spans, strict=True)):
        values = capture(toy, text.tokens.tokens[row][None], SITES.values())
        x, y = (values[SITES[k]][0, first : last + 1] for k in ("site_in", "site_out"))
        np.testing.assert_allclose(found.inputs[i], x.mean(0), atol=1e-5)
        np.testing.assert_allclose(found.targets[i], y.mean(0), atol=1e-4)
        latents = dictionary.encode(x).detach().mean(0)
        np.testing.assert_allclose(found.latents[0][i].toarray()[0], latents, atol=1e-4)


def test_words_end_where_the_text_ends(toy) -> None:
    words = spelling(toy, per_letter=20)
    for i in (0, 50, len(words.words) - 1):
        ids = words.tokens.tokens[i, : words.last[i] + 1].tolist()
        assert toy.tokenizer.decode(ids, skip_special_tokens=True).endswith(f" {words.words[i]}")
        assert words.letters[words.letter[i]] == words.words[i][0]
        assert bool(words.tokens.special[i, words.last[i] + 1 :].all())
    assert 0.3 < words.test.mean() < 0.5 and len(words.letters) > 20


def test_latents_and_the_rest_make_the_reconstruction(dictionary) -> None:
    x = torch.randn(5, 64)
    latents = dictionary.encode(x)
    parts = latents @ decoder(dictionary) + torch.from_numpy(without_latents(dictionary, x.numpy(), chunk=2))
    torch.testing.assert_close(parts.float(), dictionary(x).recons, atol=1e-4, rtol=1e-4)


def test_shuffled_weights_are_the_same_numbers_elsewhere_and_come_back(toy) -> None:
    ids = torch.arange(3, 15)[None]
    clean = toy(ids)
    before = {n: w.detach().clone() for n, w in toy.named_parameters()}
    with random_weights(toy, seed=1):
        assert (toy(ids) - clean).abs().max() > 0.1
        for name, weight in toy.named_parameters():
            assert torch.equal(weight.flatten().sort().values, before[name].flatten().sort().values)
    assert all(torch.equal(w, before[n]) for n, w in toy.named_parameters())
    assert torch.equal(toy(ids), clean)


def test_an_untrained_dictionary_has_the_same_shape_and_sparsity(cache, dictionary) -> None:
    pairs = CachePairs(cache, *SITES.values())
    fresh = untrained_like(dictionary, 5.2, pairs)
    found = reconstruction([fresh], None, pairs)[0]
    assert found["l0"] == pytest.approx(5, abs=0.3) and found["fvu"] > 0.9
    assert (fresh.d_in, fresh.d_dict, fresh.d_out, fresh.kind) == (64, 96, 64, "skip_transcoder")


def test_the_budget_takes_whole_rows_and_keeps_held_out_documents_apart(toy, cache, dictionary) -> None:
    tokens, held = cache.tokens(), cache.manifest.facts["held_out_documents"]
    rows, n = budget_rows(tokens, held, 640)
    assert n == 20 and not np.isin(tokens.doc[rows[:n]], held).any() and np.isin(tokens.doc[rows[n:]], held).all()
    pairs = activations(toy, tokens, rows, n, dictionary, batch=7)
    assert isinstance(pairs, TensorPairs) and pairs.n_tokens == int((~tokens.special[rows[:n]]).sum())
    index = int(rows[0]) * tokens.context + 1
    torch.testing.assert_close(pairs.inputs[0], cache.rows(SITES["site_in"], [index])[0])


def test_the_suite_reports_every_number_beside_its_baselines(report: SuiteReport) -> None:
    rows = {r["measure"]: r for r in report.rows()}
    subjects = {"dictionary", "untrained", "activations", "affine map", "same budget", "random weights"}
    assert set(rows["fvu"]) == {"measure", *subjects}
    for measure in ("probing, 1 unit", "probing, 16 units", "letter F1 of main latents", "absorption fraction", "fvu"):
        for subject in subjects - {"activations", "affine map"}:
            assert rows[measure][subject] is not None, (measure, subject)
    found = {p["task"]: p["accuracy"] for p in report.probing if p["subject"] == "activations" and p["k"] == 0}
    assert set(found) <= set(report.tasks) and max(found.values()) > 0.62
    assert rows["fvu"]["dictionary"] < rows["fvu"]["untrained"]
    assert 0.4 < rows["probing, 1 unit"]["untrained"] < 0.8
    assert 0 < report.value("probing, 1 unit, error") < 0.1


def test_it_can_be_read_everywhere(report: SuiteReport) -> None:
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["settings"]["budget"] == 600 and set(plain["tasks"]) >= {"century", "quoted"}
    assert "absorption fraction" in report.table() and "untrained" in report._repr_html_()
    assert len(report.figure().data) == 10
    assert plain["summary"] == report.measures
    assert f"fvu of dictionary {report.value('fvu'):.3g}, untrained" in report.summary()
    assert "SCR and TPP" in report.convention["left out"]


def test_it_is_repeatable_and_leaves_the_model_alone(toy, cache, dictionary, report: SuiteReport) -> None:
    again = run_suite(toy, dictionary, cache, SMALL, known=evaluate(toy, dictionary, cache, max_tokens=50))
    assert again.measures == report.measures
    plan = plan_suite(toy, dictionary, SMALL)
    assert plan.tokens_trained == 1200 and plan.memory_bytes > 0
