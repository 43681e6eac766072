"""`openwork sample` and `openwork eval` from end to end on the toy model."""

import json

import pytest

from app.cli import run
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest

pytestmark = pytest.mark.slow  # what is judged is harvested and trained first


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a sample, a cache and two dictionaries."""
    patch = pytest.MonkeyPatch()
    patch.setenv("OPENWORK_HOME", str(tmp_path_factory.mktemp("home")))
    sites = ["--sites", "mlp_in.1,mlp_out.1", "--context", "32", "--tokens", "6000", "--held-out", "0.3"]
    train = ["train", "--cache", "c", "--d-dict", "96", "--k", "8", "--epochs", "1"]
    for arguments in (
        ["sample", "--model", "toy", "--name", "own", "--tokens", "3000", "--length", "60"],
        ["harvest", "--model", "toy", "--text", "sample:own", "--name", "c", *sites],
        [*train, "--kind", "transcoder", "--name", "t"],
        [*train, "--kind", "sae", "--name", "s"],
    ):
        assert run(arguments) == 0
    yield patch
    patch.undo()


def call(capsys, *arguments: str):
    code = run([*arguments, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def test_sample(made, capsys) -> None:
    found = call(capsys, "sample", "--model", "toy", "--name", "own", "--tokens", "3000", "--length", "60", "--resume")
    assert found["name"] == "own" and found["n_documents"] == 50 and 0 < found["n_tokens"] <= 3000
    plan = call(capsys, "sample", "--model", "toy", "--name", "other", "--tokens", "600", "--dry-run")
    assert plan["documents"] == 3 and not place("text", "other").exists()
    assert run(["sample", "--model", "toy", "--name", "own"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_several_dictionaries_on_two_texts(made, capsys) -> None:
    chosen = ["--dictionary", "t", "--dictionary", "s", "--cache", "c", "--max-tokens", "300"]
    found = call(capsys, "eval", *chosen, "--text", "sample:own", "--name", "both")
    assert [r["kind"] for r in found] == ["transcoder", "sae"]
    assert all(r["texts"]["sample:own"]["n_ce_tokens"] > 0 for r in found)
    manifest = read_manifest(place("result", "both-t"), "result")
    assert manifest.facts["fvu"] == found[0]["fvu"] and manifest.parents == ("t", "c")
    stored = json.loads((place("result", "both-s") / "report.json").read_text())
    assert stored == found[1]
    assert "ce_spliced on sample:own" in _printed(capsys, "eval", *chosen, "--text", "sample:own")
    assert place("result", "eval-t").is_dir()


def test_dry_run_and_config(made, capsys, tmp_path) -> None:
    (tmp_path / "eval.toml").write_text('dictionary = ["t"]\ncache = "c"\nmax-tokens = 200\nname = "planned"\n')
    plan = call(capsys, "eval", "--config", str(tmp_path / "eval.toml"), "--dry-run")
    assert (plan["dictionaries"], plan["tokens"]) == (1, 200) and 3 < plan["passes"] < 5 and plan["seconds"] > 0
    assert not place("result", "planned").exists()
    assert call(capsys, "eval", "--config", str(tmp_path / "eval.toml"))["kind"] == "transcoder"
    assert place("result", "planned").is_dir()


def test_a_report_that_is_there_is_not_made_again(made, capsys, monkeypatch) -> None:
    chosen = ["--dictionary", "t", "--cache", "c", "--max-tokens", "150", "--name", "kept"]
    first = call(capsys, "eval", *chosen)
    both = call(capsys, "eval", *chosen[:2], "--dictionary", "s", *chosen[2:], "--resume")
    assert len(both) == 2  # two have names of their own, so both were made
    monkeypatch.setattr("probe.evaluation.kept.evaluate_many", None)
    assert call(capsys, "eval", *chosen, "--resume") == first
    assert "judged before" in _printed(capsys, "eval", *chosen, "--resume")
    assert run(["eval", *chosen[:-4], "--max-tokens", "160", "--name", "kept", "--resume"]) == 2
    assert "other settings (max_tokens)" in capsys.readouterr().err
    assert run(["eval", *chosen]) == 2
    assert "exists already" in capsys.readouterr().err
    assert run(["eval", *chosen[:2], *chosen]) == 2
    assert "given twice" in capsys.readouterr().err
    report = place("result", "kept") / "report.json"
    report.write_text(report.read_text().replace('"fvu": 0', '"fvu": 1', 1))
    assert run(["eval", *chosen, "--resume"]) == 1
    assert "report.json is missing or damaged" in capsys.readouterr().err


def _printed(capsys, *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def test_the_suite_is_stored_beside_the_report(made, capsys) -> None:
    chosen = ["--dictionary", "t", "--cache", "c", "--max-tokens", "200", "--suite", "--budget", "0"]
    plan = call(capsys, "eval", *chosen, "--dry-run")
    assert plan["suite"]["tokens_trained"] == 0 < plan["suite"]["tokens_read"]
    found = call(capsys, "eval", *chosen, "--name", "whole")
    assert {r["measure"] for r in found["suite"]["summary"]} >= {"fvu", "probing, 5 units", "absorption fraction"}
    facts = read_manifest(place("result", "whole-suite"), "result").facts
    assert facts["summary"] == found["suite"]["summary"] and "probing" not in facts
