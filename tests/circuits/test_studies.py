"""Studies: the rule at its borders, a model whose claims are known, parts kept, the catalogue, two circuits in small."""

import functools
import json
import string
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sample_study
import torch

import probe
from app.cli import run
from circuits.studies import (
    catalogue,
    digits,
    patched_layers,
    transcoders,
    two_circuits,
    two_circuits_transcoders,
    years_and_capitals,
)
from circuits.studies.claim import WORDS, Measured, Rule, Verdict, least_p, verdict_of
from circuits.studies.document import points, table_of
from circuits.studies.last_token import Task
from circuits.studies.record import StudyResult
from circuits.studies.running import end, plan_of, plan_study, run_study
from circuits.studies.study import QUICK, Bench, Found, Line, Lines, Scale, Study
from probe.artifacts.manifest import ModelStamp
from probe.artifacts.names import partial
from probe.errors import BadInput, Cancelled
from probe.model.toy import lookup_model
from probe.progress import Watched
from probe.show.panels import Figure, Rows
from probe.show.render import as_html, as_text
from probe.statistics import Interval

RULE = Rule(holds=0.5, in_part=0.2, alpha=0.01, least=4)
SMALL = Scale(sets=99)


def measured(mean, low, high, draws=99, reach=0, n=8):
    """A number beside `draws` control sets, of which `reach` lie exactly at it and the others below."""
    drawn = np.where(np.arange(draws) < reach, mean, mean - 1.0)
    return Measured(interval=Interval(mean, low, high), n=n, over="prompts", draws=drawn)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (measured(0.7, 0.5, 0.9), "holds"),  # just reached
        (measured(0.7, 0.4999, 0.9), "holds in part"),
        (measured(0.3, 0.2, 0.4), "holds in part"),
        (measured(0.3, 0.1999, 0.4), "cannot be told"),  # on both sides
        (measured(0.1, 0.0, 0.2), "cannot be told"),
        (measured(0.1, 0.0, 0.1999), "does not hold"),
        (measured(0.7, 0.5, 0.9, draws=98), "cannot be told"),  # 1/99 is above alpha
        (measured(0.1, 0.0, 0.1, draws=0), "does not hold"),  # no control could save it
        (measured(0.7, 0.5, 0.9, draws=199, reach=1), "holds"),  # p = 2/200 is alpha
        (measured(0.7, 0.5, 0.9, draws=199, reach=2), "does not hold"),
        (measured(0.7, 0.5, 0.9, n=3), "cannot be told"),
        (measured(0.7, np.nan, np.nan), "cannot be told"),
        (measured(np.nan, np.nan, np.nan), "cannot be told"),
        (None, "cannot be told"),
    ],
)
def test_the_rule_at_its_borders(found, word):
    assert verdict_of(RULE, found).word == word


def test_p_counts_the_sets_that_reach_as_far_and_cannot_fall_below_what_they_allow():
    assert measured(0.7, 0.5, 0.9).p == least_p(99) == 0.01
    assert measured(0.7, 0.5, 0.9, reach=3).p == 0.04
    assert np.isnan(replace(measured(0.7, 0.5, 0.9), draws=np.array([np.nan, 0.1])).p)
    with pytest.raises(BadInput, match="cannot decide"):
        Rule(holds=0.2, in_part=0.5)


def test_where_the_control_is_as_good_hardly_anything_holds():
    draw, said = np.random.default_rng(0), []
    for _ in range(200):  # the tested set is one of the random ones
        sets = draw.normal(1.0, 0.5, 200)
        said.append(verdict_of(RULE, measured_beside(sets)).word)
    assert said.count("does not hold") >= 194 and said.count("holds") <= 6


def measured_beside(sets):
    return Measured(interval=Interval(sets[0], 0.6, 2.0), n=8, over="prompts", draws=sets[1:])


@pytest.fixture(scope="module")
def wired():
    return lookup_model(sample_study.N_TOKENS)


@pytest.fixture(scope="module")
def result(wired) -> StudyResult:
    return run_study(wired, sample_study.STUDY, scale=SMALL)


def test_verdicts_of_a_model_whose_circuit_is_known(result):
    words = {o.claim.name: o.verdict.word for o in result.outcomes}
    assert words == {"own": "holds", "next": "does not hold", "head": "does not hold", "words": "cannot be told"}
    own = result.outcome("own").measured
    assert own.interval == Interval(1.0, 1.0, 1.0) and own.p == 0.01 and not own.draws.any()
    assert result.outcome("head").measured.interval.mean == 0.0
    assert "no single tokens" in result.outcome("words").verdict.why


