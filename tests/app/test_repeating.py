"""Ended jobs run again from what their rows remember: the same question after a restart, for every task there is."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from harvests import token_set
from records import small_graph

import app
from app.jobs import demo, readings, work
from app.jobs import repeat_job as repeating
from app.jobs import table as jobs
from app.jobs.job import Job
from app.library import prompts, recent_records
from app.methods import method_jobs as method_work
from app.pages.heads import work as head_work
from app.pages.training import work as trainings
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.evaluation.results import judged
from probe.methods.call import Call
from probe.training.training_request import Asked as Training

CLEAN, CORRUPTED = "Mary and John went to Rome", "Mary and Mary went to Rome"
CASES: dict[str, Callable] = {
    "read": lambda p, q: readings.start_reading("toy", p),
    "demo": lambda p, q: demo.start_demo("toy-demo"),
    "plan": lambda p, q: work.submit(trainings.planning(Training("cache", "run", k=4))),
    "heads": lambda p, q: work.submit(readings.patterns_work("toy", p)),
    "head-scores": lambda p, q: work.submit(head_work.scores_work("toy", p, None)),
    "head": lambda p, q: work.submit(head_work.reading_work("toy", p, 1, 2, 7)),
    "method": lambda p, q: work.submit(method_work.work_of(sinks(p))),
}
"""Tasks that need nothing stored but prompts. What needs a graph is in test_graph_pages.py; a training and its judging below."""


OLD = {
    "lens",
    "measure",
    "follow",
    "table",
    "trace",
    "patterns",
    "unit-weights",
    "unit-text",
    "unit-edit",
    "without-head",
    "patch",
}
"""Tasks that only rows of before name."""


def sinks(prompt: prompts.Prompt) -> Call:
    return Call.checked("sinks", "toy", {"prompt": prompt.text, "ratio": 5.0})


def stored() -> tuple[prompts.Prompt, prompts.Prompt]:
    return prompts.store(CLEAN, "toy"), prompts.store(CORRUPTED, "toy")


def restarted(home: Path) -> jobs.Job:
    """The only row, as a server finds it that starts after one that was stopped in the middle."""
    (file,) = (home / "jobs").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "pid": 0}))
    recent_records.forget()
    jobs.forget()
    return jobs.job_table().all()[0]


def interrupted(home: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[[], object]) -> jobs.Job:
    """The row of work that was queued on a server that was then stopped."""
    with monkeypatch.context() as patched:
        patched.setattr(jobs.Jobs, "_loop", lambda *_: None)  # nobody works
        start()
    return restarted(home)


def ran_again(old: jobs.Job) -> jobs.Job:
    assert old.state == "interrupted" and repeating.can_repeat(old)
    repeating.repeat(old.id)
    again = jobs.job_table().wait(jobs.job_table().latest(old.key).id, 120)
    assert again.id != old.id and again.state == "done", again.message
    return again


@pytest.mark.parametrize("name", CASES)
def test_every_task_asks_the_same_again(home, monkeypatch, name):
    p, q = stored()
    old = interrupted(home, monkeypatch, lambda: CASES[name](p, q))
    assert old.state == "interrupted" and repeating.can_repeat(old)
    monkeypatch.setattr(jobs.Jobs, "_loop", lambda *_: None)
    repeating.repeat(old.id)
    again = next(j for j in jobs.job_table().all() if j.id != old.id)
    for field in ("kind", "title", "key", "link", "again", "alone"):  # equal keys are equal questions
        assert getattr(again, field) == getattr(old, field), field


def test_these_are_all_tasks_and_whatever_is_queued_names_one():
    assert {*CASES, *OLD, "train", "test", "groups", "compare"} == set(repeating.TASKS)
    silent = []
    for file in Path(app.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
            if not isinstance(call, ast.Call) or len(call.args) < 3:
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in ("Work", "submit") and not {k.arg for k in call.keywords} & {"again", None}:
                silent.append(f"{file.name}:{call.lineno}")
    assert silent == []


def test_a_sweep_of_before_it_was_a_method_after_a_restart(home, toy):
    """A row of then, asked of the declared method now."""
    from circuits.patching.sweep import patch_sweep

    p, q = stored()
    row = {"model": "toy", "clean": p.id, "corrupted": q.id, "right": " the", "wrong": " and", "metric": "logit_diff"}
    swept = {**row, "over": "heads", "direction": "noise", "control": False}
    for wrong in ({"over": "sideways"}, {"clean": "/etc/passwd"}, {"model": "/etc"}):
        with pytest.raises(BadInput):
            repeating.TASKS["patch"]({**swept, **wrong})
    repeating.TASKS["patch"](swept)
    job = jobs.job_table().wait(jobs.job_table().all()[0].id, 120)
    direct = patch_sweep(toy, CLEAN, CORRUPTED, answers=(" the", " and"), over="heads", direction="noise")
    assert np.allclose(work.result(job.key).effect, direct.effect, atol=1e-5)


def test_a_head_edit_after_a_restart(home, toy, monkeypatch):
    from probe.interventions.edited_run import edited_run
    from probe.interventions.places import head
    from probe.interventions.values import Zero

    stored()
    call = Call.checked("edit", "toy", {"prompt": CLEAN, "changes": ["ablate:L1H2"], "pos": 4})
    ran_again(interrupted(home, monkeypatch, lambda: work.submit(method_work.work_of(call))))
    run = work.result(method_work.key_for(call))
    assert np.allclose(run.kl, edited_run(toy, CLEAN, [Zero(head(1, 2))], pos=4).kl, atol=1e-5) and run.kl.max() > 0


@pytest.mark.parametrize(
    ("task", "arguments", "method", "asked"),
    [
        ("unit-text", {}, "unit-on-text", {"text": CLEAN, "unit": "L1N5"}),
        ("unit-weights", {}, "unit-by-weights", {"unit": "L1N5"}),
        ("lens", {}, "logit-lens", {"prompt": CLEAN}),
        ("follow", {"token": 9}, "follow-token", {"prompt": CLEAN, "target": [9, "final"]}),
        ("follow", {"token": "final"}, "follow-token", {"prompt": CLEAN, "target": ["final", "next"]}),
        (
            "unit-edit",
            {"mode": "steer", "amount": 5.0, "pos": 2, "generate": 3},
            "edit",
            {"prompt": CLEAN, "changes": ["add=5:L1N5@2"], "generate": 3},
        ),
        (
            "without-head",
            {"layer": 1, "head": 2, "how": "mean", "pos": None, "at": 4},
            "edit",
            {"prompt": CLEAN, "changes": ["mean:L1H2"], "pos": 4},
        ),
    ],
)
def test_a_row_of_before_asks_the_method_of_today(home, monkeypatch, task, arguments, method, asked):
    monkeypatch.setattr(jobs.Jobs, "_loop", lambda *_: None)
    unit = {"source": "neuron", "where": "1", "unit": 5, "model": "toy"}
    repeating.TASKS[task]({"model": "toy", "unit": unit, "prompt": stored()[0].id, **arguments})
    (job,) = jobs.job_table().all()
    assert job.key == method_work.key_for(Call.checked(method, "toy", asked))


def test_judging_a_dictionary_after_a_restart(home, toy, monkeypatch):
    from probe.activations.harvest import harvest
    from probe.evaluation.evaluate import evaluate
    from probe.training.recipes import Recipe, make
    from probe.training.trainer import TrainConfig, train

    cache = harvest(toy, token_set(24), ["mlp_in.2", "mlp_out.2"], place("cache", "cache"), held_out=0.2)
    made = make(cache, Recipe("skip_transcoder", "topk:4", 24))
    learned = train(made, cache, TrainConfig(epochs=1, batch=32), place("dictionary", "learned")).dictionary
    call = Call.checked("evaluate", "toy", {"dictionary": "learned", "cache": "cache", "max_tokens": 64})
    old = interrupted(home, monkeypatch, lambda: work.submit(method_work.work_of(call)))
    ran_again(old)
    report, direct = work.result(old.key), evaluate(toy, learned, cache, max_tokens=64)
    assert (report.fvu, report.l0) == (pytest.approx(direct.fvu), pytest.approx(direct.l0))
    (row,) = judged()[0]  # the list of all judgements has it, with its cache
    assert (row["name"], row["fvu"], row["on"]) == ("learned", pytest.approx(direct.fvu), "held-out text of cache")


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        ("head", {"layer": "1"}),
        ("head", {"head": None}),
        ("head", {"prompt": "0" * 12}),
        ("head-scores", {"target": [1]}),
        ("measure", {"model": "toy", "what": 99}),
        ("measure", {"model": "toy", "what": 1, "cache": "gone"}),
        ("plan", {"k": 0}),
        ("heads", {"model": "/etc"}),
        ("method", {"method": "sink"}),
        ("method", {"model": "/etc"}),
        ("method", {"arguments": {}}),
        ("method", {"arguments": {"prompt": "a", "ratio": -1}}),
        ("method", {"asked": {"m": "/etc", "prompt": "0" * 12}}),
        ("method", {"asked": {"m": "toy"}}),
        ("method", {"asked": [1]}),
    ],
)
def test_a_damaged_row_queues_nothing(home, monkeypatch, task, wrong):
    p, q = stored()
    old = interrupted(home, monkeypatch, lambda: CASES.get(task, CASES["method"])(p, q))
    old.again = [task, {**old.again[1], **wrong}]
    monkeypatch.setattr(jobs.Jobs, "_loop", lambda *_: None)
    with pytest.raises(BadInput):
        repeating.repeat(old.id)
    assert jobs.job_table().all() == [old]


def test_a_page_reads_no_file_of_this_machine(home):
    """A corpus may be a file at a shell; by a form, an address or a call over the network it is one of those stored here."""
    asked = {"dictionary": "d", "cache": "c", "texts": ["sotu", "/etc/passwd"]}
    with pytest.raises(BadInput, match="'/etc/passwd' is none of the texts here"):
        method_work.work_of(Call.checked("evaluate", "toy", asked))
    with pytest.raises(BadInput, match="No dictionary named 'd'"):  # the text is one of ours
        method_work.work_of(Call.checked("evaluate", "toy", {**asked, "texts": ["sotu"]}))
    with pytest.raises(BadInput, match=r"'/etc/pairs.jsonl' is none of the tasks here \(ioi, greater-than"):
        method_work.work_of(Call.checked("eap", "toy", {"task": "/etc/pairs.jsonl"}))
    with pytest.raises(
        BadInput, match="is none of the tasks here.*in Python, and by commands without --dashboard"
    ):  # nor is it opened to say what it would take
        method_work.planned(Call.checked("eap", "toy", {"task": "pairs.jsonl"}))


def test_a_page_opens_no_folder_of_where_it_was_started_and_no_link(home, tmp_path, monkeypatch):
    """Python and the shell name a graph by its folder too; a form, an address or a call over the network does not."""
    small_graph().save(tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    place("graph", "linked").parent.mkdir(parents=True)
    place("graph", "linked").symlink_to(tmp_path / "here")
    for name in ("here", "linked"):
        with pytest.raises(BadInput, match=f"No graph named '{name}' is stored here"):
            method_work.work_of(Call.checked("node-edges", "", {"graph": name, "node": "0"}))


@pytest.mark.parametrize("name", ["../../x", ".hidden", ["a"], "taken"])
def test_a_row_names_neither_a_place_elsewhere_nor_what_is_there_already(home, name):
    place("result", "taken").mkdir(parents=True)
    queue = jobs.job_table()
    row = Job(
        "row", "method", "A row", state="failed", again=["method", {**sinks(stored()[0]).to_dict(), "name": name}]
    )
    queue._jobs[row.id] = row
    with pytest.raises(BadInput, match="name|exists already"):
        repeating.repeat(row.id)
    assert [job.id for job in queue.all()] == [row.id]
