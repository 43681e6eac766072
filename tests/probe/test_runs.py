"""Training runs on disk: logs read as they grow, thinned without losing a peak, described without torch; jobs that make them."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.cli import run
from probe.artifacts.folder import place
from probe.artifacts.names import partial
from probe.errors import BadInput
from probe.evaluation.figures import judged_figure
from probe.evaluation.results import Judged
from probe.training.run_logs.compare_runs import RunComparison, differing
from probe.training.run_logs.curves import ALL, MOST, RunLog, extremes, points_each, smoothed
from probe.training.run_logs.figures import TITLES, run_styles, runs_figure
from probe.training.run_logs.runs_on_disk import TrainingRun, run_named, runs


def line(step: int, **more) -> str:
    found = {
        "step": step,
        "tokens": 100 * step,
        "loss": 1 / step,
        "fvu": 0.5,
        "l0": 8.0,
        "dead_share": 0.0,
        "seconds": step / 10,
    }
    return json.dumps({**found, **more}) + "\n"


def test_a_log_is_read_as_it_grows_and_a_torn_line_waits(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = RunLog(path)
    assert log.grow() == 0 and log.last() == {}
    path.write_text(line(1) + line(2) + line(3)[:20])
    assert log.grow() == 2 and log.damaged == 0
    with path.open("a") as file:
        file.write(line(3)[20:] + line(4))
    assert log.grow() == 2
    assert log.series("step").tolist() == [1, 2, 3, 4] and log.series("loss")[2] == pytest.approx(1 / 3)
    assert log.grow() == 0 and log.last()["tokens"] == 400


def test_what_was_read_is_not_read_again(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(i) for i in range(1, 200)))
    log = RunLog(path)
    log.grow()
    with path.open("a") as file:
        file.write(line(200))
    pieces = []
    real = Path.open

    def spying(self, *args, **options):
        file = real(self, *args, **options)
        read = file.read
        file.read = lambda *a: pieces.append(read(*a)) or pieces[-1]
        return file

    monkeypatch.setattr(Path, "open", spying)
    assert log.grow() == 1 and sum(map(len, pieces)) == len(line(200))


def test_a_log_that_was_cut_or_replaced_is_read_anew(tmp_path):
    """A resumed training drops the lines after its checkpoint and writes the file anew."""
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1) + line(2) + line(3))
    log = RunLog(path)
    log.grow()
    beside = tmp_path / "other"
    beside.write_text(line(1) + line(2) + line(5) + line(6))
    os.replace(beside, path)
    log.grow()
    assert log.series("step").tolist() == [1, 2, 5, 6]
    path.write_text(line(1))
    log.grow()
    assert log.series("step").tolist() == [1]


def test_damaged_lines_are_counted_and_the_rest_is_kept(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line(1).encode() + b"{half\n[1]\n\n\xff\xfe\n" + line(2, loss=None, extra="x").encode())
    log = RunLog(path)
    log.grow()
    assert log.series("step").tolist() == [1, 2] and log.damaged == 3
    assert np.isnan(log.series("loss")[1]) and np.isnan(log.series("nowhere")).all()


@pytest.mark.parametrize("n", [10, 2000, 2001, 40_000])
def test_thinning_keeps_every_extreme(n):
    y = np.random.default_rng(n).normal(size=n)
    y[n // 3], y[n // 2] = 50, -50
    y[n // 4] = np.nan
    kept = extremes(y, MOST)
    assert len(kept) <= min(n, MOST) and kept[0] == 0 and kept[-1] == n - 1 and (np.diff(kept) > 0).all()
    assert {n // 3, n // 2} <= set(kept.tolist())
    assert np.nanmax(y[kept]) == 50 and np.nanmin(y[kept]) == -50


def test_thinning_of_nothing_but_nan():
    assert len(extremes(np.full(5000, np.nan), 100)) <= 100


def test_smoothing_is_the_mean_of_the_last_lines():
    y = np.array([1.0, 2.0, np.nan, 4.0, 6.0])
    assert smoothed(y, 2) == pytest.approx([1, 1.5, np.nan, 4, 5], nan_ok=True)
    assert smoothed(y, 1) is y
    long = np.random.default_rng(0).normal(size=300)
    slow = [long[max(0, i - 6) : i + 1].mean() for i in range(300)]
    assert smoothed(long, 7) == pytest.approx(slow)


def test_colours_of_runs_shown_do_not_change_when_others_are_added():
    names = [f"run-{i}" for i in range(30)]
    few, many = run_styles(names[:4]), run_styles(names)
    assert all(many[n] == few[n] for n in names[:4]) and len(set(many.values())) == 30


def made(tmp_path, name: str, lines: int, **settings) -> TrainingRun:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(line(i) for i in range(1, lines + 1)))
    log = RunLog(folder / "metrics.jsonl")
    log.grow()
    facts = {"dictionary_kind": "sae", "sparsifier": {"name": "topk", "k": 8}, "seconds": lines}
    return TrainingRun(
        name=name,
        state="finished",
        folder=folder,
        model="toy",
        facts=facts,
        config={"lr": 0.1, "epochs": 1, **settings},
        cache="c",
        log=log,
    )


def test_figure_of_many_long_runs_stays_small(tmp_path):
    few = [made(tmp_path, f"r{i}", 5000) for i in range(3)]
    figure = runs_figure(few)
    assert len(figure.data) == 3 * len(TITLES) and all(len(t.x) <= MOST for t in figure.data)
    assert points_each(40) * 40 * len(TITLES) <= ALL
    assert len(runs_figure(few).to_json()) < 1_000_000
    assert figure.data[0].x[-1] == 500_000 and runs_figure(few, "step").data[0].x[-1] == 5000


def test_only_settings_that_differ_are_listed(tmp_path):
    rows = differing([made(tmp_path, "a", 3), made(tmp_path, "b", 9, epochs=2)])
    assert rows == [{"setting": "epochs", "a": "1", "b": "2"}]
    assert differing([made(tmp_path, "c", 3)]) == []


def test_a_run_shows_how_far_it_is_and_several_stand_side_by_side(tmp_path):
    run = made(tmp_path, "a", 90)
    run.log.damaged = 1
    said, curves, read, settings, lines = run.panels()
    assert said.text == "a, finished after 9,000 tokens in 9 s: loss 0.01111, L0 8, FVU 0.5, dead share 0."
    assert "1 damaged line left out" in read.text and {"setting": "lr", "value": "0.1"} in settings.rows
    assert len(lines.rows) == 60 and lines.rows[0]["step"] == 90 and "60 of 90 lines" in lines.title
    drawn = curves.draw(axis="step", scale="log", smoothed="mean of 5")
    assert drawn.layout.yaxis.type == "log" and drawn.data[0].y[-1] == pytest.approx(
        np.mean([1 / i for i in range(86, 91)]), abs=1e-6
    )
    both = RunComparison([run, made(tmp_path, "b", 3, epochs=2)])
    _, _, last, differ = both.panels()
    assert [row["run"] for row in last.rows] == ["a", "b"] and last.rows[1]["step"] == 3
    assert differ.rows == [{"setting": "epochs", "a": "1", "b": "2"}]
    assert {t.name for t in both.figure().data} == {"a", "b"}


def judged(**more) -> dict:
    return {"name": "<b>n", "kind": "sae", "l0": 8.0, "fvu": 0.4, "fvu_affine": 0.6, "errors": {"fvu": 0.01}, **more}


def test_judged_dictionaries_carry_names_and_baselines():
    figure = judged_figure([judged(), judged(kind="transcoder", name="t", fvu=None), judged(name="u", l0=4.0)])
    assert [list(t.customdata) for t in figure.data] == [["u", "<b>n"]]
    assert [s.y0 for s in figure.layout.shapes] == [0.6] and "affine map 0.6" in figure.layout.annotations[0].text
    assert "<b>" not in figure.data[0].text[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A home with a cache of the toy model, a finished training and one that was cut off."""
    patch = pytest.MonkeyPatch()
    patch.setenv("OPENWORK_HOME", str(tmp_path_factory.mktemp("home")))
    sites = ["--sites", "mlp_in.1,mlp_out.1", "--context", "32", "--tokens", "6000", "--held-out", "0.3"]
    assert run(["harvest", "--model", "toy", "--name", "c", *sites]) == 0
    assert (
        run(["train", "--cache", "c", "--d-dict", "96", "--k", "8", "--epochs", "2", "--batch", "64", "--name", "t"])
        == 0
    )
    yield patch
    patch.undo()


