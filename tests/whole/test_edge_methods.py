"""The script that says how good edge attribution is: its samples, its correlations, and what it says of a curve."""

from types import SimpleNamespace

import numpy as np
import pytest

from circuits import eap, eap_ig, known_circuit
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.scores import EdgeScores
from circuits.faithfulness.curve import FaithfulnessCurve
from scripts.edge_methods import banded, correlations, even, exact_part, numbers, told

LAYOUT = Layout(inputs=["input"], heads=[4, 4, 4], kv_heads=[4, 4, 4], parallel=[False] * 3)
TOTAL = int(LAYOUT.edges.sum())


def scores(by_edge):
    by_pair, ends = np.asarray(by_edge, np.float32)[None], np.zeros(1)
    return EdgeScores(method="m", task="t", layout=LAYOUT, by_pair=by_pair, clean=ends, corrupted=ends, examples=[""])


def test_half_of_a_banded_sample_is_of_the_largest_tenth_and_the_rest_of_all_others_alike():
    size = np.random.default_rng(0).permutation(TOTAL) + 1.0
    some = banded({"EAP": scores(size), "EAP-IG": scores(size / 2)}, 36, np.random.default_rng(1))
    rank = np.argsort(np.argsort(size))[some]
    tenth = np.searchsorted(np.cumsum([len(b) for b in np.array_split(np.arange(TOTAL), 10)]), rank, side="right")
    assert np.bincount(tenth, minlength=10).tolist() == [2] * 9 + [18] and len(set(some)) == 36
    assert (
        len(set(even(TOTAL, 50, np.random.default_rng(0)))) == 50
        and len(even(TOTAL, 10**6, np.random.default_rng(0))) == TOTAL
    )


def test_correlations_by_hand():
    """A guess in the right order, one upside down, and one that is right by size alone."""
    truth = np.linspace(-1, 1, TOTAL) + 1e-3
    some = np.arange(0, TOTAL, 3)
    turned = truth * np.where(np.arange(TOTAL) % 2, 1, -1)
    found = correlations({"EAP": scores(truth**3), "EAP-IG": scores(-truth)}, scores(truth), some)
    assert found["EAP"]["spearman"] == pytest.approx(1) and found["EAP-IG"]["spearman"] == pytest.approx(-1)
    assert found["EAP-IG"]["spearman of sizes"] == pytest.approx(1) and found["edges"] == len(some)
    by_size = correlations({"EAP": scores(turned)}, scores(truth), some)["EAP"]
    assert by_size["spearman of sizes"] == pytest.approx(1) and abs(by_size["spearman"]) < 0.2
    assert found["EAP-IG"]["furthest off"][0][1:] == pytest.approx([-truth[some[-1]], truth[some[-1]]], abs=1e-3)


def test_a_curve_is_told_by_its_worst_size_below_half():
    shares = np.array([0.01, 0.1, 0.5, 1.0])

    def curve(f, random):
        values = np.tile(np.array(f, float)[:, None], 2)
        return FaithfulnessCurve(
            method="m",
            task="t",
            shares=shares,
            kept=np.arange(4),
            values=values,
            whole=np.ones(2),
            nothing=np.zeros(2),
            random=np.tile(np.array(random or [0] * 4, float)[None, :, None], (1, 1, 2)),
        )

    first = curve([0.2, 0.9, 0.7, 1], [0, 0, 0.9, 1])
    better = told(first, first.random_f)
    assert better["above every random one below half"] and better["keeps .8 from"] == 1.0
    assert not told(curve([0.2, 0.9, 0.9, 1], []), np.array([[0.1, 0, 0, 1], [0.3, 0, 0, 1]]))[
        "above every random one below half"
    ]
    assert told(curve([0.2, 0.9, 0.9, 1], []), first.random_f)["keeps .8 from"] == 0.1


def test_the_parts_run_on_a_toy():
    """On random weights: as many edges and sizes as were asked for, and the whole model is itself."""
    from probe.model.load import load_model

    asked = {"task": "greater-than", "seed": 0, "points": 2, "pairs": 2, "held_out": 2, "random": 1, "rule": "top"}
    given = SimpleNamespace(**asked, exact_pairs=1, edges=40, banded=20, part=["curves", "exact", "unseen", "rules"])
    found = numbers(load_model("toy"), given)
    assert (
        found["exact"]["pairs"] == 1
        and found["exact"]["even, clean"]["edges"] == 40
        and 15 <= found["exact"]["bands, both ends"]["edges"] <= 20
    )
    curves = found["curves"]
    assert set(curves) == {"random CMD", "EAP", "EAP-IG"} and "unseen" not in found
    assert curves["EAP"]["f"][1.0] == pytest.approx(1, abs=1e-3)
    small = found["rules"]["held out"]
    assert set(small) == {"EAP", "EAP-IG", "EAP-IG, 4 points", "EAP-IG, 8 points", "EAP-IG of the tested pairs"}
    assert all(len(ways) == 6 and set(ways["top"]) == {"0.01", "0.02", "0.05"} for ways in small.values())


@pytest.mark.parametrize("name", ["linear", "or-gate"])
def test_effects_at_both_ends_by_construction(name):
    """Of a linear model they are the same; an arm of an OR gate is not missed in the clean run and is enough in the corrupted
    one, so its effect there is twice what a path from one to the other says, and their mean is that."""
    known = known_circuit(name)
    both = {"EAP": eap(known.model, known.pairs), "EAP-IG": eap_ig(known.model, known.pairs, steps=20)}
    given = SimpleNamespace(exact_pairs=1, seed=0, edges=len(both["EAP"].edges), banded=10)
    found = exact_part(known.model, known.pairs, both, given)
    said = {
        end: {who: found[f"even, {end}"][who]["pearson"] for who in both} for end in ("clean", "restored", "both ends")
    }
    assert said["clean"]["EAP"] == pytest.approx(1, abs=1e-3) and said["both ends"]["EAP-IG"] == pytest.approx(
        1, abs=1e-3
    )
    if name == "linear":
        assert min(said["restored"].values()) == pytest.approx(1, abs=1e-3)
    else:
        assert said["restored"]["EAP"] < 0.9 and said["clean"]["EAP-IG"] < 0.9
