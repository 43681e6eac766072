"""What methods are tried on that ask for something stored: two graphs, a cache and a dictionary of the toy model."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

PROMPTS = {"france": "The capital of France is", "italy": "The capital of Italy is"}
TEXT = "When Mary and John went to the store, John gave a drink to Mary."
SMALL = "small"


@contextmanager
def small_world() -> Iterator[str]:
    """A home of their own, as long as it lasts. Yields the name of a node of the first graph."""
    kept = os.environ.get("OPENWORK_HOME")
    with TemporaryDirectory() as home:
        os.environ["OPENWORK_HOME"] = home
        try:
            yield _made()
        finally:
            os.environ.pop("OPENWORK_HOME")
            if kept is not None:
                os.environ["OPENWORK_HOME"] = kept


def _made() -> str:
    import openwork as ow
    from probe.artifacts.folder import place

    model = ow.load_model("toy")
    graphs = [ow.trace(model, text, heads=True, max_nodes=40) for text in PROMPTS.values()]
    graphs[0].pinned.extend(ow.most_influential(2)(graphs[0]))
    for name, graph in zip(PROMPTS, graphs, strict=True):
        graph.save(place("graph", name))
    tokens = ow.tokenize(model, [TEXT] * 8, context=16)
    cache = ow.harvest(model, tokens, ["mlp_in.1", "mlp_out.1"], place("cache", SMALL), dtype="float32")
    untrained = ow.Transcoder(64, 128, sparsifier=ow.TopK(8), site_in="mlp_in.1", site_out="mlp_out.1")
    ow.train(untrained, cache, ow.TrainConfig(epochs=1), place("dictionary", SMALL))
    return graphs[0].name(ow.most_influential(1)(graphs[0])[0])