def cut_off(name: str) -> Path:
    """An unfinished run, stopped after some steps."""
    from probe.activations.cache import open_cache
    from probe.errors import Cancelled
    from probe.progress import Watched
    from probe.training.recipes import Recipe, make
    from probe.training.trainer import TrainConfig, train

    cache = open_cache(place("cache", "c"))
    watched = Watched(lambda s: s.stage == "train" and s.done > 1000 and watched.cancel(), interval=0)
    with pytest.raises(Cancelled):
        train(
            make(cache, Recipe("sae", "topk:8", 96)),
            cache,
            TrainConfig(batch=64, log_every=2),
            place("dictionary", name),
            progress=watched,
        )
    return partial(place("dictionary", name))


def test_runs_finished_live_and_interrupted(trained):
    folder = cut_off("half")
    found = {r.name: r for r in runs()}
    assert found["t"].state == "finished" and found["t"].kind == "skip_transcoder" and found["t"].rule == "topk 8"
    assert found["half"].state == "live" and found["half"].config["batch"] == 64 and found["half"].kind == "sae"
    assert found["half"].sites == ["blocks.1.mlp.hook_out"] and found["half"].final()["step"] > 1
    old = time.time() - 3600
    for path in (folder, *folder.iterdir()):
        os.utime(path, (old, old))
    assert run_named("half").state == "interrupted"
    with pytest.raises(BadInput, match="No training run named"):
        run_named("../half")


