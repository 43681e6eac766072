"""Two prompts side by side: equal prompts differ nowhere; every number against a second way of computing it."""

import json

import numpy as np
import pytest
import torch
from tiny import tiny

from probe.comparison.pattern_distance import pattern_distances
from probe.comparison.prompts import compare_prompts
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.model.sites import Site
from probe.text.alignment import align
from probe.text.tokens import encode_prompt

A, B = "one two three four", "one two two five four"


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_equal_prompts_differ_nowhere(name):
    found = compare_prompts(tiny(name), A, A)
    assert found.kl.max() < 1e-6 and found.heads.max() == 0
    assert all(not row for row in found.units) and all(c.a == c.b for one in found.candidates for c in one)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_predictions_equal_the_models_own(name):
    model = tiny(name)
    found = compare_prompts(model, A, B, k=4)
    ids = [encode_prompt(model, text) for text in (A, B)]
    logs = [model(torch.tensor([one]))[0].double().log_softmax(-1).detach() for one in ids]
    for p, (i, j) in enumerate(found.alignment.pairs):
        kl = float((logs[0][i].exp() * (logs[0][i] - logs[1][j])).sum())
        assert found.kl[-1, p] == pytest.approx(kl, abs=1e-5)
        for c in found.candidates[p]:
            assert c.a == pytest.approx(float(logs[0][i, c.id].exp()), rel=1e-4)
            assert c.b == pytest.approx(float(logs[1][j, c.id].exp()), rel=1e-4)
        best = {int(logs[0][i].argmax()), int(logs[1][j].argmax())}
        assert best <= {c.id for c in found.candidates[p]}
    assert found.kl[-1, -1] > 0


def test_the_unit_that_moves_most_is_found_by_going_through_all():
    model = tiny("gpt2")
    found = compare_prompts(model, A, B, n_units=3)
    sites = [Site("mlp_post", i) for i in range(model.cfg.n_layers)]
    runs = [capture(model, torch.tensor([encode_prompt(model, text)]), sites) for text in (A, B)]
    i, j = found.alignment.pairs[-1]
    sizes = {}
    for layer, site in enumerate(sites):
        a, b = runs[0][site.name][0, i], runs[1][site.name][0, j]
        for unit in range(len(a)):
            wrote = (a[unit] - b[unit]) * model.blocks[layer].mlp.W_out[unit]
            sizes[(layer, unit)] = (float(wrote.norm()), float(a[unit]), float(b[unit]))
    best = sorted(sizes, key=lambda key: -sizes[key][0])[:3]
    rows = found.units[-1]
    assert [(u.layer, u.unit) for u in rows] == best
    assert [(u.moved, u.a, u.b) for u in rows] == [pytest.approx(sizes[key], rel=1e-4) for key in best]


def test_distance_of_patterns_by_hand():
    """Keys 0, 1 against 0, new, 1: the rows (.6, .4) and (.5, .3, .2) differ by (.1 + .3 + .2) / 2."""
    a, b = np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 3, 3))
    a[0, 0] = [[1, 0], [0.6, 0.4]]
    b[0, 0] = [[1, 0, 0], [0.2, 0.8, 0], [0.5, 0.3, 0.2]]
    found = pattern_distances(a, b, align([1, 2], [1, 9, 2]))
    assert found.shape == (1, 1, 2) and found[0, 0] == pytest.approx([0, 0.3])


def test_disjoint_attention_is_at_distance_one():
    a, b = np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 2, 2))
    a[0, 0], b[0, 0] = [[1, 0], [1, 0]], [[1, 0], [0, 1]]
    assert pattern_distances(a, b, align([1, 2], [1, 2]))[0, 0] == pytest.approx([0, 1])


def test_heads_of_the_record_are_ordered_and_leave_the_first_token_out():
    found = compare_prompts(tiny("llama"), A, B)
    rows = found.head_rows(k=3)
    assert [r["distance"] for r in rows] == sorted((r["distance"] for r in rows), reverse=True)
    best = rows[0]
    counted = [p for p, pair in enumerate(found.alignment.pairs) if pair != (0, 0)]
    assert best["distance"] == pytest.approx(found.heads[best["layer"], best["head"], counted].mean())


def test_the_record_is_json_and_has_a_picture():
    found = compare_prompts(tiny("gpt2"), A, B)
    assert json.loads(json.dumps(found.to_dict()))["pairs"]
    gaps = [i for i, c in enumerate(found.alignment.columns) if c.a is None or c.b is None]
    z = np.asarray(found.figure().data[0].z, dtype=float)
    assert z.shape == (len(found.layers), len(found.alignment.columns)) and gaps
    assert np.isnan(z[:, gaps]).all() and np.isfinite(np.delete(z, gaps, 1)).all()
    assert "<table" in found._repr_html_()


def test_an_empty_prompt_is_refused():
    with pytest.raises(BadInput):
        compare_prompts(tiny("gpt2"), A, "")
