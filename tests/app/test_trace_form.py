"""The trace form asks what Python and the command ask: which token, rather than which, in what basis, with which heads."""

import shlex
import shutil

import numpy as np
import pytest

from app.cli import run as cli_run
from app.jobs import readings
from app.jobs import repeat_job as repeating
from app.jobs import table as jobs
from app.jobs import work as waiting
from app.library import models, prompts
from app.methods import block
from app.methods import method_jobs as methods
from app.pages.circuit import panels as graph_panels
from app.pages.prompt import trace as prompt_trace
from circuits import Difference, TraceConfig, trace
from circuits.graph.store import load_graph
from circuits.replacement.stored import newest_transcoders
from probe import busy as quiet
from probe.artifacts.folder import place
from probe.dictionaries import SAE, TopK, Transcoder, save_dictionary
from probe.errors import BadInput
from probe.methods.call import Call

PROMPT = "one two three"


@pytest.fixture
def read(home, toy):
    """A prompt that was read, and its predictions."""
    models.model_named("toy")
    readings.read_prompt("toy", PROMPT)
    return prompts.store(PROMPT, "toy"), [token for token, _ in prompt_trace.predicted("toy", PROMPT)]


def asked(target="", minus="", **fields) -> Call:
    """The call of what stands in the form."""
    boxes = {"basis": "auto", "heads": "", "max_nodes": 30, "dictionaries": [], **fields}
    ids, tokens = [{"of": name, "part": ""} for name in boxes], [{"of": "target", "part": p} for p in ("", "minus")]
    filled = (list(boxes.values()), ids, [target, minus], tokens, [], [], {})
    return block.asked_by({"method": "trace", "model": "toy"}, {"prompt": PROMPT}, None, *filled)


def started(call: Call) -> jobs.Job:
    job = jobs.job_table().wait(jobs.job_table().latest(waiting.submit(methods.work_of(call))).id)
    assert job.state == "done", job.message
    return job


def test_rather_than_is_asked_from_the_form_and_the_same_in_all_doors(read, toy):
    best, other = read[1][2:4]
    job = started(asked(f"id:{best}", f"id:{other}", basis="components"))
    name = job.link.removeprefix("/circuits/")
    made = load_graph(place("graph", name))
    assert methods.maker_of(name).id == job.id  # whose progress the circuit's page shows
    config = TraceConfig(max_nodes=30, basis="components")
    same = trace(toy, PROMPT, target=Difference(best, other), config=config)
    assert made.nodes.where("mlp").any() and made.nodes.where("head").any() and not made.nodes.where("neuron").any()
    np.testing.assert_allclose(made.nodes.value, same.nodes.value)
    (root,) = np.flatnonzero(made.roots)
    logits = toy(PROMPT)[0, -1]
    assert made.nodes.value[root] == pytest.approx(float(logits[best] - logits[other]), rel=1e-4)
    python, shell = graph_panels.made_again(made, "g")
    names: dict = {}
    exec(python, names)
    assert cli_run([*shlex.split(shell)[1:], "--save", "again"]) == 0
    for again in (names["graph"], load_graph(place("graph", "again"))):
        np.testing.assert_allclose(again.nodes.value, made.nodes.value)


def test_another_question_is_another_graph_and_an_equal_one_is_there(read):
    best, plain = read[1][0], asked(max_nodes=None)
    others = (asked(f"id:{best}", max_nodes=None), asked(heads="all", max_nodes=None), asked())
    assert len({methods.kept_as(call) for call in (plain, *others)}) == 4
    job = started(plain)
    shutil.rmtree(place("graph", methods.kept_as(plain)))
    methods.keep_artifact(
        plain, waiting.submit(methods.work_of(plain))
    )  # its result is kept, and the graph was removed
    assert len(jobs.job_table().all()) == 1 and load_graph(job.link.removeprefix("/circuits/")).prompt == PROMPT


def test_a_row_of_before_asks_the_same(read, monkeypatch):
    monkeypatch.setattr(jobs.Jobs, "_loop", lambda *_: None)
    row = {"model": "toy", "prompt": read[0].id, "max_nodes": 30, "dictionaries": [], "basis": "components"}
    repeating.TASKS["trace"]({**row, "heads": "", "target": 5, "minus": 7})
    (job,) = jobs.job_table().all()
    assert job.key == methods.key_for(asked("id:5", "id:7", basis="components"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"heads": "3-x"}, "heads is"),
        ({"dictionaries": ["gone"]}, "gone"),
        ({"max_nodes": 0}, "at least 1"),
        ({"max_nodes": 10**9, "basis": "components"}, None),
        ({"target": "two words here"}, "one was wanted"),
    ],
)
def test_what_cannot_be_is_said_before_it_starts(read, given, words):
    if words is None:  # more than there are
        assert "edges" in methods.planned(asked(**given))
        return
    with pytest.raises(BadInput, match=words):
        methods.planned(asked(**given))
    assert not jobs.job_table().all()


def test_a_plan_is_for_a_quiet_machine_and_says_when_this_one_is_not(read, monkeypatch):
    monkeypatch.setattr(quiet, "load_per_core", lambda: 0.2)
    assert methods.planned(asked()).endswith("on a quiet machine.")
    monkeypatch.setattr(quiet, "load_per_core", lambda: 6.0)
    assert "busy now, so perhaps 6 times as long" in methods.planned(asked())


def test_dictionaries_that_can_stand_in_a_graph_are_told_by_their_manifests(read, toy):
    """And what a trace with them would take, without their weights."""
    width = toy.cfg.d_model
    for name, written in (("old", 0), ("new", 0), ("across", 1)):
        sites = {"site_in": "mlp_in.0", "site_out": f"mlp_out.{written}"}
        made = Transcoder(width, 4096, width, sparsifier=TopK(2), **sites)
        save_dictionary(made, place("dictionary", name), model=toy)
    save_dictionary(SAE(width, 64, sparsifier=TopK(2), site="resid_pre.2"), place("dictionary", "sae"), model=toy)
    assert newest_transcoders("toy") in (["new"], ["old"])  # made within one second
    assert newest_transcoders("other") == []
    small, wide = asked(max_nodes=5000), asked(max_nodes=5000, dictionaries=["new"])
    (place("dictionary", "new") / "weights.safetensors").unlink()
    assert methods.planned(small) != methods.planned(wide)
    with pytest.raises(BadInput, match="cannot stand in a graph"):
        methods.planned(asked(dictionaries=["across"]))


def test_a_plan_runs_no_model_that_the_worker_may_be_running(read, toy, monkeypatch):
    """Edges are planned by a pass of one pair; hooks of two passes at once would be in each other's way."""
    toy_there, forward = models.in_memory("toy"), type(toy).forward
    ran: list[object] = []
    monkeypatch.setattr(type(toy), "forward", lambda model, *a, **k: ran.append(model) or forward(model, *a, **k))
    assert "run" in methods.planned(Call.checked("eap", "toy", {"task": "greater-than", "n": 2}))
    assert ran and all(one is not toy_there for one in ran)
    shared = {p.data_ptr() for p in toy_there.parameters()}
    assert {p.data_ptr() for p in ran[0].parameters()} == shared