def test_a_damaged_checkpoint_is_said(trained):
    folder = partial(place("dictionary", "torn"))
    folder.mkdir(parents=True)
    (folder / "checkpoint.safetensors").write_bytes(b"\xff" * 40)
    (folder / "metrics.jsonl").write_text(line(1))
    found = run_named("torn")
    assert "damaged" in found.problem and found.final()["step"] == 1 and found.facts == {}


def test_command_lists_runs(trained, capsys):
    assert run(["runs", "--json"]) == 0
    found = {r["name"]: r for r in json.loads(capsys.readouterr().out)}
    assert found["t"]["state"] == "finished" and 0 < found["t"]["fvu"] < 2 and found["t"]["l0"] == 8
    assert run(["runs"]) == 0 and "skip_transcoder" in capsys.readouterr().out


def test_reading_runs_needs_no_torch():
    code = "import sys, probe.training.run_logs.runs_on_disk, probe.training.run_logs.figures; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_above_one_is_explained_and_one_run_is_one():
    from app.pages.training.judged import not_judged

    row = judged(name="a", on="sotu", result="r", rule="topk:8", ce_recovered_zero=1.146)
    told = Judged([row]).summary()
    assert "judged on sotu" in told and "above 1" in told and "compare CE spliced with CE untouched" in told
    assert "above 1" not in Judged([{**row, "ce_recovered_zero": 0.98}]).summary()
    assert (
        not_judged({"b"}, 2) == ["1 of 2 runs here is not judged; a run's page can do it."]
        and not_judged(set(), 1) == []
    )


def test_judgements_are_drawn_and_listed_with_what_their_numbers_mean():
    rows = [judged(name=n, on="t", result=f"r-{n}", rule="topk:8", kl_spliced=float("nan")) for n in "ab"]
    _, trade, _, table = Judged(rows).panels()
    assert trade.choices == {"measure": ["fvu"]} and trade.draw(measure="fvu").data[0].customdata == ("a", "b")
    assert [r["dictionary"] for r in table.rows] == ["a", "b"] and "kl_spliced" not in table.rows[0]
    assert "squared error over squared deviation" in table.meanings["fvu"] and "judged on" not in table.rows[0]


def test_a_cut_off_training_names_its_latents_without_a_checkpoint(home, monkeypatch):
    from probe.artifacts.manifest import Manifest
    from probe.training.training_request import Asked, asked_by

    sites = ("blocks.1.mlp.hook_in", "blocks.1.mlp.hook_out")
    layout = {"widths": {sites[0]: 64, sites[1]: 32}}
    there = {place("cache", "c"): Manifest("cache", "c", sites=sites, facts={"layout": layout})}
    monkeypatch.setattr("probe.training.training_request.read_manifest", lambda folder, kind: there[folder])
    asked = Asked("c", "t", "transcoder", "topk", 8, 4, 1, 0, {"lr": 0.01, "start": False})
    assert asked.latents == 4 * 64
    assert "--d-dict 256 " in asked.shell(asked.latents) and asked.shell(None, resume=True).endswith(
        "--no-start --resume"
    )
    assert replace(asked, kind="sae").latents == 4 * 32 and replace(asked, cache="x").latents is None
    assert asked_by({"cache": "c", "epochs": 1, "lr": 0.004, "batch": 64}).more == {
        "batch": 64
    }  # the rest is the default
    assert asked_by({"cache": "c"}).name == "c-skip_transcoder-topk-32-x8-s0"
    for wrong in (
        {"factor": 0},
        {"batch": 0},
        {"kind": "crosscoder"},
        {"name": "n" * 121},
        {"depth": 3},
        {"cache": None},
    ):
        with pytest.raises(BadInput):
            asked_by({"cache": "c", **wrong})


def test_a_training_is_asked_for_planned_and_run_by_names(trained):
    from probe.training.training_request import asked_by, asked_of

    asked = asked_by({"cache": "c", "name": "named", "kind": "sae", "k": 4, "factor": 2, "epochs": 1, "batch": 64})
    plan = asked.plan()
    assert plan.steps > 0 and not place("dictionary", "named").exists()
    assert asked.run().folder == place("dictionary", "named")
    assert run_named("named").config["batch"] == 64 and run_named("named").facts["d_dict"] == asked.latents
    assert asked_of("named") is None  # it is finished
