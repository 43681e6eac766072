"""Recipes and sweeps: what is made, that it equals what single trainings make, that the table says what the reports say."""

import json
import math
from pathlib import Path

import pytest
import torch
from harvests import token_set

from probe.activations.harvest import harvest
from probe.artifacts.folder import place
from probe.dictionaries import load_dictionary
from probe.errors import BadInput
from probe.evaluation.sweep import grid, plan_sweep, run_name, sweep
from probe.training.config import KINDS, RULES
from probe.training.recipes import Recipe, make, parse_rule
from probe.training.train_stored import train_by_name
from probe.training.trainer import TrainConfig, train

SITES = ["mlp_in.1", "mlp_out.1", "mlp_in.2", "mlp_out.2"]
CONFIG = TrainConfig(batch=32, epochs=1)


@pytest.fixture(scope="module")
def cache(toy, tmp_path_factory):
    return harvest(toy, token_set(), SITES, tmp_path_factory.mktemp("sweep") / "cache", dtype="float32")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES)
def test_every_kind_can_be_made_with_every_rule(cache, kind: str, rule: str) -> None:
    d = make(cache, Recipe(kind, f"{rule}:4", d_dict=32))
    assert d.kind == kind
    assert d.sparsifier.name == rule
    wide = {"crosscoder": 256, "cross_layer_transcoder": 128}
    assert (d.d_in, d.d_out) == (wide.get(kind, 64), wide.get(kind, 64))
    x = torch.randn(5, d.d_in)
    assert d(x).recons.shape == (5, d.d_out)


