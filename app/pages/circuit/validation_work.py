"""The test of a pinned subgraph as a job: what is asked, in which model and with which dictionaries; and the stored tests."""

from typing import TYPE_CHECKING

import numpy as np

from app import links
from app.components import snippets
from app.jobs import results, work
from app.jobs.again import Arguments, task
from app.jobs.table import job_table
from app.library.artifacts import registered
from app.library.graphs import body, graph_of, same_body
from app.library.models import model_named, models, stamp_in_memory
from app.pages.circuit.marks_on_disk import marked
from circuits.graph.graph import CircuitGraph
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput, Unavailable
from probe.progress import Progress
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.faithfulness.sufficiency import Sufficiency
    from circuits.validation.records import SubgraphTest
    from probe.dictionaries.store import AnyDictionary


WHAT = "subgraph-test"


MOST_RANDOM = 100


def cannot(found: CircuitGraph) -> str:
    """Why a graph cannot be tested from its page; empty where it can."""
    if "imported" in found.facts:
        return "This graph was imported, so the model it was traced in may not be here. Trace its prompt to test one."
    if found.model not in models():
        named = found.model[:60] or "not named in it"
        return (
            f"The model of this graph ({named}) is none of those known here. `openwork graph test --model` takes any."
        )
    if lost := [d for d in found.dictionaries.values() if not _stored(d)]:
        return f"The dictionary '{lost[0][:60]}' of this graph is not stored here. Trace the prompt again with one that is."
    return ""


def _stored(name: str) -> bool:
    try:
        return registered("dictionary", name).is_dir()
    except BadInput:
        return False


def ask(name: str, mode: str, factor: float, other: str, n_random: int, enough: bool) -> str:
    """Queue the test of what is pinned now; equal questions are one job."""
    now = marked(name)
    if not now.marks.chosen:
        raise BadInput("Nothing is pinned. Pin the nodes to be tested first: select one and press p.")
    if mode == "restore" and not (other or "").strip():
        raise BadInput("Write the other prompt: its values are put in where nodes are pinned. It needs as many tokens.")
    options = {"mode": mode, "n_random": int(np.clip(n_random or 0, 0, MOST_RANDOM))}
    options |= {"factor": float(factor or 0.0)} if mode == "scale" else {"restore": other} if mode == "restore" else {}
    return start(name, body(name), sorted(now.marks.chosen), options, bool(enough))


def start(name: str, of: str, nodes: list[int], options: Json, enough: bool) -> str:
    """Queue the test of these nodes of a graph whose edges have the digest `of`, whatever is pinned now."""
    found, now = same_body(name, of), body(name)
    if not nodes or not all(type(i) is int and 0 <= i < len(found.nodes) for i in nodes):
        raise BadInput(f"These are not nodes of {name}; pin some on its page and test them there.")
    options = {**options, "n_random": int(np.clip(options["n_random"], 0, MOST_RANDOM))}
    key = work.key_of(WHAT, name, now, nodes, options, enough)
    title = f"Test {counted(len(nodes), 'pinned node')} of {name}"
    origin = results.Origin(
        (name, *dict.fromkeys(found.dictionaries.values())),
        {**options, "nodes": [found.name(i) for i in nodes], "sufficient": enough, "of": now},
        f"openwork graph test {snippets.shlex.quote(name)} --pinned{' --sufficient' if enough else ''}",
        lambda: stamp_in_memory(found.model),
    )
    link = links.circuit_page(name, test=key)
    again = ["test", {"name": name, "of": now, "nodes": nodes, "options": options, "enough": enough}]
    wanted = work.Work(key, title, lambda p: run(name, nodes, options, enough, p), link, "graph", origin, again=again)
    return work.submit(wanted)


def shown_first(name: str, given: str | None) -> str | None:
    """The key of the test that a page opens with: the address's, the one that is under way, or the newest that is stored."""
    if key := work.given(given, WHAT):
        return key
    page = links.circuit_page(name)
    running = [j for j in job_table().active() if j.key.startswith(f"{WHAT}:") and j.link.partition("?")[0] == page]
    if running:
        return running[0].key
    newest = next((m for m in stored_tests(name) if m.config.get("of") == body(name)), None)
    return str(newest.facts["key"]) if newest else None


def stored_tests(name: str) -> list[Manifest]:
    """The tests of a graph that are stored, newest first."""
    return results.of(WHAT, name)


def run(
    name: str, nodes: list[int], options: Json, enough: bool, progress: Progress
) -> "tuple[SubgraphTest, Sufficiency | None]":
    """The records of the test and of sufficiency. Raises where the model is not the one that the graph was traced in."""
    from circuits.faithfulness.sufficiency import check_sufficiency
    from circuits.validation.subgraph import check_subgraph

    found = graph_of(name)
    model = model_named(found.model, progress)
    same_model(name, model)
    shared = {"dictionaries": dictionaries_for(found, model), "progress": progress}
    test = check_subgraph(model, found, nodes, **options, **shared)
    most = min(options["n_random"], 10)
    return test, check_sufficiency(model, found, nodes, n_random=most, **shared) if enough else None


def same_model(name: str, model: "TransformerBridge") -> None:
    """Raise BadInput where the loaded model has other weights or another tokenizer than the graph's manifest says."""
    from probe.artifacts.manifest import check_model, read_manifest
    from probe.model.load import stamp

    folder = registered("graph", name)
    manifest = read_manifest(folder, "graph")
    if manifest.model is not None:
        check_model(manifest, stamp(model), folder)


def dictionaries_for(found: CircuitGraph, model: "TransformerBridge") -> "list[AnyDictionary]":
    """The stored dictionaries that a graph was traced with."""
    from probe.dictionaries import load_dictionary

    names = list(dict.fromkeys(found.dictionaries.values()))
    if lost := [n for n in names if not _stored(n)]:
        raise Unavailable(f"The dictionary '{lost[0][:60]}' of this graph is not stored here. Trace the prompt again.")
    return [load_dictionary(registered("dictionary", n), model) for n in names]


@task("test")
def _test_again(arguments: Arguments) -> None:
    a = arguments
    start(a["name"], a["of"], a["nodes"], a["options"], bool(a["enough"]))
