"""Blind studies: no text of an example before the reveal, one hypothesis for ever, and evidence that is what it says."""

import json
import re
import stat

import numpy as np
import pytest
import torch
from harvests import token_set

from app.cli import run
from circuits.blind.evidence import activations, hidden_prompts, labels, weights_evidence
from circuits.blind.making import new_study
from circuits.blind.study import EVIDENCE, HYPOTHESIS, guess, judge, open_study, reveal
from probe.activations.harvest import harvest
from probe.artifacts.folder import place
from probe.dictionaries import ReLU, Transcoder, save_dictionary
from probe.errors import BadInput, Unavailable
from probe.features import build_features
from probe.model.load import stamp
from probe.model.unit_names import UnitName

UNIT = 17
QUICK = {"prompts": 2, "k": 4, "length": 3, "branches": 4}


def words_of(model, evidence: dict) -> set[str]:
    """Every token text that the weights evidence shows."""
    found = set()

    def walk(value) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name in ("highest", "lowest"):
                    found.update(token for token, _ in inner)
                else:
                    walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(evidence)
    return found


@pytest.fixture(scope="module")
def planted(toy) -> list[int]:
    """Long tokens that the weights evidence of no study here names: if one is seen before a reveal, it came from the text."""
    shown = " ".join(words_of(toy, weights_evidence(toy, UnitName(2, "neuron", UNIT), [], 10)))
    texts = {i: toy.tokenizer.decode([i]) for i in range(3, len(toy.tokenizer))}
    chosen = [i for i, t in texts.items() if len(t.strip()) >= 5 and t.strip().isalpha() and t.strip() not in shown]
    assert len(chosen) >= 8
    return chosen[:8]


def table_of(toy, ids: list[int], name: str):
    """A feature table of layer 2's neurons over rows made of these tokens."""
    tokens = token_set(12)
    generator = torch.Generator().manual_seed(5)
    drawn = torch.tensor(ids)[torch.randint(len(ids), tokens.tokens.shape, generator=generator)]
    tokens.tokens[:] = torch.where(tokens.special, tokens.tokens, drawn)
    cache = harvest(toy, tokens, ["mlp_in.2", "mlp_out.2", "mlp_post.2"], place("cache", name), dtype="float32")
    return build_features(toy, 2, cache, place("features", name))


@pytest.fixture
def table(toy, home, planted):
    return table_of(toy, planted, "small")


def everything_shown(study) -> str:
    """All that a person or a program can see of a study before the reveal: JSON, page, tables, picture, files."""
    tables = "".join(f"{title}{rows}" for title, rows in study.tables())
    files = "".join(p.read_text() for p in study.folder.iterdir())
    return "".join([json.dumps(study.to_dict()), study._repr_html_(), tables, str(study.figure()), repr(study), files])


def test_no_text_leaks_before_the_reveal(toy, table, planted, capsys):
    words = [toy.tokenizer.decode([i]).strip() for i in planted]
    study = new_study(toy, table, UNIT, "one", **QUICK)
    assert run(["blind", "show", "one"]) == 0 and run(["blind", "show", "one", "--json"]) == 0
    assert run(["blind", "reveal", "one"]) == 2
    before = everything_shown(study) + "".join(capsys.readouterr())
    assert [w for w in words if w in before] == []
    assert not [d for d in ("document 0", "document 1") if d in before]
    study = guess("one", "nothing in particular")
    assert [w for w in words if w in everything_shown(study)] == []
    # The control: the same search finds the same words in what the reveal shows.
    after = json.dumps(reveal("one").to_dict())
    assert [w for w in words if w in after]


def test_the_evidence_is_the_same_for_other_words(toy, home, planted):
    """Non-interference: another text changes numbers only. What is said in words is identical, or a number of this study."""
    studies = [
        new_study(toy, table_of(toy, ids, name), UNIT, name, **QUICK)
        for name, ids in (("first", planted), ("second", list(range(60, 90))))
    ]
    assert studies[0].evidence["weights"] == studies[1].evidence["weights"]
    for study in studies:
        rest = {k: v for k, v in study.evidence.items() if k != "weights"}
        for text in strings(rest):
            assert re.fullmatch(PLAIN, text.strip("· ")), text


