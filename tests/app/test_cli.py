"""The command line: results on stdout, exit codes, sentences for bad input, the demo from end to end on the toy model."""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from app.cli import cli, run
from circuits.demo.run import DemoConfig, run_demo
from probe.artifacts.folder import place

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


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_character_can_be_written_into_any_file(encoding, monkeypatch):
    """A shell on Windows opens the file of `>` in cp1252."""
    prompt, written = "日本 — Paris", {}
    for name, options in (("table", []), ("json", ["--json"])):
        raw = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
        assert run(["lens", "--model", "toy", "--prompt", prompt, *options]) == 0
        sys.stdout.flush()
        written[name] = raw.getvalue().decode(encoding)
    assert json.loads(written["json"])["prompt"] == prompt
    assert "layer by layer" in written["table"] and ("\\u27e8" in written["table"]) == (encoding != "utf-8")


def test_lens_prints_json_on_stdout_and_nothing_else(capsys):
    code, out, _ = call(["lens", "--prompt", PROMPT, "--model", "toy", "--json"], capsys)
    found = json.loads(out)
    assert code == 0 and found["tokens"][0] == "<bos>" and len(found["top_tokens"]) == 5


def test_lens_json_of_one_position_is_that_column(capsys):
    whole, one = (
        json.loads(call(["lens", "--prompt", PROMPT, "--model", "toy", "--json", *options], capsys)[1])
        for options in ([], ["--position", "-2"])
    )
    at = len(whole["tokens"]) - 2
    assert one["positions"] == [at] and whole["positions"] is None
    assert one["top_tokens"] == [[row[at]] for row in whole["top_tokens"]]
    assert np.allclose(one["top_probs"], np.array(whole["top_probs"])[:, [at]], atol=1e-6)


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
    assert code == 0 and "\x1b" not in out and "\\x1b" in out and "red" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["lens", "--prompt", ""], 2, "empty"),
        (["trace", "--prompt", ""], 2, "empty"),
        (["trace", "--prompt", "x" * 5000, "--model", "toy"], 2, "512"),
        (["trace", "--prompt", "x", "--model", "toy", "--max-nodes", "0"], 2, "at least 1"),
        (["trace", "--prompt", "x", "--model", "toy", "--target", "two words here"], 2, "one was wanted"),
        (["trace", "--prompt", "x", "--model", "toy", "--dictionary", "none"], 2, "none"),
        (["trace", "--prompt", PROMPT, "--model", "toy", "--memory", "0.000001"], 2, "fewer nodes (max_nodes)"),
        (["lens", "--prompt", "x", "--model", "/no/such/model"], 2, "no model file"),
        (["lens", "--prompt", "x", "--model", "toy", "--position", "99"], 2, "no position 99"),
        (["harvest", "--model", "toy", "--sites", "resid_pots.1"], 2, "Did you mean resid_post"),
        (["harvest", "--model", "toy", "--text", "nowhere.txt"], 2, "nowhere"),
        (["harvest", "--model", "toy", "--sites", "mlp_in.1", "--dtype", "int8"], 2, "int8"),
        (["harvest", "--model", "toy", "--sites", "mlp_in.1", "--name", "../x"], 2, "cannot name"),
        (["harvest", "--model", "toy", "--batch", "0", "--dry-run"], 2, "batch is 0"),
        (["harvest", "--model", "toy", "--seed", "-1"], 2, "seed is -1"),
        (["train", "--cache", "x", "--seed", "-1"], 2, "seed is -1"),
        (["train", "--cache", "x", "--k", "0"], 2, "k is 0"),
        (["eval", "--dictionary", "x", "--cache", "x", "--max-tokens", "0"], 2, "max_tokens is 0"),
        (["train", "--cache", "none"], 2, "none"),
        (["train", "--cache", "x", "--kind", "gan"], 2, "kind is 'gan'; one of"),
        (["eval", "--dictionary", "none", "--cache", "none"], 2, "none"),
        (["serve", "--host", "0.0.0.0", "--no-browser"], 2, "token"),
        (["frob"], 2, "frob"),
        (["trace"], 2, "needs prompt"),
    ],
)
def test_bad_input_gets_a_sentence_and_code_2(arguments, code, words, home, capsys):
    found, out, err = call(arguments, capsys)
    assert found == code and words in err and "Traceback" not in err and out == ""


def test_every_command_explains_itself(capsys):
    names = [command.name for command in cli().registered_commands]
    assert {"import", "export", "eval", "harvest"} <= set(names)
    for name in names:  # brackets in a help text are markup: `[/folder]` would close a tag that was never opened
        assert run([name, "--help"]) == 0
        assert "--help" in capsys.readouterr().out