def test_a_result_shows_itself_everywhere_and_comes_back_from_disk(result, tmp_path):
    kinds = [type(panel) for panel in result.panels()]
    assert kinds.count(Figure) == 1 and kinds.count(Rows) == 4
    assert "1 holds, 2 do not hold, 1 cannot be told" in result.summary()
    assert len(result.figure().data) == 3  # controls, and a word each of those that have a number
    html, words, page = as_html(result.panels()), as_text(result.panels()), result.markdown()
    for text in (html, words, page):
        assert (
            "does not hold" in text and "Holds if the whole interval reaches 0.5" in text.replace("&#x27;", "'")
        ) or text is words
    assert "**holds** | 1.00 (1.00 to 1.00)" in page and page.startswith("# A wired model")
    result.save(tmp_path / "r")
    found = StudyResult.load(tmp_path / "r")
    assert found.to_dict() == result.to_dict() and found.rows() == result.rows()
    assert json.loads((tmp_path / "r" / "report.json").read_text())["outcomes"][0]["claim"]["rule"]["holds"] == 0.5


def test_a_study_that_was_stopped_goes_on_with_what_is_done(wired, result, tmp_path, monkeypatch):
    folder, asked, runs = tmp_path / "r", sample_study.STUDY, sample_study._runs(SMALL)
    stopped = Watched(lambda snapshot: snapshot.done >= runs and stopped.cancel(), interval=0.0)
    with pytest.raises(Cancelled):
        run_study(wired, asked, scale=SMALL, folder=folder, progress=stopped)
    assert sorted(p.name for p in partial(folder).iterdir()) == ["asked.json", "own"]
    with pytest.raises(BadInput, match="--resume"):
        run_study(wired, asked, scale=SMALL, folder=folder)
    with pytest.raises(BadInput, match="begun with other amounts"):
        run_study(wired, asked, scale=Scale(sets=50), folder=folder, resume=True)
    eased = replace(asked, claims=[replace(c, rule=Rule(holds=0.1, in_part=0.0)) for c in asked.claims])
    with pytest.raises(BadInput, match="begun with other rules"):
        run_study(wired, eased, scale=SMALL, folder=folder, resume=True)
    counted = []
    again = replace(
        asked, parts=[replace(p, measure=lambda b, p=p: counted.append(p.name) or p.measure(b)) for p in asked.parts]
    )
    found = run_study(wired, again, scale=SMALL, folder=folder, resume=True)
    assert counted == ["next", "attention", "words"] and found.to_dict() == result.to_dict()
    (partial(folder) / "own" / "record.json").write_text("{")
    assert run_study(wired, again, scale=SMALL, folder=folder, resume=True).to_dict() == result.to_dict()
    assert counted[3:] == ["own"]
    end(folder)
    assert not partial(folder).exists()


def test_a_study_that_cannot_be_asked_at_all_is_refused(wired, tmp_path):
    none = Study(
        name="x", title="X", paper="", claims=sample_study.STUDY.claims[3:], parts=sample_study.STUDY.parts[3:]
    )
    with pytest.raises(BadInput, match="cannot be asked x: Its words"):
        run_study(wired, none, folder=tmp_path / "r")
    assert not partial(tmp_path / "r").exists()
    with pytest.raises(BadInput, match="no part that measures the claim"):
        Study(name="x", title="X", paper="", claims=sample_study.STUDY.claims, parts=sample_study.STUDY.parts[3:])


def test_the_catalogue_reads_what_python_makes_of_each_study():
    sample = next(catalogue.read(Path(sample_study.__file__), ""))
    pairs = [(one, one.study()) for one in catalogue.studies()] + [(sample, sample_study.STUDY)]
    for entry, asked in pairs:
        assert (entry.name, entry.title, entry.paper) == (asked.name, asked.title, asked.paper)
        assert entry.claims == {c.name: c.sentence for c in asked.claims} and entry.summary
        assert plan_of(asked, SMALL).runs > 0
    with pytest.raises(BadInput, match="Did you mean two-circuits"):
        catalogue.study_named("two-circuit")


def test_the_list_of_studies_needs_no_torch(capsys):
    line = "import sys; from app.cli import run; run(['study', '--list', '--json']); assert 'torch' not in sys.modules"
    said = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout
    (found,) = [one for one in json.loads(said) if one["name"] == "two-circuits"]
    assert set(found) == {"name", "title", "paper", "claims", "summary"} and len(found["claims"]) == 14


