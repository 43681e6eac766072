"""Circuits' analyses as they are asked from any door: a graph by its name, nodes in words, one call that says all of it."""

import numpy as np
import pytest

import openwork as ow
from circuits.graph.graph_arguments import nodes_named, own_dictionaries
from circuits.validation.tested_nodes import as_rule, chosen_nodes
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.methods.kinds import KINDS
from probe.methods.plain_kinds import NotPlain
from probe.show.panels import Figure, Sentence

PROMPT, OTHER = "The capital of France", "The capital of Italy"


@pytest.fixture(scope="module")
def toy():
    return ow.load_model("toy")


@pytest.fixture
def graph(home, toy):
    """A graph of the toy model, stored as `capital` with its three strongest units pinned."""
    made = ow.trace(toy, PROMPT, max_nodes=60)
    made.pinned.extend(ow.most_influential(3)(made))
    made.save(place("graph", "capital"), model=toy)
    return made


def test_nodes_are_named_one_by_one_and_by_what_they_are(graph):
    strongest = ow.most_influential(5)(graph)
    assert nodes_named(graph, "top:5") == strongest == ow.most_influential(5)(graph)
    assert nodes_named(graph, "pinned") == graph.pinned
    name = graph.name(strongest[0]).split(" ")[0]
    assert nodes_named(graph, f"{name}, top:2") == [strongest[0], *strongest[:2]]
    quoted = graph.name(strongest[1])  # with its token, which may hold a comma
    assert nodes_named(graph, quoted) == [strongest[1]] == nodes_named(graph, [strongest[1]])
    assert chosen_nodes(graph, ["pinned", name]).tolist() == sorted(set(graph.pinned))
    assert as_rule(["top:4"])(graph) == strongest[:4] and as_rule([name]) == [name]  # in another graph it chooses anew
    graph.pinned.clear()
    with pytest.raises(BadInput, match="Nothing is pinned"):
        nodes_named(graph, "pinned")
    with pytest.raises(BadInput, match="at least 1"):
        as_rule("top:0")


def test_one_test_answers_all_that_was_asked_and_its_call_asks_it_again(graph, toy):
    asked = {"n_random": 3, "mode": "patch", "restore": OTHER, "sufficient": True, "generate": 2}
    tried = ow.subgraph_test(toy, "capital", "top:4", **asked)
    test = ow.check_subgraph(toy, graph, ow.most_influential(4), mode="restore", restore=OTHER, n_random=3)
    alone = ow.check_sufficiency(toy, graph, ow.most_influential(4), n_random=3)
    assert tried.test.to_dict() == test.to_dict() and tried.alone.to_dict() == alone.to_dict()
    assert tried.to_dict().keys() == {*test.to_dict(), "graph", "sufficiency", "generated"} and tried.graph == "capital"
    call = ow.call_of(tried)
    assert call.arguments == {**asked, "graph": "capital", "nodes": ["top:4"], "restore": [OTHER]}
    assert call.run(toy).to_dict() == tried.to_dict()
    assert "--nodes top:4 --mode patch --restore" in call.shell()
    back = type(tried).load(tried.save(place("result", "kept")))
    assert back.to_dict() == tried.to_dict() and ow.call_of(back) == call
    plan = call.plan(toy)
    assert (plan.nodes, plan.prompts, plan.forward_passes) == (4, 1, 3 + 5 + 3 + 3)


def test_what_there_is_to_see_of_a_test(graph, toy):
    tried = ow.subgraph_test(toy, graph, "pinned", n_random=20, sufficient=True)
    panels = tried.panels()
    figure, share, verdicts = panels[:3]
    meaning, alone = [p.text for p in panels if isinstance(p, Sentence)]
    assert meaning.startswith("Ablating the 3 nodes (L") and "That is" in meaning
    assert "random subgraphs of as many nodes of the same kinds and layers" in meaning
    assert alone.startswith("Alone, with the other") and "the 3 units keep" in alone
    assert len(figure.draw().data) > 3 and isinstance(share, Figure)
    assert len(verdicts.rows) == len(tried.verdicts) and {r["question"] for r in verdicts.rows} >= {"enough alone"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"mode": "scale"}, "needs a factor"),
        ({"factor": 2.0}, "takes no factor; scale does"),
        ({"mode": "double"}, "one of ablate, scale, clamp, patch"),
        ({"graph": "nowhere"}, "no graph 'nowhere'"),
        ({"nodes": "L77N1@1"}, "no node"),
        ({"nodes": [-3]}, "nodes"),
        ({"n_random": -1}, "n_random is -1; a whole number"),
    ],
)
def test_a_wrong_question_gets_a_sentence_before_anything_runs(graph, toy, asked, words):
    with pytest.raises(BadInput, match=words):
        ow.subgraph_test(toy, **{"graph": "capital", "nodes": "pinned", **asked})


