"""Names of units by rule: planted units get the label that was planted, random ones none, and shuffled labels say nothing."""

import json
import types

import numpy as np
import pytest
import torch
from big_table import big_table
from scipy.sparse import csr_matrix

import probe
from circuits.faithfulness.metrics import auroc
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.features import labels_of, open_features, set_label
from probe.features.labels import MOST, add_labels, made_label
from probe.features.naming.concept import _best, concept_in
from probe.features.naming.config import LabelConfig, ReadFor
from probe.features.naming.firings import Firings, firings_of, live_units, thresholds
from probe.features.naming.judge import judge
from probe.features.naming.label_units import plan_name_units
from probe.features.naming.opened import require_examples
from probe.features.naming.pool import pool_of
from probe.features.naming.proposals import Material, weighted_pmi
from probe.features.naming.reading import Reading, reading_of
from probe.features.naming.record import NO_LABEL, UnitLabels
from probe.features.naming.scores import scored, shuffled_scores
from probe.features.naming.write_labels import write_labels
from probe.model.toy import native

WORDS = [
    " the",
    " of",
    " house",
    " river",
    " red",
    " blue",
    " green",
    " April",
    " May",
    " runs",
    " ran",
    "ning",
    ' "',
    '"',
    ".",
    ",",
]
WORDS += [f" {i}" for i in range(10)] + [f" {'Word' if i % 2 else 'word'}{i}" for i in range(38)]
DIGITS = range(16, 26)


def text(rows: int = 160, length: int = 64, seed: int = 0) -> Reading:
    """Random words: rows of one document each, the first token of every row special."""
    rng = np.random.default_rng(seed)
    special = np.zeros((rows, length), bool)
    special[:, 0] = True
    ids = np.where(special, WORDS.index("ning"), rng.integers(0, len(WORDS), (rows, length)))
    return Reading(ids, special, np.arange(rows), WORDS)


def truths(reading: Reading) -> dict[str, np.ndarray]:
    """Labels, and where each holds."""
    ids, before = reading.ids, reading.before
    whole = reading.after != WORDS.index("ning")  # " Mayning" is no month
    return {
        "on digits": np.isin(ids, DIGITS),
        "after ' the'": before == 0,
        "at position 0 of a row": reading.place == 0,
        "before ' house'": reading.after == 2,
        "on months": np.isin(ids, [7, 8]) & whole,
        "after digits": np.isin(before, DIGITS),
        "on colours": np.isin(ids, [4, 5, 6]) & whole,
    } | {f"on {WORDS[i]!r}": ids == i for i in range(26, 60)}


def planted(reading: Reading) -> dict[str, np.ndarray]:
    """Units by their label, and where each fires: at nine of ten tokens where it holds, and at a few others; one at random."""
    rng = np.random.default_rng(1)
    some = {
        name: where & (rng.random(reading.n) < 0.9) | (rng.random(reading.n) < 0.0005)
        for name, where in truths(reading).items()
    }
    return some | {NO_LABEL: rng.random(reading.n) < 0.03}


def material(reading: Reading, config: LabelConfig) -> Material:
    proposing = reading.halves(0)[0]
    return Material(reading, proposing, pool_of(reading, proposing, config), None, config)  # type: ignore[arg-type]


def fired(reading: Reading, units: dict[str, np.ndarray]) -> Firings:
    return Firings(csr_matrix(np.stack(list(units.values()), 1).astype(np.float32)), np.arange(len(units)))


def record(reading: Reading, units: dict[str, np.ndarray], config: LabelConfig) -> UnitLabels:
    given, firings = material(reading, config), fired(reading, units)
    judged = judge(given, list(config.rules), firings)
    return UnitLabels(
        table="made",
        units=firings.units,
        names=[f"L0F{i}" for i in firings.units],
        firings=firings.often_in(~given.proposing),
        rules=list(config.rules),
        **vars(judged),
        least=config.least,
        candidates=len(given.pool or ()),
        tokens=[int(given.proposing.sum()), int((~given.proposing).sum())],
        rare=0,
        left_out={},
    )


@pytest.fixture(scope="module")
def found() -> UnitLabels:
    reading = text()
    return record(reading, planted(reading), LabelConfig(rules=("pmi", "tokens"), lists=("colours: red, Blue, green",)))