def test_dry_runs_say_what_it_takes_and_write_nothing(home, capsys):
    for arguments in (
        ["harvest", "--model", "toy", "--sites", "mlp_in.1,mlp_out.1", "--tokens", "2000"],
        ["trace", "--prompt", PROMPT, "--model", "toy"],
    ):
        code, out, _ = call([*arguments, "--dry-run", "--json"], capsys)
        assert code == 0 and json.loads(out)["seconds"] > 0
    assert not list(home.rglob("*.safetensors"))


def test_a_sweep_begins_with_its_own_kinds_and_rules(home, capsys):
    assert call([*HARVEST, "--name", "c"], capsys)[0] == 0
    code, out, _ = call(["sweep", "--cache", "c", "--d-dict", "64", "--dry-run"], capsys)
    assert code == 0 and out.startswith("6 dictionaries, ")
    code, out, _ = call(
        ["sweep", "--cache", "c", "--d-dict", "64", "--rule", "topk:4", "--seed", "1", "--dry-run"], capsys
    )
    assert code == 0 and out.startswith("2 dictionaries, ")


@pytest.mark.slow
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
    assert reports[0]["sites"] == ["blocks.1.mlp.hook_in", "blocks.1.mlp.hook_out"]
    assert reports[0]["statistics"][1]["site"] == "mlp_out.1"
    assert reports[3]["kind"] == "transcoder" and reports[3]["fvu"] < 1.5 and reports[3]["n_tokens"] > 0
    assert reports[4]["nodes_by_kind"]["latent"] > 0 and reports[4]["conservation_residual"] <= 1e-5
    assert call(["doctor", "--json"], capsys)[0] == 0
    code, _, err = call(steps[0], capsys)
    assert code == 2 and "exists already" in err
    assert call([*steps[0], "--resume"], capsys)[0] == 0


HARVEST = ["harvest", "--model", "toy", "--sites", "mlp_in.1,mlp_out.1", "--tokens", "2000"]
TRAIN = ["train", "--d-dict", "16", "--k", "2", "--epochs", "1"]


@pytest.mark.slow
def test_training_again_does_not_overwrite(home, capsys):
    for name in ("c", "e"):
        assert call([*HARVEST, "--name", name], capsys)[0] == 0
    train = [*TRAIN, "--cache", "c"]
    assert call(train, capsys)[0] == 0
    code, _, err = call(train, capsys)
    assert code == 2 and "exists already" in err
    assert call([*train, "--resume"], capsys)[0] == 0
    assert call([*TRAIN, "--cache", "e"], capsys)[0] == 0  # another cache, another default name
    assert {p.name[:2] for p in place("dictionary", "x").parent.iterdir()} == {"c-", "e-"}


@pytest.mark.parametrize("spoil", [lambda p: p.write_bytes(p.read_bytes()[:-9]), lambda p: p.write_bytes(b"")])
def test_damaged_statistics_are_made_again(home, capsys, spoil):
    assert call([*HARVEST, "--name", "c"], capsys)[0] == 0
    path, shard = (place("cache", "c") / f"{n}.safetensors" for n in ("stats", "shard-00000"))
    before = path.read_bytes(), shard.read_bytes()
    spoil(path)
    code, _, err = call(["train", "--cache", "c"], capsys)
    assert code == 1 and "openwork harvest --repair --name" in err
    spoil(shard)
    code, out, _ = call(["harvest", "--repair", "--name", "c", "--json"], capsys)
    assert code == 0 and json.loads(out)["damaged"] == [shard.name, path.name]
    assert (path.read_bytes(), shard.read_bytes()) == before


def test_damaged_tokens_cannot_be_made_again(home, capsys):
    assert call([*HARVEST, "--name", "c"], capsys)[0] == 0
    path = place("cache", "c") / "tokens.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for arguments in (["train", "--cache", "c"], ["harvest", "--repair", "--name", "c"]):
        code, _, err = call(arguments, capsys)
        assert code == 1 and "harvest again under another name" in err


def test_ctrl_c_says_how_to_continue(home, capsys, monkeypatch):
    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("probe.activations.harvest_text.harvest", pressed)
    code, out, err = call([*HARVEST, "--name", "c"], capsys)
    assert code == 130 and out == "" and "Stopped. Finished parts are kept; add --resume" in err


def test_the_commands_take_what_the_settings_declare():
    """Names, defaults and bounds stand in the dataclass; none is said again."""
    from dataclasses import fields
    from inspect import signature

    from app.commands.methods.old_names import OLD_NAMES
    from probe.training.config import TrainConfig

    offered = signature(next(one for one in OLD_NAMES if one.typed == "train").command()).parameters
    for field in fields(TrainConfig):
        name = {"precision": "bfloat16"}.get(field.name, field.name)
        assert name in offered
        if field.name not in ("precision", "start", "aux_k"):
            assert offered[name].default == str(field.default), field.name


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
    del value["digest"]
    manifest.write_text(json.dumps(value))
    code, _, err = call(["harvest", "--model", "toy", "--name", "c", "--repair"], capsys)
    assert code == 2 and "was made from" in err