def test_a_plan_refuses_a_model_that_does_not_do_what_is_studied_as_the_run_does(home, capsys):
    said = []
    for more in (["--dry-run"], []):
        assert run(["study", "two-circuits", "--model", "toy", "--quick", *more]) == 2
        said.append(capsys.readouterr().err.strip().splitlines()[-1])
    assert said[0] == said[1] and "toy cannot be asked two-circuits" in said[0]


def test_every_plan_of_a_study_of_what_a_model_does_asks_it_first(toy, home):
    refused = {}
    for name in ("ioi", "greater-than", "arithmetic", "factual-recall", "two-circuits-transcoders"):
        with pytest.raises(BadInput, match=f"toy cannot be asked {name}: ") as planned:
            plan_study(toy, name, quick=True)
        refused[name] = str(planned.value)
    with pytest.raises(BadInput) as ran:
        run_study(toy, catalogue.study_named("ioi").study(), scale=QUICK)
    assert str(ran.value) == refused["ioi"]
    said = plan_study(toy, "prism", quick=True).summary()  # thousands of prompts tell that
    assert "no p falls below 0.05" in said and "one that does not is refused" in said


def test_the_command_says_what_is_wrong_before_the_model_is_there(home, capsys):
    assert run(["study", "two-circles"]) == 2 and "Did you mean two-circuits" in capsys.readouterr().err
    assert run(["study", "two-circuits", "--document", "x.pdf"]) == 2


# -- two circuits ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(toy, monkeypatch) -> Bench:
    """The toy, which can be asked both tasks in other words."""
    encode = functools.partial(toy.tokenizer.encode, add_special_tokens=False)
    letters = [c for c in string.ascii_letters if len(encode(" " + c)) == 2][:18]
    monkeypatch.setattr(years_and_capitals, "NOUNS", ("reign",))
    monkeypatch.setattr(years_and_capitals, "TRACED_YEARS", (("reign", 32), ("reign", 62)))
    monkeypatch.setattr(
        years_and_capitals, "year_prompt", lambda noun, start: f"{noun}: {start // 10} {start % 10} to:"
    )
    monkeypatch.setattr(years_and_capitals, "CAPITALS", {letter: letter for letter in letters})
    monkeypatch.setattr(
        years_and_capitals,
        "capitals",
        lambda model: {c: encode(c)[0] for c in letters},
    )
    return Bench(toy, Scale(sets=3, prompts=2), lambda amount: None)


def all_measured(study: Study, bench: Bench) -> dict[str, Found]:
    """What each part found, every claim with its number and its control sets."""
    found = {part.name: part.measure(bench) for part in study.parts}
    for claim in study.claims:
        one = found[claim.part].measured[claim.name]
        assert np.isfinite(one.interval.mean) and np.isfinite(one.draws).all() and len(one.draws) == 3
    return found


@pytest.mark.slow
def test_every_claim_of_two_circuits_is_measured(bench):
    row = all_measured(two_circuits.STUDY, bench)["greater-than-graphs"].tables[0].rows[0]
    assert row["direct, predicted"] == pytest.approx(row["direct, measured"], rel=1e-3, abs=1e-5)


@pytest.mark.slow
def test_every_claim_of_two_circuits_with_transcoders_is_measured(bench, home):
    with pytest.raises(BadInput, match="No transcoder of an MLP of toy is stored"):
        two_circuits_transcoders.STUDY.parts[0].measure(bench)
    for layer in (1, 2):
        transcoder(layer).save(home / "dictionaries" / f"t{layer}", model=bench.model)
    transcoder(1, seed=7).save(home / "dictionaries" / "other", model=ModelStamp("other", "0" * 32, "1" * 32))
    found = all_measured(two_circuits_transcoders.STUDY, bench)
    rows = {row["replaced"]: row["margin"] for row in found["greater-than-replaced"].tables[0].rows}
    assert list(rows) == ["nothing", "layer 1", "layer 2", "all"] and len(set(rows.values())) == 4
    row = found["capital-of-latents"].tables[1].rows[0]
    assert (
        row["direct, predicted"] == pytest.approx(row["direct, measured"], rel=1e-3, abs=1e-5) and "F" in row["units"]
    )


