"""A home with one of everything, made with the toy model in seconds, and an address of every page: what tests walk that must
hold on each page."""

from dataclasses import replace
from typing import Any

import numpy as np

from app import links
from app.jobs import readings
from app.library import graphs, prompts
from circuits.demo.config import SMALL
from circuits.demo.run import run_demo
from circuits.graph.graph import UNITS
from probe.artifacts.folder import place

PROMPT, OTHER, LONG = "one two three", "one four three", " ".join(f"word {i}" for i in range(10))
CLEAN, CORRUPTED = "Mary and John went to Rome", "Mary and Mary went to Rome"


def fill() -> dict[str, str]:
    """Make it all in the present home; returns the addresses by the names of the pages."""
    import circuits
    import probe
    from app.library.models import model_named

    model = model_named("toy")
    run_demo(replace(SMALL, judged=256, name="small"), load=lambda *_: model)
    cache, dictionary = next(place("cache", "x").parent.iterdir()), next(place("dictionary", "x").parent.iterdir())
    features(model, cache, dictionary)
    circuits.save_graph(circuits.trace(model, LONG, config=circuits.TraceConfig(max_nodes=150)), place("graph", "long"))
    for name in ("small-neurons", "small-transcoder", "long"):
        pin(name)
    for text in (PROMPT, OTHER, LONG, CLEAN, CORRUPTED):
        prompts.store(text, "toy")
        readings.read_prompt("toy", text)
    for ratio in (4.0, 5.0):
        probe.sinks(model, LONG, ratio=ratio, draws=4).save(place("result", f"sinks-{ratio:g}"))
    return addresses(dictionary.name)


def features(model: Any, cache: Any, dictionary: Any) -> None:
    """A table of the dictionary's latents and one of a layer's neurons."""
    import probe
    from probe.features import FeatureConfig, build_features, set_label

    opened, config = probe.open_cache(cache), FeatureConfig(top=6, window=24, before=16)
    build_features(model, probe.load_dictionary(dictionary.name, model), opened, place("features", "latents"), config)
    build_features(model, 1, opened, place("features", "neurons"), config)
    set_label(place("features", "latents"), 3, "a word for it", author="test")


def pin(name: str, count: int = 12) -> None:
    """The graph's strongest units, two of them in a group."""
    import circuits

    graph = circuits.load_graph(place("graph", name))
    strongest = [int(i) for i in np.argsort(-graph.influence * graph.nodes.where(*UNITS), kind="stable")[:count]]
    circuits.choose_nodes(place("graph", name), pinned=strongest, supernodes={"a pair": strongest[:2]})


def addresses(dictionary: str) -> dict[str, str]:
    """Each with something in it, where the page can have something in it."""
    ids = {text: prompts.store(text, "toy").id for text in (PROMPT, OTHER, LONG, CLEAN, CORRUPTED)}
    graph = graphs.stored_graph("small-transcoder")
    node = int((graph.influence * graph.nodes.where(*UNITS)).argmax())
    sweep = {"right": " the", "wrong": " and", "over": "resid_pre", "dir": "denoise"}
    return {
        "home": links.HOME,
        "prompts": links.PROMPTS,
        "prompt": links.prompt_page(ids[PROMPT], "toy", token=2, head="1.1"),
        "prompts-beside": links.beside_page(ids[PROMPT], ids[OTHER], "toy"),
        "heads": links.heads_page("toy", ids[PROMPT], head="1.1"),
        "lens": links.lens_page("toy", ids[PROMPT], token=2),
        "lens-long": links.lens_page("toy", ids[LONG], token=2),
        "units": links.UNITS,
        "table": links.table_page("latents"),
        "unit": links.unit_page("latents", 3),
        "latent": links.latent_page(dictionary, 5),
        "neuron": links.neuron_page("toy", 2, 7),
        "circuits": links.CIRCUITS,
        "circuit": links.circuit_page("small-transcoder", node=node),
        "circuit-long": links.circuit_page("long"),
        "circuits-beside": links.circuits_beside("small-neurons", "small-transcoder"),
        "patching": links.patching_page("toy", ids[CLEAN], ids[CORRUPTED], **sweep),
        "training": links.TRAINING,
        "run": links.run_page(dictionary),
        "result": links.result_page("small"),
        "methods": links.METHODS,
        "method": links.method_page("sinks", {"m": "toy", "prompt": ids[LONG]}),
        "method-result": links.result_page("sinks-4"),
        "method-beside": links.result_page("sinks-4", beside="sinks-5"),
        "jobs": links.JOBS,
        "missing": "/nothing-here",
    }
