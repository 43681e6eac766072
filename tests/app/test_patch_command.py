"""`openwork patch`: the table, JSON, what it stores, what it refuses."""

import json

import pytest

import circuits
from app.cli import run
from circuits.patching.store import stored_patchings
from probe.methods import call_of
from probe.model.load import load_model
from probe.text.targets import token_id

CLEAN, CORRUPTED = "Mary and John went to Rome", "Mary and Mary went to Rome"
BOTH = ["--clean", CLEAN, "--corrupted", CORRUPTED, "--model", "toy", "--right", " the", "--wrong", " and"]


def call(arguments: list[str], capsys) -> tuple[int, str, str]:
    code = run(["patch", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_json_is_what_the_function_returns(home, capsys):
    code, out, err = call([*BOTH, "--over", "heads", "--json"], capsys)
    assert code == 0, err
    told = json.loads(out)
    made = circuits.patch_sweep(load_model("toy"), CLEAN, CORRUPTED, answers=(" the", " and"), over="heads")
    for mine, theirs in zip(told["effect"], made.effect.tolist(), strict=True):
        assert mine == pytest.approx(theirs)
    assert told["direction"] == "denoise" and told["axes"] == ["layer", "head"]
    assert told["convention"]["normalisation"].startswith("(m - m_corrupted)")


def test_table_names_runs_and_patches(home, capsys):
    code, out, _ = call([*BOTH, "--over", "resid_pre", "--noise", "--top", "3", "--control", "2"], capsys)
    assert code == 0 and "clean" in out and "corrupted" in out and "noising" in out
    assert len([line for line in out.splitlines() if line.startswith("resid_pre.") and line.strip()[-1].isdigit()]) == 3
    assert "± sd" in out


def test_saved_and_listed(home, capsys):
    code, _, err = call([*BOTH, "--over", "head_q", "--save", "q"], capsys)
    assert code == 0 and "Stored as q" in err
    assert circuits.load_patching("q").over == "head_q"
    code, _, err = call([*BOTH, "--save", "q"], capsys)
    assert code == 2 and "exists already" in err
    assert [name for name, _ in stored_patchings()] == ["q"]
    assert run(["show", "q"]) == 0 and "moves it most" in capsys.readouterr().out  # as what any method found


def test_dry_run_says_how_much(home, capsys):
    code, out, _ = call([*BOTH, "--over", "head_z_by_pos", "--dry-run"], capsys)
    assert code == 0 and "patches to run" in out and "known without" in out
    code, out, _ = call([*BOTH, "--over", "head_z_by_pos", "--dry-run", "--json"], capsys)
    assert json.loads(out)["passes"] >= 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--corrupted", "Mary and Mary went to Rome again"], "tokens and the corrupted one"),
        (["--right", " photosynthesis"], "one was wanted"),
        (["--over", "nothing"], "over is 'nothing'; one of"),
        (["--metric", "accuracy"], "metric is 'accuracy'; one of"),
        (["--clean", CORRUPTED], "nothing to patch"),
    ],
)
def test_bad_input_is_a_sentence(home, capsys, changed, said):
    code, _, err = call([*BOTH, *changed], capsys)
    assert code == 2 and said in err and "Traceback" not in err


def test_the_declared_command_finds_the_same(home, capsys):
    """One sweep by its name now, in the words of its declaration: the options, the direction, what is stored."""
    new = [
        *BOTH[:-4],
        "--target",
        " the",
        "--minus",
        " and",
        "--over",
        "heads",
        "--direction",
        "noise",
        "--save",
        "new",
    ]
    assert run(["circuits", "patch", *new]) == 0
    assert call([*BOTH, "--over", "heads", "--noise", "--save", "old"], capsys)[0] == 0
    now, before = circuits.load_patching("new"), circuits.load_patching("old")
    assert (now.effect == before.effect).all() and call_of(now) == call_of(before)
    assert call_of(now).arguments["target"] == {"token": " the", "other": " and"}


def test_digits_are_an_id_where_no_token_is_written_so(home, capsys):
    toy, pair = (
        load_model("toy"),
        ["--clean", CLEAN, "--corrupted", CORRUPTED, "--model", "toy", "--over", "heads", "--json"],
    )
    a, b = (str(token_id(toy, text)) for text in (" the", " and"))
    typed = json.loads(call([*pair, "--right", f"0{a}", "--wrong", f"id:{b}"], capsys)[1])
    assert typed["pair"]["answer_ids"] == [int(a), int(b)]


def test_one_answer_is_not_two(home, capsys):
    code, _, err = call(["--clean", CLEAN, "--corrupted", CORRUPTED, "--model", "toy", "--right", " the"], capsys)
    assert code == 2 and "--target and --minus" in err
