"""What the examples in docstrings may use: a toy model, rows of tokens, and small things that were made of it and stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import openwork as ow
from probe.artifacts.folder import place
from probe.evaluation.suite.run import SuiteConfig

TEXT = "When Mary and John went to the store, John gave a drink to Mary."


@contextmanager
def world(folder: Path) -> Iterator[dict[str, Any]]:
    """Names for the examples, under a home of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENWORK_HOME", str(folder / "home"))
        yield made(folder)


def made(folder: Path) -> dict[str, Any]:
    model = ow.load_model("toy")
    tokens = ow.tokenize(model, [TEXT] * 8, context=16)
    cache = ow.harvest(model, tokens, ["mlp_in.1", "mlp_out.1", "mlp_post.1"], place("cache", "small"), dtype="float32")
    untrained = ow.Transcoder(64, 128, sparsifier=ow.TopK(8), site_in="mlp_in.1", site_out="mlp_out.1")
    transcoder = ow.train(untrained, cache, ow.TrainConfig(epochs=1), place("dictionary", "small")).dictionary
    table = ow.build_features(model, 1, cache, place("features", "small"))
    graphs = [
        ow.trace(model, text, config=ow.TraceConfig(max_nodes=24)) for text in ("When Mary went", "When John went")
    ]
    graphs[0].pinned.extend(ow.most_influential(2)(graphs[0]))
    graphs[0].save(place("graph", "small"))
    sweep = ow.patch_sweep(model, "Mary went to", "Rome went to", metric="kl", over="attn_out")
    ow.save_patching(sweep, "sweep")
    ow.logit_lens(model, "When Mary went").save(place("result", "lens"))
    ow.new_study(model, "small", "L1N7", "small", prompts=1, length=1)
    ow.export_dictionary(transcoder, folder / "foreign", "sparsify")
    edges = [(int(s), int(t)) for s, t in zip(graphs[0].edges.source[-2:], graphs[0].edges.target[-2:], strict=True)]
    return {
        "ow": ow,
        "SuiteConfig": SuiteConfig,
        "torch": torch,
        "model": model,
        "tokens": tokens,
        "ids": torch.tensor([ow.encode_prompt(model, "When Mary went")]),
        "cache": cache,
        "transcoder": transcoder,
        "table": table,
        "graph": graphs[0],
        "other": graphs[1],
        "edges": edges,
        "sweep": sweep,
        "foreign": folder / "foreign",
    }
