"""The trace form asks what Python and the command ask: which token, rather than which, in what basis, with which heads."""

import shlex

import numpy as np
import pytest

from app.cli import run as cli_run
from app.jobs import again as repeating
from app.jobs import readings
from app.jobs import table as jobs
from app.library import models, prompts
from app.library.trace_asked import TraceAsked, meant
from app.pages.circuit import panels as graph_panels
from app.pages.prompt import trace as prompt_trace
from app.pages.prompt import work
from app.pages.prompt import work as prompt_work
from circuits import Difference, TraceConfig, trace
from circuits.graph.store import load_graph
from probe import busy as quiet
from probe.artifacts.folder import place
from probe.errors import BadInput

PROMPT = "one two three"


@pytest.fixture
def read(home, toy):
    """A prompt that was read, and its predictions."""
    models.model_named("toy")
    readings.read_prompt("toy", PROMPT)
    return prompts.store(PROMPT, "toy"), prompt_trace.predictions("toy", PROMPT)


def form(basis="neurons", nodes=30, heads="", target="", minus=""):
    return basis, None, nodes, heads, target, minus


def test_rather_than_is_asked_from_the_form_and_the_same_in_all_doors(read, toy):
    prompt, _ = read
    (best, word), (other, _) = [(i, t) for i in range(200) if isinstance(t := prompt_work._as_text(toy, i), str)][3:5]
    args = {"model": "toy", "id": prompt.id}
    link = prompt_trace.started(args, *form("components", target=f"#{best}", minus=f"#{other}"))
    job = jobs.job_table().wait(jobs.job_table().all()[0].id)
    assert job.state == "done", job.message
    made = load_graph(place("graph", link.rpartition("/")[2]))
    config = TraceConfig(max_nodes=30, basis="components")
    same = trace(toy, PROMPT, target=Difference(best, other), config=config)
    assert made.nodes.where("mlp").any() and made.nodes.where("head").any() and not made.nodes.where("neuron").any()
    np.testing.assert_allclose(made.nodes.value, same.nodes.value)
    (root,) = np.flatnonzero(made.roots)
    logits = toy(PROMPT)[0, -1]
    assert made.nodes.value[root] == pytest.approx(float(logits[best] - logits[other]), rel=1e-4)
    assert made.facts["asked"]["target"] == word  # by its text, for people
    python, shell = graph_panels.made_again(made, "g")
    names: dict = {}
    exec(python, names)
    assert cli_run([*shlex.split(shell)[1:], "--save", "again"]) == 0
    for again in (names["graph"], load_graph(place("graph", "again"))):
        np.testing.assert_allclose(again.nodes.value, made.nodes.value)
    repeating.TASKS["trace"](job.again[1])  # from what the job's file remembers: the same graph, under the same name
    assert jobs.job_table().all()[0].link == link


def test_another_question_is_another_graph_and_the_plain_one_keeps_its_name(read):
    prompt, ((best, _, _), *_) = read
    args = {"model": "toy", "id": prompt.id}
    plain = prompt_trace.started(args, *form(nodes=None))
    assert plain == work.start_trace("toy", PROMPT) == work.start_trace("toy", PROMPT, TraceAsked())
    links = {prompt_trace.started(args, *form(nodes=None, target=f"#{best}")), plain}
    links |= {prompt_trace.started(args, *form(nodes=None, heads="all")), prompt_trace.started(args, *form())}
    assert len(links) == 4


def test_tokens_are_meant_as_people_write_them(read):
    _, found = read
    known = [(7, " Paris"), (8, "Paris"), (9, " Rome")]
    assert meant("#9", known) == 9 and meant("Rome", known) == 9 and meant(" Paris", known) == 7
    assert meant("Oslo", known) == "Oslo" and meant("", known) is meant(None, known) is meant(" ", known) is None
    offered = prompt_trace.offered("toy", PROMPT, "")
    assert [o["value"] for o in offered] == [f"#{i}" for i, *_ in found] and "%" in offered[0]["label"]
    for typed in ("xq", "the token “xq”"):  # what was written stays chosen
        assert {"value": "xq", "label": "the token “xq”"} in prompt_trace.offered("toy", PROMPT, typed, "xq")
    asked = prompt_trace.asked("toy", PROMPT, form(minus=f"#{found[1][0]}"))
    assert (asked.target, asked.minus) == (
        found[0][0],
        found[1][0],
    )  # rather than alone: the likeliest, rather than this


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"heads": "3-x"}, "layers of heads"),
        ({"basis": "newest"}, "transcoder"),
        ({"basis": "chosen"}, "at least one"),
        ({"nodes": 0}, "whole number"),
    ],
)
def test_what_cannot_be_is_said_before_it_starts(read, given, words):
    prompt, _ = read
    with pytest.raises(BadInput, match=words):
        prompt_trace.started({"model": "toy", "id": prompt.id}, *form(**given))
    with pytest.raises(BadInput, match="the same"):
        prompt_trace.asked("toy", PROMPT, form(target="#5", minus="#5"))
    assert not jobs.job_table().all()


def test_a_plan_is_for_a_quiet_machine_and_says_when_this_one_is_not(read, monkeypatch):
    monkeypatch.setattr(quiet, "load_per_core", lambda: 0.2)
    words, may = prompt_trace.plan_words("toy", PROMPT, TraceAsked(max_nodes=30))
    assert may and words.endswith("on a quiet machine.")
    monkeypatch.setattr(quiet, "load_per_core", lambda: 6.0)
    assert "busy now, so perhaps 6 times as long" in prompt_trace.plan_words("toy", PROMPT, TraceAsked(max_nodes=30))[0]
