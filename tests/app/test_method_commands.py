"""Methods as commands: what is typed becomes the same call, the same sentence and the same record as from Python."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import sample_method
import sample_tool
import typer
from method_commands import COUNT, KNOWN, PROMPT, REAL, counted, told

import app.cli as door
from app.commands.methods import announcing, old_names
from app.commands.methods import command as command_
from app.commands.methods.command import command_of
from app.commands.methods.old_names import OldName
from probe.artifacts.exports import as_csv
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput, Unavailable
from probe.methods import catalogue, read_declarations
from probe.methods.call import Call
from probe.model.load import stamp
from probe.show.panels import Figure, Rows, Sentence, Tokens
from probe.show.terminal import show_panels, strip
from probe.text.targets import Difference

__all__ = ["counted"]


@pytest.fixture
def no_model(monkeypatch):
    monkeypatch.setattr("probe.model.load.load_model", lambda *_, **__: pytest.fail("a model was loaded"))


@pytest.fixture
def asked(monkeypatch):
    """The calls that commands would have run."""
    calls: list[Call] = []
    monkeypatch.setattr(command_, "answer", lambda call, wanted: calls.append(call))
    return calls


OLD = OldName("count", "count-tokens", {"often": "times", "once_more": "again"}, position="by", given={"share": "0.25"})


def test_an_old_name_takes_old_options_and_new_ones_and_says_the_new_name(capsys, asked, counted, monkeypatch):
    monkeypatch.setattr(old_names, "OLD_NAMES", (OLD,))
    common = ["count", "two", "--prompt", PROMPT, "--model", "toy"]
    told(capsys, *common, "--often", "3", "--once-more")
    told(capsys, *common, "--times", "3", "--again", "--share", "0.75")
    wanted = {"prompt": PROMPT, "by": "two", "times": 3, "again": True}
    assert [call.arguments for call in asked] == [{**wanted, "share": 0.25}, {**wanted, "share": 0.75}]
    assert "openwork counting count-tokens" in " ".join(told(capsys, "count", "--help").split())


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["--times", "10"], {"times": 10}),
        (["--times", "1.5"], {"times": 1.5}),
        (["--share", "nan"], {"share": float("nan")}),
        (["--share", "much"], {"share": "much"}),
        (["--by", "three"], {"by": "three"}),
        (["--layers", "x"], {"layers": "x"}),
        (["--target", ""], {"target": ""}),
        (["--prompt", ""], {"prompt": ""}),
        (["--ids", "1,-5"], {"prompt": [1, -5]}),
    ],
)
def test_a_wrong_value_is_answered_as_from_python_and_before_the_model_loads(capsys, toy, no_model, words, arguments):
    with pytest.raises(BadInput) as python:
        sample_method.count_tokens(toy, **{"prompt": PROMPT, **arguments})
    said = told(capsys, *COUNT, *(() if "prompt" in arguments else ("--prompt", PROMPT)), *words, code=2)
    assert said == str(python.value) and said.startswith("count-tokens: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["counting", "count-token"], "There is no method 'count-token'. Did you mean count-tokens"),
        (["counting", "count-again"], "of another group: openwork heads count-again"),
        (["count-tokens", "--prompt", "x"], "a method of the group counting: openwork counting count-tokens"),
        (["heads", "count-agian"], "Did you mean count-again"),
        (["heads", "--top", "3", "count-again", "--prompt", "x"], "--top stands before count-again"),
        (["methods", "count-token"], "Did you mean count-tokens"),
        (["methods", "--group", "none"], "There is no group 'none' of methods"),
        ([*COUNT], "count-tokens needs prompt, a prompt (text, token ids or chat messages)."),
        ([*COUNT, "--prompt", "x", "--ids", "1"], "both came"),
        ([*COUNT, "--prompt", "x", "--minus", "y"], "goes with one --target"),
        (["show", "nothing"], "There is no stored result 'nothing'"),
        (["show", "a", "b", "--csv", "x"], "--csv writes the rows of one result"),
    ],
)
def test_what_does_not_fit_is_said(home, capsys, no_model, words, said):
    assert said in told(capsys, *words, code=2)


CALLS = [
    {"prompt": PROMPT},
    {"prompt": [5, 6, 7], "layers": "-1", "times": 3},
    {"prompt": [{"role": "user", "content": "-hi"}], "share": 0.25, "again": True},
    {"prompt": "it's\na", "target": {"token": " Mary", "other": 5}, "names": ["a", "-b"], "by": "two"},
    {"prompt": "--x", "target": 9, "layers": "0,2-3"},
]


@pytest.mark.parametrize("arguments", CALLS)
def test_the_line_that_a_call_writes_asks_that_call(asked, arguments):
    call = Call.checked("count-tokens", "toy", arguments)
    assert door.run(shlex.split(call.shell())[1:]) == 0
    assert asked == [call]


@pytest.mark.parametrize("about", REAL, ids=lambda one: one.name)
def test_every_method_has_a_command_and_an_example(asked, capsys, about):
    from app.commands.methods.catalogue import example

    command_of(about)  # which refuses two options of one name
    python, shell = example(about)
    assert door.run(shlex.split(shell)[1:]) == 0 and asked[0].shell() == shell
    assert about.function in python
    assert "--json" in told(capsys, about.group, about.name, "--help")


def test_a_command_finds_what_python_finds(home, capsys, toy, tmp_path):
    record = sample_method.count_tokens(toy, PROMPT, layers=1, times=3, names=["ab"], target=Difference(" a", 7))
    words = [*COUNT, "--prompt", PROMPT, "--layers", "1", "--target", " a", "--minus", "id:7"]
    (tmp_path / "o.toml").write_text('times = 3\nnames = "ab"\n')
    words += ["--config", str(tmp_path / "o.toml")]
    assert json.loads(told(capsys, *words, "--json")) == record.to_dict()
    table = tmp_path / "table.csv"
    assert record.summary() in told(capsys, *words, "--save", "one", "--csv", str(table))
    assert table.read_text().split("\n")[0] == "prompt,count"
    with pytest.raises(BadInput) as taken:
        record.save(home / "results" / "one")
    assert told(capsys, *words, "--save", "one", code=2) == str(taken.value)
    shown = told(capsys, "show", "one")
    assert record.summary() in shown and "openwork counting count-tokens" in shown and "ow.count_tokens(" in shown
    stored = json.loads(told(capsys, "show", "one", "--json"))
    assert stored["record"] == record.to_dict() and stored["call"]["arguments"]["times"] == 3
    assert stored["call"]["arguments"]["names"] == ["ab"]
    assert json.loads(told(capsys, "show", "--json"))[0]["name"] == "one"
    assert read_manifest(home / "results" / "one").model == stamp(toy)
    assert told(capsys, "show", "one", "one").count(record.summary()) == 2


def test_a_report_of_before_records_is_shown_too(home, capsys):
    from probe.artifacts.json import write_json
    from probe.artifacts.manifest import Manifest, writing

    with writing(home / "results" / "old", Manifest("result", "old", command="openwork old")) as scratch:
        write_json(scratch / "report.json", {"a": 1})
    assert "openwork old" in told(capsys, "show", "old")
    assert json.loads(told(capsys, "show", "old", "--json"))["record"] == {"a": 1}


def test_a_group_may_bear_a_commands_name(home, capsys):
    assert "Heads by" in told(capsys, "heads", "--prompt", PROMPT, "--model", "toy", "--top", "1")
    assert "count 6" in told(capsys, "heads", "count-again", "--prompt", PROMPT, "--model", "toy", "--times", "1")
    said = told(capsys, "heads", "--help")
    assert "count-again" in said and "--metric" in said


WHOLE = door.cli()


@pytest.mark.parametrize("about", REAL, ids=lambda one: one.name)
def test_no_method_stands_behind_a_commands_own_words(about):
    """`openwork unit L1N3` takes its word for the unit: a group of that name would never see its methods. Nor does a method take
    the name of a command of its group."""
    groups = [(g.name, g.typer_instance) for g in WHOLE.registered_groups]
    found = [typer.main.get_group(t) for name, t in groups if t and about.group in (name, t.info.name)]
    (made,) = found
    assert not any(p.param_type_name == "argument" for p in made.params)
    (names,) = [
        [c.name for c in t.registered_commands] for name, t in groups if t and about.group in (name, t.info.name)
    ]
    assert names.count(about.name) == 1


@pytest.mark.parametrize(("error", "code"), [(BadInput("no such thing"), 2), (Unavailable("no disk"), 1)])
def test_what_a_method_refuses_is_a_sentence(capsys, monkeypatch, error, code):
    monkeypatch.setattr(sample_method, "count_tokens", lambda *_, **__: (_ for _ in ()).throw(error))
    assert told(capsys, *COUNT, "--prompt", PROMPT, code=code) == str(error)


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sample_method, "count_tokens", lambda *_, **__: {}["x"])
    with pytest.raises(KeyError):
        door.run([*COUNT, "--prompt", PROMPT])


def test_what_cannot_be_printed_is_kept(home, monkeypatch, toy):
    monkeypatch.setattr(sample_method.Counted, "panels", lambda _: {}["x"], raising=False)
    with pytest.raises(KeyError):
        door.run([*COUNT, "--prompt", PROMPT, "--save", "kept"])
    assert sample_method.Counted.load("kept").prompt == PROMPT


def test_a_plan_is_announced_or_that_there_is_none(capsys, no_model, monkeypatch, counted):
    words = [*COUNT, "--prompt", PROMPT, "--dry-run"]
    assert "announces nothing beyond running the model" in told(capsys, *words)
    assert json.loads(told(capsys, *words, "--json")) is None
    from probe.lens.logit import LensPlan

    plan = LensPlan(n_tokens=5, n_positions=1, bytes=2_000_000, seconds=3.0)
    assert announcing.in_words(plan) == "5 tokens, 1 position, 2.0 MB of memory beside the model, about 3.0 s"


def test_the_catalogue(capsys):
    found = json.loads(told(capsys, "methods", "--json"))
    assert {tuple(one) for one in found} == {("name", "group", "summary", "paper")}
    mine = {
        "name": "count-tokens",
        "group": "counting",
        "summary": "The number of a prompt's tokens.",
        "paper": "Nobody (2026)",
    }
    assert mine in found and len(found) == len(REAL) + 2
    assert [one["name"] for one in json.loads(told(capsys, "methods", "--group", "counting", "--json"))] == [
        "count-tokens"
    ]
    assert "openwork counting count-tokens" in told(capsys, "methods")
    said = told(capsys, "methods", "count-tokens")
    assert "a whole number from 1 to 9" in said and "ow.count_tokens(model," in said and "The rest says more." in said
    assert "\nDefinitions\n    A method as a contributor would write one" in said  # what its file opens with
    one = json.loads(told(capsys, "methods", "count-tokens", "--json"))
    assert {
        "parameter": "times",
        "wanted": "a whole number from 1 to 9",
        "default": 2,
        "what": "How often it is counted.",
    } in one["parameters"]


def test_help_and_refusals_bring_no_torch():
    words = [
        ["methods"],
        ["methods", "--json"],
        ["show", "nothing"],
        ["heads", "--help"],
        *([m.group, m.name, "--help"] for m in REAL),
    ]
    code = f"import sys; from app.cli import run; [run(w) for w in {words}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_panels_on_a_terminal(capsys):
    panels = [
        Figure("picture", lambda: pytest.fail("drawn")),
        Rows("many", [{"a": i} for i in range(50)]),
        Tokens("weight", ["The", " cap", "\n"], [0.5, float("nan"), -1.25]),
        Sentence("many"),
        Sentence("the end\x1b[31m"),
    ]
    show_panels(panels)
    said = capsys.readouterr().out
    assert "and 10 rows more" in said and said.count("many") == 1 and "the end\\x1b[31m" in said
    assert list(strip(panels[2])) == ["weight", "The ·cap ↵", "0.5      −1.25"]
    assert as_csv([{"a": 1, "b": "=x"}, {"a": float("nan"), "c": [1]}]) == 'a,b,c\n1,"""=x""",\n,,[1]\n'


def test_written_files_stand_where_they_were_asked_for(capsys, tmp_path, no_model):
    assert "is a folder" in told(capsys, *COUNT, "--prompt", PROMPT, "--csv", str(tmp_path), code=2)
    assert not list(Path(tmp_path).iterdir())


def test_a_graph_that_a_method_found_is_stored_as_one(capsys, toy):
    from circuits import load_graph

    words = ["circuits", "trace", "--prompt", "a b", "--model", "toy", "--max-nodes", "20"]
    told(capsys, *words, "--save", "traced")
    assert load_graph("traced").prompt == "a b"
    assert "exists" in told(capsys, *words, "--save", "traced", code=2)


@pytest.fixture
def keeping(monkeypatch):
    """The sample tool as if it were public."""
    (found,) = read_declarations.declared_in("sample_tool")
    monkeypatch.setattr(catalogue, "known", lambda: KNOWN | {("sample", "keep-lines"): lambda: found})


def test_a_tool_takes_what_python_takes_by_position_and_says_where_it_wrote(keeping, home, tmp_path, capsys):
    (source := tmp_path / "a.txt").write_text("one\ntwo")
    keep = ["sample", "keep-lines", str(source), "three"]
    found = json.loads(told(capsys, *keep, "--json"))
    assert found["lines"] == ["one", "two", "three"] and found["folder"] == str(home / "texts" / "a-1")
    assert json.loads(told(capsys, *keep, "--name", "mine", "--resume", "--json"))["resumed"]
    assert told(capsys, *keep, "--dry-run") == "3 lines.\n" and not (home / "texts" / "a-1").exists()
    assert door.run([*keep, "--copy", str(tmp_path / "b.txt"), "--save", "b"]) == 0
    assert capsys.readouterr().err.splitlines() == [f"wrote {tmp_path / 'b.txt'}", f"wrote {home / 'texts' / 'b'}"]


def test_a_tool_refuses_before_it_works(keeping, home, tmp_path, capsys):
    (source := tmp_path / "a.txt").write_text("one")
    (home / "texts" / "there").mkdir(parents=True)
    keep = ["sample", "keep-lines", str(source)]
    assert "There is already a text 'there'" in told(capsys, *keep, "--name", "there", code=2)
    assert "is a folder" in told(capsys, *keep, "--copy", str(tmp_path), code=2)
    assert told(capsys, "sample", "keep-lines", code=2) == "keep-lines needs source, a file to read."


def test_no_page_names_a_place_of_this_machine_and_none_runs_a_tool(keeping, tmp_path, monkeypatch):
    assert read_declarations.declared_in("sample_tool")[0] not in catalogue.methods()
    with pytest.raises(BadInput, match="There is no method 'keep-lines'"):
        catalogue.method_named("keep-lines")
    source = Path(sample_tool.__file__).read_text().replace('@tool("keep-lines"', '@method("keep-lines"')
    (tmp_path / "a_page_of_files.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(read_declarations.Undeclared, match="source names a place of this machine"):
        read_declarations.declared_in("a_page_of_files")


def test_a_table_on_disk_has_every_row_of_a_record_that_shows_the_first(home, tmp_path, capsys):
    asked = [
        "circuits",
        "eap",
        "--model",
        "toy",
        "--task",
        "greater-than",
        "--n",
        "2",
        "--csv",
        str(tmp_path / "all.csv"),
    ]
    assert "The strongest 50 of 343 edges" in told(capsys, *asked, "--save", "every")
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 344
    told(capsys, "show", "every", "--csv", str(tmp_path / "again.csv"))
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "all.csv").read_text()