@pytest.mark.slow
def test_the_demo_reports_every_step_with_its_baseline(demo_home):
    _, _, report = demo_home
    assert report["steps"][0]["step"] == "load the model" and len(report["steps"]) == 8
    assert report["conservation_residual"] <= 1e-5
    assert all(report[g]["intervention_check"]["worst"] < 1e-4 for g in ("demo-neurons", "demo-transcoder"))
    assert {"fvu", "fvu_affine", "l0", "dead_share", "ce", "ce_spliced", "ce_zero", "ce_mean"} <= set(
        report["evaluation"]
    )


@pytest.mark.slow
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
    shutil.rmtree(next(place("result", "x").parent.glob("demo-layer1-*-evaluation*")))
    again = run_demo(config).to_dict()
    found = {s["step"]: s["found_finished"] for s in again["steps"]}
    assert found["train a skip transcoder"] and not found["judge it"] and not found["trace with it"]
    assert again["evaluation"]["fvu"] == report["evaluation"]["fvu"]
    assert again["demo-transcoder"]["conservation_residual"] == report["demo-transcoder"]["conservation_residual"]


@pytest.mark.slow
def test_a_demo_of_another_prompt_does_not_reuse_the_graph(demo_home, monkeypatch, tmp_path):
    from dataclasses import replace

    home, config, _ = demo_home
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "copy"))
    again = run_demo(replace(config, prompt="one two three")).to_dict()
    found = {s["step"]: s["found_finished"] for s in again["steps"]}
    assert not found["trace in the neuron basis"] and found["harvest layer 1"]
    assert again["demo-neurons"]["prompt"] == "one two three"


@pytest.mark.slow
def test_a_demo_of_other_settings_stands_beside_the_first(demo_home, texts, monkeypatch, tmp_path):
    """Other text, other sparsity: nothing is refused, nothing reused that is of other data, the first is still there."""
    from dataclasses import replace

    home, config, report = demo_home
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "copy"))
    other = tmp_path / "other.jsonl"
    other.write_text(Path(texts).read_text().replace("France", "wheels"))
    for changed, reused in ((replace(config, text=str(other)), set()), (replace(config, k=4), {"harvest layer 1"})):
        found = {s["step"] for s in run_demo(changed).to_dict()["steps"] if s["found_finished"]}
        assert found - {"trace in the neuron basis"} == reused
    again = run_demo(config).to_dict()
    assert {"harvest layer 1", "train a skip transcoder", "judge it"} <= {
        s["step"] for s in again["steps"] if s["found_finished"]
    }
    assert again["evaluation"] == report["evaluation"]


def test_the_demo_names_of_the_default_settings_are_plain():
    from circuits.demo.run import _data_suffix, _training_suffix

    assert _data_suffix(DemoConfig(), None, None) == _training_suffix(DemoConfig()) == ""
    assert _training_suffix(DemoConfig(k=8)) == "-k8-epochs3"


@pytest.mark.slow
def test_the_demo_does_not_take_a_dictionary_of_a_cache_that_is_gone(demo_home, texts, monkeypatch, tmp_path):
    """Even where names agree: a dictionary says which data it was trained on."""
    from dataclasses import replace

    from probe.errors import BadInput

    home, config, _ = demo_home
    monkeypatch.setattr("circuits.demo.run._data_suffix", lambda *_: "")
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "copy"))
    run_demo(config)
    shutil.rmtree(place("cache", "demo-layer1"))
    other = tmp_path / "other.jsonl"
    other.write_text(Path(texts).read_text().replace("France", "wheels"))
    with pytest.raises(BadInput, match="data was"):
        run_demo(replace(config, text=str(other)))


@pytest.mark.slow
def test_the_demo_command_prints_one_report(demo_home, texts, monkeypatch, capsys):
    home, _, _ = demo_home
    monkeypatch.setenv("OPENWORK_HOME", str(home / "fresh"))
    monkeypatch.setattr("circuits.demo.run.DemoConfig.epochs", 1)
    code, out, _ = call(["demo", "--no-serve", "--model", "toy", "--text", texts, "--tokens", "9000"], capsys)
    assert code == 0
    for words in ("What comes next", "Attribution graphs", "best affine map", "Times", "openwork serve"):
        assert words in out
    assert Path(home / "fresh" / "results" / "demo" / "report.json").is_file()


def test_rows_of_different_keys_stand_under_their_own(capsys):
    from probe.show.terminal import print_rows

    print_rows([{"a": 1, "b": "x"}, {"b": "y", "c": 2.5}])
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["a", "b", "c"] and rows == [["1", "x"], ["y", "2.5"]]
