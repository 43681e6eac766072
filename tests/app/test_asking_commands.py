"""The same questions on the command line: prompts as text, ids or a chat, tokens by text or id, units by what they add."""

import json

import pytest

from app.cli import run
from probe.errors import BadInput
from probe.methods.kinds import KINDS
from probe.text.prompts import encode_prompt

PROMPT = "When Mary and John went"
READERS = [
    ["lens"],
    ["units", "--target", " the"],
    ["compare", "--with", "When Rome and John went"],
    ["heads", "--target", " the", "--minus", "id:7"],
    ["follow", "--target", " the"],
    ["edit", "--change", "zero:L1H2"],
    ["paths", "--length", "1"],
    ["unit", "L1N3"],
    ["trace", "--max-nodes", "4", "--target", "id:7"],
]


def told(capsys, *order: str) -> dict:
    assert run([*order, "--model", "toy", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *order: str) -> str:
    assert run([*order, "--model", "toy"]) == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.parametrize("order", READERS, ids=lambda order: order[0])
def test_ids_are_the_prompt_they_spell(toy, home, capsys, order):
    ids = ",".join(map(str, encode_prompt(toy, PROMPT)))
    found = [told(capsys, *order, *asked) for asked in (["--prompt", PROMPT], ["--ids", ids], ["--ids", f"[{ids}]"])]
    for one in found:
        one.pop("seconds", None)
    assert found[0] == found[1] == found[2]


def test_a_pair_takes_ids_and_targets_under_both_names(toy, home, capsys):
    other = "When Rome and John went"
    ids = [",".join(map(str, encode_prompt(toy, text))) for text in (PROMPT, other)]
    by_text = told(capsys, "patch", "--clean", PROMPT, "--corrupted", other, "--right", " the", "--wrong", "id:7")
    by_ids = told(
        capsys, "patch", "--clean-ids", ids[0], "--corrupted-ids", ids[1], "--target", " the", "--minus", "id:7"
    )
    assert by_text == by_ids


def test_a_prompt_can_be_a_message(toy, home, capsys, monkeypatch):
    from app.commands.asking import prompt_of

    assert prompt_of("Hello", chat=True) == [{"role": "user", "content": "Hello"}]
    assert "no chat template" in refused(capsys, "lens", "--prompt", PROMPT, "--chat")
    with pytest.raises(BadInput, match="taken as they are"):
        prompt_of(None, "1,2", chat=True)


def test_digits_are_text_where_a_token_is_written_so_and_an_id_elsewhere(toy):
    kind = KINDS["Token"]
    assert [kind.given(kind.typed(text), toy) for text in ("9", "id:9", "100")] == ["9", 9, 100]


def test_units_are_ranked_by_a_target(toy, home, capsys):
    assert run(["units", "--prompt", PROMPT, "--model", "toy", "--target", " the", "--minus", " and"]) == 0
    assert "by direct effect on the logit of ' the' − ' and'" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (["lens"], "logit-lens needs prompt"),
        (["lens", "--prompt", "a", "--ids", "1"], "one of the two, and both came"),
        (["lens", "--prompt", ""], "empty"),
        (["lens", "--ids", "1,x"], "commas between"),
        (["lens", "--ids", ""], "commas between"),
        (["lens", "--ids", "1,99999"], "no token 99999"),
        (["compare", "--prompt", "a"], "compare-prompts needs b"),
        (["compare", "--prompt", "a"], "Give --b or --with."),
        (["edit", "--prompt", "a"], "Give --changes or --change."),
        (["patch", "--clean", "a"], "patch needs corrupted"),
        (["heads", "--prompt", "a", "--minus", " the"], "--minus goes with one --target"),
        (["units", "--prompt", "a", "--by", "size"], 'one of "write", "direct"'),
        (["follow", "--prompt", "a", "--target", " photosynthesis"], "one was wanted"),
    ],
)
def test_what_is_no_question_is_answered_in_a_sentence(home, capsys, order, said):
    assert said in refused(capsys, *order)


def test_what_is_repaired_is_named_after_the_model_that_harvesting_takes(home, capsys, monkeypatch):
    monkeypatch.setattr("probe.model.load.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    assert run(["harvest", "--repair"]) == 2
    assert "no cache 'smollm2-135m-mlp_in.4-mlp_out.4'" in capsys.readouterr().err
