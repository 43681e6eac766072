"""The glossary: every number that a table shows of a circuit or a dictionary has its word, and the command prints it."""

import pytest
from records import small_graph

from app.cli import run
from circuits.validation.records import RootEffect
from probe.errors import BadInput
from probe.evaluation.report import CONVENTION, OWN
from probe.show.glossary import WORDS, asked_words, find, meaning
from probe.show.glossary_words import BY_SUBJECT


def test_every_word_says_what_it_is_in_a_sentence():
    for word in WORDS.values():
        assert word.meaning.endswith(".") and word.meaning[0].isupper() and len(word.told()) < 300, word.name
        assert word.good.endswith("."), f"{word.name} does not say what is good"
        assert repr(word) == f"{word.name}: {word.told()}"


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("write at 5", "write"),
        ("entropy, mean", "entropy"),
        ("copying, by weights", "copying"),
        ("replacement_score", "replacement"),
        ("direct effect at 2", "direct"),
        ("dead share", "dead_share"),
        ("CE recovered", "ce_recovered"),
        ("previous token, mean", "previous_token"),
    ],
)
def test_a_heading_is_found(heading, name):
    assert find(heading) is WORDS[name] and meaning(heading) == WORDS[name].told()


def test_what_tables_of_circuits_and_dictionaries_show_is_explained():
    shown = {*small_graph().rows()[0], "replacement", "completeness", "rest", "first", "error", "bias"}
    assert {"influence", "cancellation"} <= shown and all(find(n) for n in shown - {"node", "kind", "activation"})
    assert all(
        find(n) for n in ("fvu", "fvu_affine", "shrinkage", "l0", "dead_share", "ce_recovered", "kl") if n in CONVENTION
    )
    assert all(find(n) for n in ("direct", "full")) and {"direct", "full"} <= set(RootEffect.__dataclass_fields__)
    assert find("node") is None and meaning("share") == "" == meaning("error")  # heads columns of many things


def test_every_measure_of_a_report_and_every_column_of_a_head_is_explained():
    left = {name for name in (*OWN, "ce", "ce_recovered_mean", "kl_spliced") if not find(name)}
    columns = "attention first_token previous_token induction entropy write probability logit rank logit_diff random"
    assert not left | {name for name in columns.split() if not meaning(name)}
    assert sum(len(words) for words in BY_SUBJECT.values()) == len(WORDS)  # no word stands twice


def test_the_command_prints_one_or_all(capsys):
    assert run(["words", "influence"]) == 0
    assert "share of the prediction" in capsys.readouterr().out
    assert run(["words"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}\n" in out for name in WORDS)
    assert run(["words", "infuence"]) == 2 and "Did you mean influence?" in capsys.readouterr().err
    with pytest.raises(BadInput, match="none of the words"):
        asked_words("zzz")