STOP = r"(L\d+[NFH]\d+@\d+(←\d+)?|(embed|position)@\d+ '#\d+'|L\d+ (attention|MLP)( post-norm)? bias@\d+)"
PLAIN = rf"#\d+|constant|rest|{STOP}( ← {STOP})*"


def strings(value) -> list[str]:
    """All strings in nested lists and dictionaries, keys apart."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [s for v in inner for s in strings(v)]


def test_the_hidden_prompts_are_the_strongest_examples(toy, table):
    """The activation at the end of each hidden prompt is the value the table gives; the paths explain just that."""
    study = new_study(toy, table, UNIT, "one", **QUICK)
    for example, circuit in zip(table.unit(UNIT).top, study.evidence["circuits"], strict=False):
        assert circuit["activations"][-1] == pytest.approx(example.value, rel=1e-4)
        assert circuit["tree"][0]["share"] == pytest.approx(example.value, rel=1e-4)
        assert len(circuit["tokens"]) == example.pos + 1 and circuit["residual"] < 1e-4
    assert study.evidence["statistics"]["strongest"] == pytest.approx([e.value for e in table.unit(UNIT).top])


def test_equal_tokens_have_equal_numbers(table):
    prompts = hidden_prompts(table, UNIT, 3)
    masked = labels(prompts)
    flat, shown = [t for p in prompts for t in p], [m for p in masked for m in p]
    assert len(set(zip(flat, shown, strict=True))) == len(set(flat)) == len(set(shown)) < len(flat)


def test_a_hypothesis_is_written_once(toy, table):
    study = new_study(toy, table, UNIT, "one", **QUICK)
    assert study.hypothesis is None and "study.guess" in study.next_step
    with pytest.raises(BadInput, match="empty"):
        study.guess("  ")
    first = study.guess("it fires at verbs")
    file = study.folder / HYPOTHESIS
    written = file.read_bytes()
    assert first.hypothesis.text == "it fires at verbs" and re.match(r"\d{4}-\d\d-\d\dT", first.hypothesis.time)
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    with pytest.raises(BadInput, match="is not changed"):
        study.guess("no, at nouns")
    from circuits.blind.study import _write_once

    with pytest.raises(BadInput, match="written already"):  # even where two processes pass the check at one time
        _write_once(file, {"text": "no, at nouns"})
    assert file.read_bytes() == written and not list(study.folder.glob(".*"))
    with pytest.raises(BadInput, match="not overwritten"):
        new_study(toy, table, UNIT, "one", **QUICK)


def test_the_order_is_kept(toy, table):
    study = new_study(toy, table, UNIT, "one", **QUICK)
    with pytest.raises(BadInput, match="before a hypothesis"):
        study.reveal()
    guess("one", "it fires at verbs")
    with pytest.raises(BadInput, match="after the text was seen"):
        judge("one", "right")
    seen = reveal("one")
    assert seen.hypothesis.text == "it fires at verbs" and len(seen.rows()) == len(table.unit(UNIT).top)
    time = open_study("one").revealed
    reveal("one")
    assert open_study("one").revealed == time
    with pytest.raises(BadInput, match="must be one of right"):
        judge("one", "perfect")
    done = judge("one", "wrong", "nouns")
    assert (done.verdict.grade, done.verdict.note, done.next_step) == ("wrong", "nouns", "Finished.")
    with pytest.raises(BadInput, match="A verdict was given"):
        judge("one", "right")
    assert done.rows()[0]["verdict"] == "wrong" and "it fires at verbs" in seen._repr_html_()


def test_a_changed_study_or_table_is_not_passed_off_as_blind(toy, table):
    study = new_study(toy, table, UNIT, "one", **QUICK).guess("a")
    manifest = table.folder / "manifest.json"
    kept = manifest.read_text()
    manifest.write_text(kept + " ")
    with pytest.raises(Unavailable, match="built again"):
        study.reveal()
    manifest.unlink()
    with pytest.raises(Unavailable, match="is gone"):
        study.reveal()
    file = study.folder / EVIDENCE
    file.write_text(file.read_text().replace("0", "1", 1))
    with pytest.raises(Unavailable, match="changed after it was stored"):
        open_study("one")


def test_a_study_that_cannot_be_read_is_said_in_a_sentence(toy, table):
    """A link to a file that opens and then refuses to be read."""
    study = new_study(toy, table, 5, "unread", prompts=1, k=3, length=2, branches=2)
    (study.folder / EVIDENCE).unlink()
    (study.folder / EVIDENCE).symlink_to("/proc/self/mem")
    with pytest.raises(Unavailable, match="cannot be read"):
        open_study("unread")


def test_a_latent_is_studied_with_its_dictionary(toy, table, planted):
    ends = {"site_in": "blocks.2.mlp.hook_in", "site_out": "blocks.2.mlp.hook_out"}
    d = Transcoder(64, 12, sparsifier=ReLU(), seed=3, **ends).eval()
    d.W_dec.data.copy_(d.W_enc.data.t())
    d.b_enc.data[5] = -1e4  # latent 5 never fires
    save_dictionary(d, place("dictionary", "coder"), model=stamp(toy))
    from probe.activations.cache import open_cache
    from probe.dictionaries import load_dictionary

    d = load_dictionary(place("dictionary", "coder"), toy)
    made = build_features(toy, d, open_cache(place("cache", "small"), toy), place("features", "latents"))
    assert run(["blind", "new", "two", "--dictionary", "coder", "--latent", "3", "--prompts", "1"]) == 0
    study = open_study("two")
    assert study.unit == "L2F3" and study.evidence["circuits"][0]["tree"][0]["path"].startswith("L2F3@")
    top = made.unit(3).top[0]
    assert study.evidence["circuits"][0]["activations"][-1] == pytest.approx(top.value, rel=1e-4)
    ids = made.text.tokens[top.row, : top.pos + 1].tolist()
    assert np.argmax(activations(toy, UnitName(2, "latent", 3), [d], ids)) <= top.pos
    dead = new_study(toy, made, 5, "dead", dictionaries=[d], **QUICK)
    assert dead.evidence["circuits"] == [] and dead.evidence["statistics"]["fired"] == 0
    with pytest.raises(BadInput, match="no dictionary of layer 2"):
        new_study(toy, made, 3, "three", **QUICK)


def test_the_command_goes_all_the_way(toy, table, capsys):
    unit = ["--layer", "2", "--neuron", str(UNIT)]
    assert run(["blind", "new", "mine", *unit, "--prompts", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == f"L2N{UNIT}"
    assert run(["blind", "guess", "mine", "--text", "at <b>verbs</b>"]) == 0
    assert run(["blind", "guess", "mine", "--text", "at nouns"]) == 2
    assert "is not changed" in capsys.readouterr().err
    assert run(["blind", "reveal", "mine"]) == 0
    assert "at <b>verbs</b>" in capsys.readouterr().out
    assert run(["blind", "verdict", "mine", "--grade", "partly", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["grade"] == "partly"
    assert "<b>" not in open_study("mine")._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "x", "--layer", "2"], "Name one unit"),
        (["new", "x", "--layer", "2", "--neuron", "3", "--latent", "3"], "Name one unit"),
        (["new", "x", "--layer", "1", "--neuron", "3"], "No feature table of layer 1"),
        (["new", "x", "--layer", "2", "--neuron", "3", "--features", "none"], "There is no feature table 'none'"),
        (["new", "x", "--layer", "2", "--neuron", "999"], "999"),
        (["show", "x"], "There is no study"),
        (["new", "../x", "--layer", "2", "--neuron", "3"], "cannot name an artifact"),
    ],
)
def test_mistakes_are_explained(table, arguments, said, capsys):
    assert run(["blind", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_connections_and_paths_on_the_command_line(home, capsys):
    assert run(["connections", "L3N4", "--model", "toy", "--top", "3", "--tokens", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["units"]) == 3 and [t["reader"] for t in found["tokens"]] == ["alone", "gate", "in"]
    assert run(["connections", "L3N4", "--model", "toy", "--through", "L1H0,L2H3"]) == 0
    assert "L1H0 L2H3" in capsys.readouterr().out
    assert run(["connections", "L3N4", "--model", "toy", "--through", "L1"]) == 2
    assert run(["paths", "--prompt", "The capital", "--model", "toy", "--length", "2", "--branches", "3"]) == 0
    out = capsys.readouterr().out
    assert "Paths from the target back" in out and "Edges of" in out and "6 paths into" in out and "residual" in out
    asked = ["paths", "--prompt", "The capital", "--model", "toy", "--target", "L2N3@1", "--length", "1", "--json"]
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out)["target"] == "L2N3@1"
    assert run(["paths", "--prompt", "", "--model", "toy"]) == 2
