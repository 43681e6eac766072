"""The command line: results on stdout, exit codes, sentences for bad input, the demo from end to end on the toy model."""

import json
import shutil
from pathlib import Path

import pytest

from app.cli import run
from app.demo import DemoConfig, run_demo
from probe.artifact import place

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> str:
    """Thirty short documents, so that a few can be held out of a small harvest."""
    path = tmp_path_factory.mktemp("text") / "short.jsonl"
    text = "the war lasted from 1714 to 1718 and the capital of France is Paris while the train of wheels counts"
    words = text.split(" ")
    rows = [{"text": " ".join(words[(i * 7 + j * j) % len(words)] for j in range(150))} for i in range(30)]
    path.write_text("\n".join(json.dumps(r) for r in rows))
    return str(path)


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory, texts):
    """A home in which a small demo went through once; its report beside it."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("demo")
        patch.setenv("OPENWORK_HOME", str(home))
        config = DemoConfig(model="toy", text=texts, tokens=9000, epochs=1, max_nodes=60, judged=1000, checked=3)
        yield home, config, run_demo(config).to_dict()


def call(arguments: list[str], capsys) -> tuple[int, str, str]:
    code = run(arguments)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_lens_prints_json_on_stdout_and_nothing_else(capsys):
    code, out, _ = call(["lens", "--prompt", PROMPT, "--model", "toy", "--json"], capsys)
    found = json.loads(out)
    assert code == 0 and found["tokens"][0] == "<bos>" and len(found["top_tokens"]) == 5


def test_trace_reports_conservation_and_exports(tmp_path, home, capsys):
    export = tmp_path / "graph.json"
    options = ["--max-nodes", "40", "--check", "2", "--save", "g", "--export", str(export), "--json"]
    code, out, err = call(["trace", "--prompt", PROMPT, "--model", "toy", *options], capsys)
    report = json.loads(out)
    assert code == 0 and report["conservation_residual"] <= 1e-5 and report["intervention_check"]["worst"] < 1e-4
    assert json.loads(export.read_text())["metadata"]["prompt"] == PROMPT
    assert (place("graph", "g") / "manifest.json").is_file() and "wrote" in err


def test_tables_show_control_characters_and_markup_as_text(capsys):
    code, out, _ = call(["lens", "--prompt", "a\x1b[31m [red]b", "--model", "toy"], capsys)
    assert code == 0 and "\x1b" not in out and "[red]" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["lens", "--prompt", ""], 2, "empty"),
        (["trace", "--prompt", "  "], 2, "empty"),
        (["trace", "--prompt", "x" * 5000, "--model", "toy"], 2, "512"),
        (["trace", "--prompt", "x", "--model", "toy", "--max-nodes", "0"], 2, "at least 1"),
        (["trace", "--prompt", "x", "--model", "toy", "--target", "two words here"], 2, "must be one"),
        (["trace", "--prompt", "x", "--model", "toy", "--dictionary", "none"], 2, "none"),
        (["trace", "--prompt", PROMPT, "--model", "toy", "--memory", "0.000001"], 2, "Lower --max-nodes"),
        (["lens", "--prompt", "x", "--model", "/no/such/model"], 2, "no model file"),
        (["lens", "--prompt", "x", "--model", "toy", "--position", "99"], 2, "no position 99"),
        (["harvest", "--model", "toy", "--sites", "resid_pots.1"], 2, "Did you mean resid_post"),
        (["harvest", "--model", "toy", "--text", "nowhere.txt"], 2, "nowhere"),
        (["harvest", "--model", "toy", "--sites", "mlp_in.1", "--dtype", "int8"], 2, "int8"),
        (["harvest", "--model", "toy", "--sites", "mlp_in.1", "--name", "../x"], 2, "cannot name"),
        (["train", "--cache", "none"], 2, "none"),
        (["train", "--cache", "x", "--kind", "gan"], 2, "no kind"),
        (["eval", "--dictionary", "none", "--cache", "none"], 2, "none"),
        (["serve", "--host", "0.0.0.0", "--no-browser"], 2, "token"),
        (["frob"], 2, "frob"),
        (["trace"], 2, "--prompt"),
    ],
)
def test_bad_input_gets_a_sentence_and_code_2(arguments, code, words, home, capsys):
    found, out, err = call(arguments, capsys)
    assert found == code and words in err and "Traceback" not in err and out == ""


def test_dry_runs_say_what_it_takes_and_write_nothing(home, capsys):
    for arguments in (
        ["harvest", "--model", "toy", "--sites", "mlp_in.1,mlp_out.1", "--tokens", "2000"],
        ["trace", "--prompt", PROMPT, "--model", "toy"],
    ):
        code, out, _ = call([*arguments, "--dry-run", "--json"], capsys)
        assert code == 0 and json.loads(out)["seconds"] > 0
    assert not list(home.rglob("*.safetensors"))


def test_the_way_by_hand(home, texts, capsys):
    steps = [
        [
            "harvest",
            "--model",
            "toy",
            "--sites",
            "mlp_in.1,mlp_out.1",
            "--text",
            texts,
            "--tokens",
            "9000",
            "--name",
            "c",
        ],
        ["train", "--cache", "c", "--kind", "transcoder", "--d-dict", "96", "--k", "8", "--epochs", "1", "--name", "d"],
        [
            "train",
            "--cache",
            "c",
            "--kind",
            "sae",
            "--d-dict",
            "96",
            "--k",
            "8",
            "--epochs",
            "1",
            "--name",
            "s",
            "--dry-run",
        ],
        ["eval", "--dictionary", "d", "--cache", "c", "--max-tokens", "500"],
        ["trace", "--prompt", PROMPT, "--model", "toy", "--dictionary", "d", "--max-nodes", "500", "--check", "2"],
    ]
    reports = []
    for arguments in steps:
        code, out, err = call([*arguments, "--json"], capsys)
        assert code == 0, err
        reports.append(json.loads(out))
    assert reports[3]["kind"] == "transcoder" and reports[3]["fvu"] < 1.5 and reports[3]["n_tokens"] > 0
    assert reports[4]["nodes_by_kind"]["latent"] > 0 and reports[4]["conservation_residual"] <= 1e-5
    assert call(["doctor", "--json"], capsys)[0] == 0
    code, _, err = call(steps[0], capsys)
    assert code == 2 and "exists already" in err
    assert call([*steps[0], "--resume"], capsys)[0] == 0


def test_a_corrupt_shard_is_named_and_harvested_again_alone(home, capsys):
    make = ["harvest", "--model", "toy", "--sites", "mlp_in.1,mlp_out.1", "--tokens", "4000", "--name", "c"]
    assert call(make, capsys)[0] == 0
    shard = max(place("cache", "c").glob("*.safetensors"), key=lambda p: p.stat().st_size)
    before = shard.read_bytes()
    middle = len(before) // 2
    shard.write_bytes(before[:middle] + bytes(255 - b for b in before[middle : middle + 64]) + before[middle + 64 :])
    code, _, err = call(["train", "--cache", "c"], capsys)
    assert code == 1 and shard.name in err and "--repair" in err
    code, out, _ = call(["doctor", "--json"], capsys)
    told = next(c for c in json.loads(out)["checks"] if c["state"] == "broken")
    assert code == 1 and shard.name in told["found"] and "--repair" in told["mend"]
    code, out, _ = call(["harvest", "--repair", "--name", "c", "--json"], capsys)
    assert code == 0 and json.loads(out)["damaged"] == [shard.name] and shard.read_bytes() == before


def test_another_models_cache_is_refused(home, capsys):
    assert (
        call(["harvest", "--model", "toy", "--sites", "mlp_in.1,mlp_out.1", "--tokens", "2000", "--name", "c"], capsys)[
            0
        ]
        == 0
    )
    manifest = place("cache", "c") / "manifest.json"
    value = json.loads(manifest.read_text())
    value["model"]["weights"] = "0" * 32
    manifest.write_text(json.dumps(value))
    code, _, err = call(["harvest", "--model", "toy", "--name", "c", "--repair"], capsys)
    assert code == 2 and "was made from" in err


def test_the_demo_reports_every_step_with_its_baseline(demo_home):
    _, _, report = demo_home
    assert report["steps"][0]["step"] == "load the model" and len(report["steps"]) == 8
    assert report["conservation_residual"] <= 1e-5
    assert all(report[g]["intervention_check"]["worst"] < 1e-4 for g in ("demo-neurons", "demo-transcoder"))
    assert {"fvu", "fvu_affine", "l0", "dead_share", "ce", "ce_spliced", "ce_zero", "ce_mean"} <= set(
        report["evaluation"]
    )


def test_a_demo_run_again_opens_what_is_finished(demo_home, monkeypatch):
    home, config, report = demo_home
    monkeypatch.setenv("OPENWORK_HOME", str(home))
    again = run_demo(config).to_dict()
    found = {s["step"]: s["found_finished"] for s in again["steps"]}
    assert all(done for step, done in found.items() if step.startswith(("trace", "harvest", "train", "judge")))
    assert again["evaluation"] == report["evaluation"]


def test_an_interrupted_demo_continues_where_it_stopped(demo_home, monkeypatch, tmp_path):
    """Take away what came last, as if the process had been killed there: only that is made again."""
    home, config, report = demo_home
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "copy"))
    shutil.rmtree(place("graph", "demo-transcoder"))
    shutil.rmtree(place("result", "demo-layer1-evaluation"))
    again = run_demo(config).to_dict()
    found = {s["step"]: s["found_finished"] for s in again["steps"]}
    assert found["train a skip transcoder"] and not found["judge it"] and not found["trace with it"]
    assert again["evaluation"]["fvu"] == report["evaluation"]["fvu"]
    assert again["demo-transcoder"]["conservation_residual"] == report["demo-transcoder"]["conservation_residual"]


def test_a_demo_of_another_prompt_does_not_reuse_the_graph(demo_home, monkeypatch, tmp_path):
    from dataclasses import replace

    home, config, _ = demo_home
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "copy"))
    again = run_demo(replace(config, prompt="one two three")).to_dict()
    found = {s["step"]: s["found_finished"] for s in again["steps"]}
    assert not found["trace in the neuron basis"] and found["harvest layer 1"]
    assert again["demo-neurons"]["prompt"] == "one two three"


def test_the_demo_command_prints_one_report(demo_home, texts, monkeypatch, capsys):
    home, _, _ = demo_home
    monkeypatch.setenv("OPENWORK_HOME", str(home / "fresh"))
    monkeypatch.setattr("app.demo.DemoConfig.epochs", 1)
    code, out, _ = call(["demo", "--no-serve", "--model", "toy", "--text", texts, "--tokens", "9000"], capsys)
    assert code == 0
    for words in ("What comes next", "Attribution graphs", "best affine map", "Times", "openwork serve"):
        assert words in out
    assert Path(home / "fresh" / "results" / "demo" / "report.json").is_file()
