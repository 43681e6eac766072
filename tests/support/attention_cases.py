"""Graphs of every kind that what looks inside attention must split: block shapes, dictionaries at every place, heads as nodes."""

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from tiny import tiny

from circuits.attribution.config import TraceConfig
from circuits.attribution.trace import trace
from circuits.graph.graph import CircuitGraph

PROMPT = "The capital of France"
ROUNDED = 1e-6  # architectures that take norms or softmax in float32 even when their weights are float64
EXACT = {"gpt2": 1e-11, "gpt_neox": 1e-11}


def standin(reads: str, *writes: str, d_dict: int = 30, skip: bool = False, seed: int = 0, d_model: int = 32) -> Any:
    """A random dictionary with ReLU latents from one site to others."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return 0.3 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    made = SimpleNamespace(
        W_enc=draw(d_model, d_dict),
        b_enc=draw(d_dict),
        W_dec=draw(d_dict, d_model * len(writes)),
        b_dec=draw(d_model * len(writes)),
        W_skip=draw(d_model, d_model) if skip else None,
        sites_in=(reads,),
        sites_out=writes,
        site_in=reads,
        site_out=writes[0],
        name=f"standin {reads}",
    )
    made.encode = lambda x: (x @ made.W_enc + made.b_enc).relu()
    return made


def cross_layer(n_layers: int = 3) -> Any:
    """A cross-layer transcoder: every part reads its layer and writes to it and all later ones."""
    parts = tuple(
        standin(f"mlp_in.{i}", *(f"mlp_out.{m}" for m in range(i, n_layers)), seed=i, d_dict=20)
        for i in range(n_layers)
    )
    return SimpleNamespace(parts=parts, name="cross-layer")


DICTIONARIES = {
    "neurons": list,
    "skip": lambda: [standin("mlp_in.1", "mlp_out.1", skip=True), standin("mlp_in.2", "mlp_out.2", seed=1)],
    "raw": lambda: [standin("resid_mid.1", "mlp_write.1", skip=True)],
    "stream": lambda: [standin("resid_post.0", "resid_post.0"), standin("resid_mid.1", "resid_mid.1", seed=1)],
    "post": lambda: [standin("resid_post.1", "resid_post.1")],
    "output": lambda: [standin("mlp_out.1", "mlp_out.1")],
    "written": lambda: [standin("mlp_write.1", "mlp_write.1")],
    "cross": lambda: [cross_layer()],
    "heads": list,
    "components": list,
}
CASES = [
    *((name, "neurons") for name in ("gpt2", "gpt_neox", "opt", "llama", "qwen3", "gemma2", "gemma3", "olmo2")),
    *((name, "skip") for name in ("gpt2", "gpt_neox", "gemma2")),
    *(("gemma2", "raw"), ("gpt2", "stream"), ("gpt_neox", "post"), ("llama", "output"), ("gemma2", "written")),
    *(("gpt2", "cross"), ("gpt_neox", "heads"), ("gemma2", "heads"), ("llama", "components")),
]


@cache
def case(name: str, kind: str) -> tuple[Any, CircuitGraph, list[Any]]:
    """Model, graph and dictionaries."""
    dictionaries = DICTIONARIES[kind]()
    basis = {"basis": "components"} if kind == "components" else {"heads": True} if kind == "heads" else {}
    model = tiny(name)
    graph = trace(model, PROMPT, dictionaries=dictionaries, config=TraceConfig(max_nodes=60, max_logits=3, **basis))
    return model, graph, dictionaries


def row_of(graph: CircuitGraph, node: int) -> np.ndarray:
    """The graph's own edges into a node, by source."""
    row, edges = np.zeros(len(graph.nodes)), graph.incoming(node)
    row[edges.source] = edges.weight
    return row


def some_edges(graph: CircuitGraph, n: int, seed: int = 0) -> list[tuple[int, int]]:
    """n random edges of a graph, the strongest among them."""
    strength = np.abs(graph.edges.weight)
    picked = np.random.default_rng(seed).choice(len(strength), min(n, len(strength)), replace=False)
    picked = np.unique([int(strength.argmax()), *picked])
    return [(int(graph.edges.source[i]), int(graph.edges.target[i])) for i in picked]
