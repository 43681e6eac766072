"""`openwork graph heads` and `graph qk` on a stored graph of the toy model."""

import json

import numpy as np
import pytest

from app.cli import run
from circuits.attribution.config import TraceConfig
from circuits.attribution.trace import trace
from circuits.graph.store import save_graph
from probe.artifacts.folder import place
from probe.model.load import load_model


@pytest.fixture
def graph(home):
    made = trace(load_model("toy"), "The war lasted from", config=TraceConfig(max_nodes=40, max_logits=2))
    save_graph(made, place("graph", "war"))
    return made


def call(capsys, *arguments: str):
    code = run(["graph", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_heads_of_an_edge(graph, capsys):
    target = int(np.flatnonzero(graph.roots)[0])
    code, out, err = call(capsys, "heads", "war", "--target", str(target), "--edges", "3", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert [e["source"]["node"] for e in told["edges"]] == graph.incoming(target).source[:3].tolist()
    for edge, weight in zip(told["edges"], graph.incoming(target).weight, strict=False):
        assert edge["weight"] == pytest.approx(float(weight), rel=1e-3)
        for bypass, heads in zip(edge["bypass"], edge["heads"], strict=True):
            assert bypass + sum(heads) == pytest.approx(edge["weight"], rel=1e-3, abs=1e-4)
    code, out, _ = call(capsys, "heads", "war", "--target", graph.name(target), "--source", "token@1")
    assert code == 0 and "sum to the edge" in out


def test_pairs_of_a_score(graph, capsys):
    code, out, err = call(capsys, "qk", "war", "--head", "L2H1", "--key", "1", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["layer"], told["head"], told["key"]) == (2, 1, 1) and told["gap"] < 1e-3
    assert len(told["top_pairs"]) == 50
    code, out, _ = call(capsys, "qk", "war", "--head", "L2H1", "--against", "0")
    assert code == 0 and "sources sum to the score" in out and "against 0" in " ".join(out.split())
    code, out, _ = call(capsys, "qk", "war", "--head", "L2H1", "--against", "others", "--units", "0")
    assert code == 0 and "against others" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("heads", "war", "--target", "nobody"), "no node"),
        (("heads", "war", "--target", "token@1"), "no incoming edges"),
        (("heads", "war", "--target", "token"), "add the position"),
        (("qk", "war", "--head", "five"), "a unit (L5H3"),
        (("qk", "war", "--head", "L9H0"), "no head L9H0"),
        (("qk", "war", "--head", "L1H0", "--query", "40"), "no position 40"),
        (("qk", "nowhere", "--head", "L1H0"), "nowhere"),
    ],
)
def test_bad_questions_get_a_sentence(graph, capsys, arguments, words):
    code, out, err = call(capsys, *arguments)
    assert code == 2 and words in err and not out
