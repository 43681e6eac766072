"""Sampling: the model's own probabilities, no dependence on batches or caching, and the same file after a kill."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tiny import tiny

from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput, Cancelled
from probe.model.continuing.texts import Texts
from probe.progress import Watched
from probe.text.documents import corpus
from probe.text.model_samples import TEXT, open_sample, plan_sample, sample_text
from probe.text.sampling import draw
from probe.text.tokens import tokenize


def ids_of(model, documents: range, length: int = 12, **options) -> list[list[int]]:
    return [ids for ids, _ in draw(model, documents, length, **options)]


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2"])
def test_keeping_keys_and_values_changes_nothing(name: str) -> None:
    model = tiny(name)
    drawn = list(draw(model, range(6), 12))
    for (ids, nats), (again, wanted) in zip(drawn, draw(Texts(model, cached=False), range(6), 12), strict=True):
        assert ids == again
        np.testing.assert_allclose(nats, wanted, rtol=1e-9)


def test_the_batch_changes_nothing() -> None:
    model = tiny("llama")
    model = Texts(model)
    whole = ids_of(model, range(9))
    assert whole == [ids for i in range(9) for ids in ids_of(model, range(i, i + 1))]
    assert whole == ids_of(model, range(4)) + ids_of(model, range(4, 9))
    assert whole != ids_of(model, range(9), seed=1)
    assert len({tuple(ids) for ids in whole}) == 9


def test_tokens_come_with_the_models_probabilities(toy) -> None:
    with torch.no_grad():
        wanted = toy(torch.tensor([[1]]))[0, -1].double()
    n = 4000
    for temperature in (1.0, 0.5):
        drawn = list(draw(toy, range(n), 1, temperature))
        surprise = {ids[0]: cost[0] for ids, cost in drawn if ids}
        np.testing.assert_allclose(list(surprise.values()), -wanted.log_softmax(0)[list(surprise)], atol=1e-4)
        found = np.bincount([ids[0] if ids else 2 for ids, _ in drawn], minlength=len(wanted)) / n
        p = (wanted / temperature).softmax(0).numpy()
        p[2] += p[0] + p[1]  # all special tokens end a document
        p[:2] = 0
        assert np.abs(found - p).sum() / 2 < 2 * np.sqrt(p * (1 - p) / n).sum() / 2


def test_a_killed_sample_is_continued_to_the_same_file(toy, home: Path) -> None:
    options = {"length": 10, "batch": 3, "seed": 5}
    whole = sample_text(toy, place("text", "whole"), 10, **options)
    watched = Watched(lambda s: watched.cancel() if s.done > 40 else None, 0.0)
    with pytest.raises(Cancelled):
        sample_text(toy, place("text", "cut"), 10, progress=watched, **options)
    assert not place("text", "cut").exists()
    with pytest.raises(BadInput, match="unfinished sample"):
        sample_text(toy, place("text", "cut"), 10, **options)
    with pytest.raises(BadInput, match="seed was 5 and is now 6"):
        sample_text(toy, place("text", "cut"), 10, resume=True, **{**options, "seed": 6})
    cut = sample_text(toy, place("text", "cut"), 10, resume=True, **options)
    assert (cut.folder / TEXT).read_bytes() == (whole.folder / TEXT).read_bytes()
    assert sorted(p.name for p in (home / "texts").iterdir()) == ["cut", "whole"]
    assert sample_text(toy, cut.folder, 10, resume=True, **options) == open_sample(cut.folder)
    with pytest.raises(BadInput, match="exists already"):
        sample_text(toy, cut.folder, 10, **options)


def test_a_sample_is_a_corpus(toy, home: Path) -> None:
    found = sample_text(toy, place("text", "own"), 6, length=20)
    rows = pq.read_table(found.folder / TEXT).to_pylist()
    assert set(rows[0]) == {"id", "text", "tokens"}
    assert [d.text for d in corpus("sample:own")] == [r["text"] for r in rows if r["text"].strip()]
    assert found.n_tokens == sum(len(r["tokens"]) for r in rows)
    assert 0 < found.nats_per_token < 2 * np.log(512)
    assert tokenize(toy, corpus("sample:own", seed=0), context=16).n_text > 0
    assert read_manifest(found.folder, "text").model is not None
    with pytest.raises(BadInput, match="openwork sample --name other"):
        corpus("sample:other")


def test_settings_that_cannot_be(toy, home: Path) -> None:
    for wrong in ({"temperature": 0.0}, {"length": 0}, {"seed": -1}, {"temperature": float("inf")}):
        with pytest.raises(BadInput, match="A sample needs"):
            sample_text(toy, place("text", "x"), 2, **wrong)
    with pytest.raises(BadInput, match="reads at most 512"):
        sample_text(toy, place("text", "x"), 2, length=512)
    assert not home.exists()
    plan = plan_sample(toy, 100, length=30, batch=8)
    assert plan.most_tokens == 3000 and plan.seconds > 0 and plan.memory_bytes > 0
