"""The graph's rows against gradients of autograd through the model itself: two implementations that share no sweep."""

import numpy as np
import pytest
import torch
from attention_cases import CASES, EXACT, ROUNDED, case, row_of

from circuits.attribution.config import TraceConfig
from circuits.attribution.target_tokens import Difference, Direction
from circuits.graph.graph import KINDS, ROOTS
from circuits.oracle.hooks import FROZEN_PARTS
from circuits.oracle.rows import oracle_row, oracle_rows
from probe.errors import BadInput, OpenworkError
from probe.model.load import load_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:A forward hook edited hook_scale"),
    pytest.mark.filterwarnings("ignore:On this prompt the dictionar"),
]


def targets(graph, n: int = 6) -> list[int]:
    """Some explained nodes, of every kind that is there."""
    explained = np.flatnonzero(graph.explained)
    kinds = graph.nodes.kind[explained]
    first = [int(explained[kinds == k][-1]) for k in np.unique(kinds)]
    some = np.random.default_rng(1).choice(explained, min(n, len(explained)), replace=False)
    return sorted({*first, *(int(i) for i in some)})


def worst(name: str, kind: str, **options) -> float:
    """Largest difference of a row from the oracle's, over the row's largest edge."""
    model, graph, dictionaries = case(name, kind)
    some = [t for t in targets(graph) if not (dictionaries and KINDS[graph.nodes.kind[t]] in ("head", "mlp"))]
    expected = np.stack([row_of(graph, t) for t in some])
    gaps = np.abs(oracle_rows(model, graph, some, dictionaries, **options) - expected).max(1)
    return float((gaps / np.abs(expected).max(1)).max())


@pytest.mark.parametrize(("name", "kind"), [c for c in CASES if c[0] != "opt"])
def test_every_row_is_autograds(name, kind):
    allowed = 100 * EXACT[name] if name in EXACT else 10 * ROUNDED
    assert worst(name, kind) < allowed


@pytest.mark.parametrize("left_out", FROZEN_PARTS)
def test_a_freeze_left_out_is_noticed(left_out):
    """The control: without one of the freezes the gradients are the real model's, not the graph's."""
    assert worst("gpt2", "neurons", held=[h for h in FROZEN_PARTS if h != left_out]) > 1e-3


def test_differences_and_directions_have_a_second_implementation_too():
    from circuits.attribution.trace import trace

    model = case("gpt2", "neurons")[0]
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    asked = [Difference(7, 11), *(Direction(vector, at, pos=2) for at in ("resid_mid.1", "resid_post.1", "ln_final"))]
    graph = trace(model, "The capital of France", targets=asked, config=TraceConfig(max_nodes=30))
    roots = np.flatnonzero(graph.nodes.where(*ROOTS))
    assert len(roots) == 4
    for root in roots:
        expected = row_of(graph, int(root))
        assert np.abs(oracle_row(model, graph, int(root)) - expected).max() < 1e-9 * np.abs(expected).max()


def test_float32_agrees_to_its_precision():
    from circuits.attribution.trace import trace

    model = load_model("toy")
    graph = trace(model, "The war lasted from", config=TraceConfig(max_nodes=50))
    for target in targets(graph, 3):
        expected = row_of(graph, target)
        assert np.abs(oracle_row(model, graph, target) - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_pattern_that_cannot_be_held_is_said():
    model, graph, _ = case("opt", "neurons")
    with pytest.raises(OpenworkError, match="cannot be changed"):
        oracle_row(model, graph, int(np.flatnonzero(graph.explained)[0]))


def test_leaves_and_foreign_nodes_are_refused():
    model, graph, _ = case("gpt2", "neurons")
    for node in (0, len(graph.nodes)):
        with pytest.raises(BadInput, match="no incoming edges"):
            oracle_row(model, graph, node)


def test_the_dictionaries_of_the_graph_are_asked_for():
    model, graph, _ = case("gpt2", "skip")
    with pytest.raises(BadInput, match="traced with dictionaries"):
        oracle_row(model, graph, int(np.flatnonzero(graph.explained)[0]))