def test_planted_units_get_the_label_that_was_planted_and_random_ones_none(found):
    reading = text()
    units, holds, other = planted(reading), truths(reading), reading.halves(0)[1]
    called = {row["unit"]: row for row in found.rows()}
    for i, label in enumerate(units):
        row = called[f"L0F{i}"]
        if label == NO_LABEL:
            assert (row["label"], row["by"], row["AUROC"]) == (NO_LABEL, "", None)
            continue
        assert found.texts["pmi"][i] == label and row["label"] != NO_LABEL
        assert found.auroc[0, i] == pytest.approx(auroc(holds[label][other].astype(float), units[label][other]))
        assert found.low[0, i] > 0.8
    assert found.texts["tokens"][1] == "after ' the'" and set(found.texts["tokens"][4][3:].split(", ")) == {
        "' April'",
        "' May'",
    }
    assert "No label fits 1." in found.summary() and f"{len(units) - 1} of {len(units)} units" in found.summary()


def test_labels_shuffled_among_units_are_at_a_half(found):
    assert abs(found.null_mean - 0.5) < 0.03 and np.abs(found.null - 0.5).max() < 0.03
    everyone = record(
        text(seed=3),
        {str(i): np.random.default_rng(i).random(text().n) < 0.02 for i in range(60)},
        LabelConfig(rules=("pmi", "tokens")),
    )
    assert (everyone.chosen >= 0).sum() == 0 and abs(everyone.null_mean - 0.5) < 0.03
    assert (
        np.nanmean(everyone.learned) > np.nanmean(everyone.auroc) + 0.01
    )  # the text that labels are made from flatters them


def test_a_score_is_the_area_under_the_curve_and_its_interval_that_of_resampled_documents():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(80), 50)
    holds, fires = (rng.random((len(group), 3)) < p for p in (0.2, 0.1))
    topic = rng.random(80)[group] < 0.3  # firings come together in documents
    fires[:, 0] = topic & holds[:, 0] & (rng.random(len(group)) < 0.8) | fires[:, 0] & topic
    which = np.array([0, 1, -1])
    got = scored(holds, which, fires, group)
    for i in (0, 1):
        assert got.auroc[i] == pytest.approx(auroc(holds[:, i].astype(float), fires[:, i]))
    assert np.isnan(got.auroc[2])
    draws = []
    for _ in range(1500):
        some = np.concatenate([np.arange(d * 50, d * 50 + 50) for d in rng.integers(0, 80, 80)])
        f, h = fires[some, 0], holds[some, 0]
        draws.append((1 + h[f].mean() - h[~f].mean()) / 2)
    low, high = np.percentile(draws, [0.5, 99.5])
    assert got.low[0] == pytest.approx(low, abs=0.02) and got.high[0] == pytest.approx(high, abs=0.02)
    few = scored(
        np.ones((4, 1), bool) & np.array([[1], [1], [0], [0]], bool),
        np.array([0]),
        np.array([[1], [1], [0], [0]], bool),
        np.arange(4),
    )
    assert few.auroc[0] == 1 and few.low[0] < 0.8  # two firings, both hit, are no certainty
    null = shuffled_scores(holds, np.array([0, 1, 2]), fires, rng)
    swapped = {
        (1 + holds[:, j][fires[:, i]].mean() - holds[:, j][~fires[:, i]].mean()) / 2
        for i in range(3)
        for j in range(3)
        if i != j
    }
    assert all(min(abs(v - s) for s in swapped) < 1e-5 for v in np.unique(null)) and null.shape == (20, 3)


def test_pmi_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    holds, seen = rng.random((500, 7)) < 0.2, rng.random((500, 4)) < 0.1
    seen[:, 0] = holds[:, 3]
    for weight in (0.2, 1.0):
        score = weighted_pmi(csr_matrix(holds.astype(np.float32)), seen, weight)
        for c in range(7):
            for u in range(4):
                both, often, fires = (holds[:, c] & seen[:, u]).sum(), holds[:, c].mean(), seen[:, u].sum()
                wanted = np.log(both / fires) - weight * np.log(often)
                assert score[c, u] == pytest.approx(wanted, rel=1e-5) or (
                    score[c, u] == -np.inf and (both < 3 or both / fires <= often)
                )
        assert score[:, 0].argmax() == 3


def test_halves_share_no_document_and_words_are_whole():
    reading = Reading(
        np.array([[9, 11, 0], [12, 2, 13]] * 8), np.zeros((16, 3), bool), np.repeat(np.arange(8), 2), WORDS
    )
    assert reading.words[:3] == ["", "running".replace("run", "runs"), "the"] and reading.begins[:3].tolist() == [
        True,
        False,
        True,
    ]
    first, second = reading.halves(0)
    assert first.sum() == second.sum() == 24 and not set(reading.group[first]) & set(reading.group[second])
    inside = {t: pool_holds(reading, t) for t in ("inside quotation marks", "at position 1 of a row", "after ' \"'")}
    assert inside["inside quotation marks"][:6].tolist() == [0, 0, 0, 0, 1, 0]
    assert inside["after ' \"'"][:6].tolist() == [0, 0, 0, 0, 1, 0]


