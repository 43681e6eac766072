"""Every public function and class with None and with an object in each argument it needs; prints what was no sentence.

A process of its own runs this: under pytest hints that hold no shape are taken away (`shapes`), and with them what is asked.
"""

import inspect
import sys
import tempfile
import warnings

import torch
from records import small_graph

import circuits
import probe
from probe.dictionaries import TopK, Transcoder
from probe.errors import OpenworkError

warnings.simplefilter("ignore")
MODEL = probe.load_model("toy")
FOLDER = tempfile.mkdtemp()
TOKENS = probe.tokenize(MODEL, ["one two three four five six seven"] * 4, context=8)
D = MODEL.cfg.d_model
RIGHT = {
    "model": MODEL,
    "tokens": TOKENS,
    "sites": ["mlp_in.1"],
    "folder": f"{FOLDER}/f",
    "path": f"{FOLDER}/p",
    **dict.fromkeys(("prompt", "clean", "text", "a", "b"), "one two three"),
    "corrupted": "one two four",
    "changes": [],
    "edits": [],
    "interventions": [],
    "documents": ["one"],
    "dictionary": Transcoder(D, 8, sparsifier=TopK(2), site_in="mlp_in.1", site_out="mlp_out.1"),
    "sparsifier": TopK(2),
    "inner": TopK(2),
    "d_in": 4,
    "d_dict": 8,
    "k": 2,
    "widths": [2, 4],
    "widths_in": [4, 4],
    "widths_out": [4, 4],
    "sites_in": ["mlp_in.0", "mlp_in.1"],
    "n": 3,
    "sites_out": ["mlp_out.0", "mlp_out.1"],
    "graph": small_graph(),
    "nodes": [0],
    "edges": [(0, 1)],
    "layer": 1,
    "index": 0,
    "unit": 0,
    "head": 0,
    "query": 1,
    "key": 0,
    "source": 0,
    "n_tokens": 4,
    "at": "L1H0",
    "where": "L1H0",
    "site": probe.resid_post(1),
    "factor": 1.0,
    "level": 1.0,
    "mean": 1.0,
    "value": torch.ones(1),
    "kind": "embed",
    "mode": "zero",
    "format": "saelens",
    "what": 1,
    "n_documents": 1,
    "vector": torch.ones(D),
    "token": " a",
    "other": " b",
    "spec": "sotu",
    "name": "n",
    "graphs": [small_graph()],
}
RIGHT["cache"] = probe.LiveActivations(MODEL, TOKENS, ["mlp_in.1", "mlp_out.1"], block_tokens=64)
RIGHT |= {"dictionaries": [RIGHT["dictionary"]], "recipes": probe.grid(), "target": "L1N0", "targets": [0]}
RIGHT |= {"table": f"{FOLDER}/t", "tables": [], "edge": (0, 1), "study": "s", "source_folder": FOLDER}
OWN = {
    "difference": {"a": small_graph(), "b": small_graph()},
    "layer_connections": {"target": 2},
    "read_head": {"layer": "L1H0"},
    "ablate_head": {"layer": "L1H0", "how": "mean"},
    "on_text": {"unit": "L1N0"},
    "unit_values": {"layer": 1},
    "save_patching": {"sweep": circuits.patch_sweep(MODEL, "one two three", "one two four", metric="kl")},
}
"""What these functions need beside."""
DATA = (
    "CircuitGraph",
    "ComponentGraph",
    "Pairs",
    "EdgeScores",
    "NodeScores",
    "UnitEdgeScores",
    "ComponentCircuit",
    "NodeCircuit",
)
"""Records of arrays, which nobody writes by hand."""


def calls():
    """Each public function or class once, by name, with the arguments it needs."""
    found = {name: getattr(package, name) for package in (probe, circuits) for name in package.__all__}
    for name, one in found.items():
        if callable(one) and name not in DATA and not (isinstance(one, type) and issubclass(one, Exception)):
            every = inspect.signature(one).parameters.values()
            yield name, one, [p.name for p in every if p.default is p.empty and p.kind in (1, 3)]


def answer(name, function, given):
    """The sentence, or what came instead of one."""
    try:
        made = function(**given)
        if hasattr(made, "__enter__"):
            with made:
                MODEL("one")
        if inspect.isgenerator(made):
            next(made, None)
        return "", "it was taken"
    except OpenworkError as error:
        return str(error), "" if len(str(error)) < 400 else f"{len(str(error))} characters"
    except Exception as error:
        return "", f"{type(error).__name__} {str(error)[:100]}"


n, told = 0, []
for name, function, needed in calls():
    right = {one: RIGHT.get(one) for one in needed} | OWN.get(name, {})
    for argument in needed:
        for wrong in (None, object()):
            said, fault = answer(name, function, right | {argument: wrong})
            n += 1
            if fault or "-v" in sys.argv:
                told.append(f"{name}({argument}={type(wrong).__name__}): {fault or said}")
WORDS = (
    (lambda: small_graph().rows("units"), "By name, kind takes a text: rows(kind='units')"),
    (lambda: probe.Steer("L1N0", "x"), "Steer: direction is 'x'; a number or a tensor was wanted"),
    (
        lambda: probe.harvest(MODEL, "text", ["mlp_in.1"], FOLDER),
        "tokens is 'text'; a TokenSet of tokenize() was wanted",
    ),
    (lambda: circuits.merge_graphs(3), "a list, each the name of a stored graph, was wanted"),
)
for call, words in WORDS:
    said, fault = answer("", call, {})
    if fault or words not in said:
        told.append(fault or said)
sys.stdout.write("\n".join([*told, f"{n} calls\n"]))