def test_sites_default_to_the_caches(cache) -> None:
    assert make(cache, Recipe("sae", d_dict=64)).site_out == "blocks.2.mlp.hook_out"
    d = make(cache, Recipe("transcoder", d_dict=64, sites_in=("mlp_in.1",), sites_out=("mlp_out.1", "mlp_out.2")))
    assert (d.sites_in, len(d.sites_out), d.d_out) == (("blocks.1.mlp.hook_in",), 2, 128)
    clt = make(cache, Recipe("cross_layer_transcoder", d_dict=32))
    assert clt.sites_in == ("blocks.1.mlp.hook_in", "blocks.2.mlp.hook_in")


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (lambda: Recipe("gan"), "kind is 'gan'; one of 'skip_transcoder', 'transcoder'"),
        (lambda: Recipe(rule="topp:3"), "no rule"),
        (lambda: Recipe(rule="topk:many"), "name and a number"),
        (lambda: Recipe(rule="topk:2.5"), "whole number"),
        (lambda: Recipe(rule="topk:inf"), "whole number"),
        (lambda: Recipe(rule="matryoshka:nan"), "whole number"),
        (lambda: Recipe(rule="topk:0"), "at least 1"),
        (lambda: Recipe(rule="relu:-1"), "0 or greater"),
    ],
)
def test_bad_recipes_are_refused_before_anything_is_opened(recipe, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        recipe()


def test_what_does_not_fit_the_cache_is_refused(cache) -> None:
    with pytest.raises(BadInput, match="at least 32 latents"):
        make(cache, Recipe(rule="topk:32", d_dict=16))
    with pytest.raises(BadInput, match="two layers or more"):
        make(cache, Recipe("cross_layer_transcoder", sites_in=("mlp_in.1",), sites_out=("mlp_out.1",)))
    with pytest.raises(BadInput):
        make(cache, Recipe("sae", sites_out=("mlp_out.3",)))
    for kind in ("sae", "transcoder", "skip_transcoder"):
        with pytest.raises(BadInput, match="read one site, but blocks.1.mlp.hook_in, blocks.2.mlp.hook_in were named"):
            make(cache, Recipe(kind, sites_in=("mlp_in.1", "mlp_in.2")))


def test_a_sweep_that_could_not_be_judged_is_refused_before_it_trains(toy, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    cache = harvest(toy, token_set(), SITES[:2], tmp_path / "caches" / "c", dtype="float32", held_out=0.0)
    with pytest.raises(BadInput, match="no documents apart"):
        sweep(cache, [Recipe("sae", "topk:4", 32)], CONFIG, model=toy)
    assert not (tmp_path / "dictionaries").exists()


def test_a_stream_beside_a_cache_is_refused() -> None:
    with pytest.raises(BadInput, match="reads no cache"):
        train_by_name(cache="c", live=True)


def test_rules_without_a_number_have_a_usual_one() -> None:
    assert parse_rule("relu", 8).config()["l1"] == 2.0
    assert parse_rule("topk", 64).config()["k"] == 32


@pytest.fixture(scope="module")
def swept(cache, toy, tmp_path_factory):
    """A sweep of four kinds and rules with two seeds, judged."""
    import os

    home = tmp_path_factory.mktemp("home")
    before, os.environ["OPENWORK_HOME"] = os.environ["OPENWORK_HOME"], str(home)
    try:
        recipes = grid(["sae", "skip_transcoder"], ["topk:4", "batchtopk:8"], [32], seeds=[0, 1])
        yield recipes, sweep(cache, recipes, CONFIG, model=toy, texts={"other": token_set(seed=5)}, max_tokens=60)
    finally:
        os.environ["OPENWORK_HOME"] = before


def test_a_sweep_equals_single_trainings(cache, swept, tmp_path: Path) -> None:
    from dataclasses import replace

    recipes, result = swept
    for recipe, entry in zip(recipes, result.entries, strict=True):
        alone = train(make(cache, recipe), cache, replace(CONFIG, seed=recipe.seed), tmp_path / entry.name).dictionary
        together = load_dictionary(entry.name)
        assert all(torch.equal(v, together.state_dict()[k]) for k, v in alone.state_dict().items()), entry.name


def test_the_table_says_what_the_reports_say(swept) -> None:
    recipes, result = swept
    assert len(result.rows()) == len(recipes) == 8
    assert all(row["fvu"] == entry.report.fvu for row, entry in zip(result.rows(), result.entries, strict=True))
    means = result.by_seed()
    assert len(means) == 4
    two = [row for row in result.rows() if (row["kind"], row["rule"]) == ("sae", "topk:4")]
    mean = next(row for row in means if (row["kind"], row["rule"]) == ("sae", "topk:4"))
    assert mean["seeds"] == 2
    assert mean["ce_spliced"] == pytest.approx((two[0]["ce_spliced"] + two[1]["ce_spliced"]) / 2)
    assert mean["fvu error"] == pytest.approx(abs(two[0]["fvu"] - two[1]["fvu"]) / 2)
    assert math.isfinite(mean["ce_spliced on other"])
    assert json.dumps(result.to_dict())
    assert "topk:4" in result._repr_html_()


def test_the_pareto_figure_has_a_line_a_kind_and_rule(swept) -> None:
    figure = swept[1].figure()
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == ["sae, batchtopk", "sae, topk", "skip transcoder, batchtopk", "skip transcoder, topk"]
    assert len(figure.data) == 3 * len(shown)  # FVU, cross-entropy here, cross-entropy on the other text


def test_a_sweep_is_taken_up_again(cache, home: Path) -> None:
    recipes = grid(["sae"], ["topk:4", "topk:8"], [32])
    first = sweep(cache, recipes[:1], CONFIG)
    with pytest.raises(BadInput, match="exists already"):
        sweep(cache, recipes, CONFIG)
    both = sweep(cache, recipes, CONFIG, resume=True)
    assert both.entries[0].training == first.entries[0].training
    assert place("dictionary", both.entries[1].name).is_dir()


def test_names_tell_recipes_and_settings_apart(cache) -> None:
    recipes = grid(["sae", "transcoder"], ["topk:4", "relu:1"], [16, 32], seeds=[0, 1])
    names = {run_name(r, config, "c") for r in recipes for config in (CONFIG, TrainConfig(batch=64))}
    assert len(names) == 2 * len(recipes)


def test_a_plan_adds_up(cache) -> None:
    recipes = grid(["sae"], ["topk:4"], [32], seeds=[0, 1])
    one, two = (plan_sweep(cache, recipes[:n], CONFIG) for n in (1, 2))
    assert two.parameters == 2 * one.parameters
    assert two.memory_bytes == 2 * one.memory_bytes