def pool_holds(reading: Reading, text: str) -> np.ndarray:
    pool = pool_of(reading, np.ones(reading.n, bool), LabelConfig(occurrences=1))
    return pool.holds[:, pool.texts.index(text)].toarray().ravel().astype(int)


# On a model ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wired(tmp_path_factory):
    """A model of one layer whose neuron i fires at token i, at most 60 of them; its table, and a table of latents."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENWORK_HOME", str(tmp_path_factory.mktemp("home")))
        model = native(normalization_type=None, n_layers=1, d_model=64, d_mlp=64, act_fn="relu", n_heads=1, d_head=4)
        with torch.no_grad():
            for parameter in model.original_model.parameters():
                parameter.zero_()
            model.W_E.data.copy_(torch.eye(64))
            model.blocks[0].mlp.W_in.data.copy_(torch.eye(64))
            model.blocks[0].mlp.W_out.data.copy_(torch.eye(64).roll(1, 1))
            model.unembed.W_U.data.copy_(torch.eye(64))
            model.blocks[0].mlp.W_in.data[:, 60:] = 0
        rows = torch.tensor(np.random.default_rng(0).integers(1, 64, (64, 32)))
        from probe.text.tokens import TokenSet

        tokens = TokenSet(
            rows, torch.arange(64) // 2, [f"d{i}" for i in range(32)], torch.zeros(64, 32, dtype=torch.bool)
        )
        cache = probe.harvest(
            model, tokens, ["mlp_in.0", "mlp_post.0", "mlp_out.0"], place("cache", "c"), dtype="float32"
        )
        table = probe.build_features(model, 0, cache, place("features", "wired"))
        sae = probe.Transcoder(64, 32, sparsifier=probe.TopK(4), site_in="mlp_in.0", site_out="mlp_out.0")
        from probe.dictionaries import save_dictionary

        save_dictionary(sae, place("dictionary", "latents"), model=probe.stamp(model))
        loaded = probe.load_dictionary("latents", model)
        latents = probe.build_features(model, loaded, cache, place("features", "latents"))
        yield types.SimpleNamespace(model=model, table=table, latents=latents)


@pytest.mark.parametrize("which", ["table", "latents"])
def test_firings_are_those_that_the_table_counted(wired, which):
    table = getattr(wired, which)
    reading, units = reading_of(table, 10**6), live_units(table, None, 0)
    got = firings_of(wired.model, table, reading, units, ReadFor(share=1))
    assert got.often_in(np.ones(reading.n, bool)).tolist() == table.column("fired")[units].tolist()
    above = thresholds(table, units, 0.005)
    some = firings_of(wired.model, table, reading, units, ReadFor(share=0.005)).often_in(np.ones(reading.n, bool))
    assert ((above > 0) | (some == table.column("fired")[units])).all() and (some > 0).all()


def test_a_wired_model_is_named_as_it_was_wired(wired):
    folder = wired.table.folder
    set_label(folder, "L0N7", "seven, I think", author="ana")
    got = probe.name_units(wired.model, "wired", share=0.05, firings=5, occurrences=3)
    assert (
        len(got.units) == 59 and got.rare == 0 and len(set(got.names)) == 59
    )  # token 0 does not occur, neurons 60 on read nothing
    for i, unit in enumerate(got.units.tolist()):
        assert got.texts["pmi"][i] == got.texts["tokens"][i] == f"on '⟨id {unit}⟩'"
        assert got.texts["inputs"][i].startswith(f"on '⟨id {unit}⟩'") and got.texts["promoted"][i].startswith(
            f"before '⟨id {unit + 1}⟩'"
        )
    assert (got.auroc[0] == 1).all() and (got.chosen >= 0).all() and not got.fits[got.rules.index("promoted")].any()
    assert abs(got.null_mean - 0.5) < 0.03 and got.written >= 2 * 59
    table = open_features("wired")
    seven = table.labels[7]
    assert [one.author for one in seven][:2] == ["ana", "rule:pmi"] and seven[1].score == 1.0
    assert table.search(label="⟨id 12⟩").units == [12] and table.rows([7])[0]["label"] == "seven, I think"
    assert table.rows([12])[0]["label"] == "on '⟨id 12⟩'"
    assert type(got).load(got.save(place("result", "named"))).summary() == got.summary()
    probe.name_units(wired.model, "wired", share=0.05, firings=5, occurrences=3, rules=["promoted"], least=1)
    probe.name_units(wired.model, "wired", share=0.05, firings=5, pool=["positions"], rules=["pmi"])
    assert [one.author for one in labels_of(folder)[7]] == [
        "ana",
        "rule:tokens",
        "rule:inputs",
    ]  # what pmi said is gone
    with pytest.raises(BadInput, match="own"):
        set_label(folder, 7, "mine", author="rule:pmi")
    set_label(folder, 7, "", author="rule:tokens")  # taken away by hand
    assert [one.author for one in labels_of(folder)[7]] == ["ana", "rule:inputs"]


def test_a_concept_finds_the_unit_that_was_wired_for_it(wired):
    got = probe.units_for_concept(wired.model, "wired", "'⟨id 12⟩'", firings=5, k=5)
    assert got.names[0] == "L0N12" and got.auroc[0] == 1 and got.surely == 1 and got.null < 0.6
    assert got.rows()[0]["of its firings"] == 1 and "L0N12 fires best on '⟨id 12⟩'" in got.summary()
    assert type(got).load(got.save(place("result", "concept"))).rows() == got.rows()
    for record in (got, probe.name_units(wired.model, "wired", share=0.05, firings=5, write=False)):
        assert type(record.figure()).__name__ == "Figure" and record.panels()
    reading = text()
    units = planted(reading)
    half = reading.halves(0)[0]
    for concept, name in (
        ("digits", "on digits"),
        ("red, green, Blue", "on colours"),
        ("after ' the'", "after ' the'"),
    ):
        where = concept_in(reading, half, concept)[1]
        best, _, scores = _best(reading, half, where, fired(reading, units), 3)
        assert list(units)[best[0]] == name and scores.auroc[0] > 0.85
    with pytest.raises(BadInput, match="does not stand in both halves"):
        probe.units_for_concept(wired.model, "wired", "unicorn", firings=5)


def test_what_cannot_be_labelled_is_refused_with_a_remedy(wired, toy, home):
    ask = {"model": wired.model, "table": wired.table.folder}
    for change, said in (
        ({"pool": []}, "The pool of candidates is empty"),
        ({"rules": []}, "No rule is named"),
        ({"rules": ["tokens"], "lists": ["a: b"]}, "name the rule pmi too"),
        ({"lists": ["red, green"]}, "is no word list"),
        ({"lists": ["colours: red"]}, "No word of the list 'colours'"),
        ({"occurrences": 10**6, "pool": ["tokens"]}, "nothing of tokens occurs 1000000 times"),
        ({"firings": 10**6}, "No unit of wired fires 1000000 times"),
        ({"share": 0.0}, "no unit would fire"),
    ):
        with pytest.raises(BadInput, match=said):
            probe.name_units(**ask, **change)
    with pytest.raises(BadInput, match="but the loaded model is"):
        probe.name_units(toy, wired.table.folder)
    none = big_table("none", 5, with_examples=0, kind="neuron")
    table = open_features(none)
    with pytest.raises(BadInput, match="holds no examples"):
        require_examples(table)
    with pytest.raises(BadInput, match="must be at hand"):
        probe.name_units(wired.model, wired.latents.folder)  # in this home there is no such dictionary
    assert plan_name_units(wired.model, wired.table.folder).units == 59


def test_labels_of_others_stand_though_there_is_no_room(found, home):
    folder = big_table("full", len(found.units))

    add_labels(folder, {0: [(f"a{i}", made_label("x", f"a{i}")) for i in range(MOST)]})
    assert write_labels(folder, found) == int(found.fits[:, 1:].sum())
    assert len(labels_of(folder)[0]) == MOST and {one.author for one in labels_of(folder)[1]} <= {
        "rule:pmi",
        "rule:tokens",
    }


def test_the_command_labels_a_table_and_still_sets_one_label(home, capsys):
    import app.cli as door

    model = probe.load_model("toy")
    tokens = probe.tokenize(
        model, ["When Mary and John went to the store, John gave a drink to Mary."] * 16, context=16
    )
    cache = probe.harvest(model, tokens, ["mlp_post.1"], place("cache", "c"), dtype="float32")
    probe.build_features(model, 1, cache, place("features", "small"))
    assert door.run(["label", "small", "--units", "20", "--share", "0.1", "--firings", "2", "--json"]) == 0, (
        capsys.readouterr().err
    )
    told = json.loads(capsys.readouterr().out)
    assert told["table"] == "small" and len(told["units"]) <= 20 and told["written"] > 0
    assert door.run(["label", "small", "5", "dates", "--author", "ana"]) == 0
    assert labels_of(place("features", "small"))[5][0].author == "ana"
    assert door.run(["label", "small", "--dry-run"]) == 0 and "128 units" in capsys.readouterr().out
    assert door.run(["label", "small", "--pool", "none"]) != 0
