"""`openwork heads` and `openwork follow` print what the functions find; tokens of the vocabulary are found by text and id."""

import json
import re

import pytest

from app.cli import run
from app.library import recent_records, vocabulary
from probe.words import minus

PROMPT = "The capital of France is"


def shown(capsys, *arguments: str) -> str:
    assert run([*arguments, "--prompt", PROMPT, "--model", "toy"]) == 0
    return capsys.readouterr().out


def test_heads_prints_a_table_by_a_score(capsys, toy):
    from probe.heads.scores import head_table

    best = [row["head"] for row in head_table(toy, PROMPT).rows("copying", 3)]
    for command in (["heads"], ["heads", "head-table"]):
        text = shown(capsys, *command, "--metric", "copying", "--top", "3")
        assert re.findall(r"^L\dH\d", text, re.M)[:3] == best
    found = json.loads(shown(capsys, "heads", "--json"))
    assert len(found["scores"]["direct"]) == 4 and found["pos"] == len(found["tokens"]) - 1


def test_heads_prints_one_head(capsys, toy):
    from probe.heads.reading import read_head

    text, head = shown(capsys, "heads", "--head", "L1H2", "--position", "2"), read_head(toy, PROMPT, 1, 2)
    assert (
        f"adds {minus(f'{head.direct[2]:.3g}')} to" in " ".join(text.split())
        and "OV: any" in text
        and "QK: keys" in text
    )
    assert json.loads(shown(capsys, "heads", "--head", "1.2", "--json"))["head"] == 2


@pytest.mark.parametrize("command", [["units"], ["heads"], ["follow", "--token", "final"]], ids=lambda c: c[0])
def test_a_title_does_not_print_a_long_prompt(command, capsys):
    """The beginning and the end, where the prediction is read; not pages above a table."""
    assert run([*command, "--prompt", "one two three four " * 20 + "the end", "--model", "toy"]) == 0
    said = " ".join(capsys.readouterr().out.split())  # a title is broken into the width of its table
    assert said.count("two three four") < 6 and ("the end" in said or command == ["heads"])


def test_what_was_found_is_stored_once(capsys, home):
    from probe.artifacts.folder import place
    from probe.artifacts.manifest import read_manifest

    shown(capsys, "heads", "--head", "L1H2", "--save", "one")
    folder = place("result", "one")
    assert read_manifest(folder, "result").facts["call"]["arguments"]["head"] == "L1H2"
    assert json.loads((folder / "report.json").read_text())["layer"] == 1
    assert run(["heads", "--prompt", PROMPT, "--model", "toy", "--save", "one"]) == 2
    assert "one" in capsys.readouterr().err


def test_follow_prints_the_layers(capsys, toy):
    from probe.lens.follow import follow_token

    found = json.loads(shown(capsys, "follow", "--token", "id:9", "--json"))
    assert found["ranks"] == follow_token(toy, PROMPT, [9]).ranks.tolist()
    assert "embed" in shown(capsys, "follow", "--token", "next", "--position", "1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["heads", "--head", "nine"], "head is 'nine'; a unit"),
        (["heads", "--head", "L1N2"], "is no head"),
        (["heads", "--head", "L9H9"], "this model has layers 0 to 3"),
        (["heads", "--metric", "mood"], "metric is 'mood'; one of"),
        (["heads", "--position", "77"], "no position 77"),
        (["follow", "--token", "quite long a text"], "one was wanted"),
        (["follow", "--token", "99999999"], "no token"),
    ],
)
def test_refusals(capsys, arguments, words):
    assert run([*arguments, "--prompt", PROMPT, "--model", "toy"]) == 2
    assert words in capsys.readouterr().err


def test_tokens_are_found_with_their_variants(monkeypatch):
    words = ["the", " the", " The", "there", " theory", "7", " x", "", "other"]
    recent_records.remember("vocabulary", "words", "", words)
    assert [i for i, _ in vocabulary.found("words", "the") or []] == [0, 1, 2, 3, 4]
    assert next(i for i, _ in vocabulary.found("words", " the") or []) == 1
    assert vocabulary.found("words", "7") == [(7, ""), (5, "7")]
    assert vocabulary.found("words", "  ") == [] and vocabulary.found("another", "the") is None