def transcoder(layer: int, seed: int = 0):
    """Random latents that write little."""
    found = probe.Dictionary(
        64, 32, sparsifier=probe.TopK(8), site_in=f"mlp_in.{layer}", site_out=f"mlp_out.{layer}", seed=seed
    )
    with torch.no_grad():
        found.W_dec.copy_(0.02 * torch.randn(32, 64, generator=torch.Generator().manual_seed(seed + 100)))
    return found


def test_rankings_share_what_is_first_in_both():
    one, other = torch.arange(40.0), torch.arange(40.0)
    other[[39, 38]] = -1.0
    assert transcoders.common(one, one, 10) == 1.0 and transcoders.common(one, other, 10) == 0.8
    assert transcoders.common(one, -one, 10) == 0.0
    draws = transcoders._by_chance([one] * 50, Bench(None, Scale(sets=50), lambda amount: None))
    assert draws.mean() == pytest.approx(10 / 40, abs=0.02)  # of ten drawn of forty, a quarter is among the first ten


def test_a_disordered_transcoder_writes_as_much_in_other_directions():
    one = transcoder(1)
    other = transcoders.disordered(one, np.random.default_rng(0))
    assert not torch.equal(one.W_dec, other.W_dec) and torch.equal(one.W_enc, other.W_enc)
    assert torch.equal(one.W_dec.norm(dim=1).sort().values, other.W_dec.norm(dim=1).sort().values)


def test_a_task_scores_what_its_logits_say(toy):
    task = Task("letters", toy, ["one: a", "one: b"], [[5], [6]], [[7, 8], [9]], 1)
    logits = torch.zeros(2, len(toy.tokenizer))
    logits[0, 5], logits[0, 7], logits[1, 9] = 3.0, 1.0, 2.0
    scores = task.scores(logits)
    assert scores.margin.tolist() == [2.5, -2.0] and scores.right.tolist() == [1, 0] and scores.wrong.tolist() == [0, 1]
    odds = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    assert scores.gap == pytest.approx([odds[0, 5] - odds[0, 7] - odds[0, 8], odds[1, 6] - odds[1, 9]], abs=1e-6)
    with pytest.raises(BadInput, match="equally many"):
        Task("letters", toy, ["one: a", "one: a b c"], [[5], [6]], [[7], [9]], 1)


def test_runs_that_start_at_a_layer_say_the_same(toy):
    task = Task("letters", toy, ["one: a", "one: b"], [[5], [6]], [[7, 8], [9]], 1)
    for edits in ([], [probe.Zero("L2H1"), probe.Zero("L3N5")]):
        with probe.intervene(toy, edits):
            whole = task.logits()
        with task.start_at(2), probe.intervene(toy, edits):
            assert torch.equal(task.logits(), whole)
    ran = []
    handle = toy.blocks[1].attn.register_forward_hook(lambda *_: ran.append(1))
    with task.start_at(2):
        task.logits()
    handle.remove()
    assert not ran


def test_random_heads_are_others_of_the_same_layers():
    draw, chosen = np.random.default_rng(0), [(0, 1), (0, 2), (3, 0)]
    for _ in range(50):
        found = patched_layers.others(chosen, 4, draw)
        assert [layer for layer, _ in found] == [0, 0, 3] and not set(found) & set(chosen) and len(set(found)) == 3
    assert patched_layers.others([(0, 0), (0, 1)], 2, draw) == []


def test_agreement_leaves_out_what_is_promoted_at_every_start():
    order = digits.order()
    constant = torch.arange(10.0).repeat(10, 1)
    assert digits.agreement(order + 5 * constant, order) == pytest.approx(1.0, abs=1e-5)
    assert digits.agreement(-order, order) == pytest.approx(-1.0, abs=1e-5)
    low, high = digits.resampled(order, order, resamples=50)
    assert low == pytest.approx(1.0, abs=1e-5) and high == pytest.approx(1.0, abs=1e-5)


def test_a_document_tells_a_picture_as_numbers():
    one = Lines(
        "Title", "layer", "share", [Line("a", [0, 1], [0.5, 1.0], [0, 0]), Line("b", [1, 2], [0.25, 0.0], [0, 0])]
    )
    assert points(one) == [
        {"layer": 0, "a": 0.5, "b": ""},
        {"layer": 1, "a": 1.0, "b": 0.25},
        {"layer": 2, "a": "", "b": 0.0},
    ]
    assert table_of(points(one)).splitlines()[2] == "| 0 | 0.5 |  |"


def test_words_of_verdicts_are_the_four():
    assert (
        set(WORDS) == {"holds", "holds in part", "does not hold", "cannot be told"}
        and Verdict("holds", "").word in WORDS
    )