def test_a_graph_brings_the_dictionaries_it_names(graph, toy):
    assert own_dictionaries(toy, graph) == [] and own_dictionaries(toy, graph, ["one"]) == ["one"]
    graph.dictionaries["1"] = "unstored (mlp_in.1)"
    with pytest.raises(BadInput, match="never stored"):
        own_dictionaries(toy, graph)


def test_a_trace_is_a_call_with_its_settings(home, toy):
    graph = ow.trace(
        toy, PROMPT, target=ow.Difference(" the", " of"), config=ow.TraceConfig(max_nodes=20, heads=[1, 2])
    )
    call = ow.call_of(graph)
    assert call.arguments["max_nodes"] == 20 and call.arguments["heads"] == "1,2"
    assert (
        "--target ' the' --target-minus ' of' --max-nodes 20 --heads 1,2" in call.shell() or "--minus" in call.shell()
    )
    again = call.run(toy)
    assert np.array_equal(again.edges.weight, graph.edges.weight) and again.nodes.where("head").any()
    assert ow.call_of(ow.trace(toy, PROMPT, max_nodes=9, target=ow.Direction(toy.W_U[:, 3], "resid_post.1"))) is None


@pytest.mark.parametrize(
    ("kind", "given", "plain"),
    [
        ("HeadLayers", True, True),
        ("HeadLayers", [3, 5, 6], "3,5,6"),
        ("HeadLayers", "none", False),
        ("Through", [(2, 3), (4, 0)], "L2H3,L4H0"),
        ("Through", "heads", "heads"),
        ("ChosenNodes", [3, "L5N1@2"], ["3", "L5N1@2"]),
        ("ChosenNodes", "L5N1, L6N2", ["L5N1", "L6N2"]),
        ("ChosenNodes", "logit ',', L5N1,token@3 'at'", ["logit ','", "L5N1", "token@3 'at'"]),
        ("ChosenNodes", "logit '", ["logit '"]),
        ("ChosenNodes", ow.most_influential(7), ["top:7"]),
        ("ChangeMode", "zero", "ablate"),
        ("TokenOrUnit", ow.neuron(5, 3), "L5N3"),
        ("BasisName", "mixed", "mixed"),
        ("GraphName", "capital", "capital"),
    ],
)
def test_a_value_is_kept_as_it_is_written(kind, given, plain):
    one = KINDS[kind]
    assert one.plain(given) == plain and one.check(plain) == plain
    assert one.parse(one.text(plain)) == plain


@pytest.mark.parametrize(
    ("kind", "given"),
    [("GraphName", __file__), ("ChosenNodes", lambda graph: [1]), ("BasisName", ["mlp"] * 4), ("Unit", (5, 3))],
)
def test_what_no_file_could_hold_is_no_call(kind, given):
    with pytest.raises(NotPlain):
        KINDS[kind].plain(given)


def test_a_trace_is_stored_as_a_graph_from_every_door(home, capsys):
    from app import links
    from app.cli import run
    from app.jobs import work as jobs
    from app.jobs.table import job_table
    from app.methods import method_jobs, result_links

    asked = ["--prompt", PROMPT, "--model", "toy", "--max-nodes", "9"]
    assert run(["circuits", "trace", *asked, "--save", "mine"]) == 0
    assert "Stored as mine" in capsys.readouterr().err and ow.load_graph("mine").prompt == PROMPT
    assert run(["circuits", "trace", *asked, "--save", "mine"]) == 2
    call = ow.Call.checked("trace", "toy", {"prompt": PROMPT, "max_nodes": 9})
    assert result_links.ways(call) == []
    job = job_table().latest(jobs.submit(method_jobs.work_of(call)))
    assert job_table().wait(job.id).state == "done"
    (chip,) = result_links.ways(call)
    assert chip.href == links.circuit_page(method_jobs.kept_as(call)) and method_jobs.kept_as(call).startswith(
        "the-capital-of-france-"
    )
    assert np.array_equal(ow.load_graph(method_jobs.kept_as(call)).edges.weight, ow.load_graph("mine").edges.weight)
