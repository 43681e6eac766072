"""Every public function asked in every way: the same prompt, token, unit, site, place on disk and model, each written in all the
ways there are. `CALLS` says how each is called; `walk` tells what an argument's other ways came to, beside the first.
"""

import dataclasses
import inspect
import itertools
import math
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edge_pairs import answered
from tiny import saved

import circuits
import probe
from probe.dictionaries import Dictionary, TopK, Transcoder, save_dictionary
from probe.features.measuring.config import FeatureConfig
from probe.methods.catalogue import methods
from probe.methods.kinds import PromptKind, TargetKind
from probe.methods.plain_kinds import Number
from probe.methods.read_declarations import Method
from probe.model.at_hand import at_hand
from probe.model.unit_names import UnitName

PROMPT, OTHER, ASIDE = "When Mary went to Rome", "When John went to Rome", "When Mary to to Rome"
RIGHT, WRONG = " the", " of"
TASK = "greater-than"
TEMPLATE = "<bos>{% for m in messages %}{{ m.content }}{% endfor %}"


class World:
    """One tiny model in all its forms, and stored things that were made of it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.folder = saved("llama", self.home / "model", chat_template=TEMPLATE)
        self.model = m = probe.load_model(self.folder)
        self.transformers = self.model_of_transformers()
        self.ids = probe.encode_prompt(m, PROMPT)
        self.tokens = probe.tokenize(
            m, ["When Mary and John went to the store, John gave a drink to Mary."] * 6, context=16
        )
        d = m.cfg.d_model
        self.dictionary = Transcoder(d, 48, sparsifier=TopK(4), site_in="mlp_in.1", site_out="mlp_out.1")
        self.cache = probe.harvest(
            m, self.tokens, ["mlp_in.1", "mlp_out.1", "mlp_post.1"], self.home / "cache", dtype="float32"
        )
        self.table = probe.build_features(m, 1, self.cache, self.home / "table", FeatureConfig())
        self.graph = circuits.trace(m, PROMPT, config=circuits.TraceConfig(max_nodes=12))
        self.sweep = circuits.patch_sweep(m, PROMPT, OTHER, over="attn_out", target=RIGHT, metric="log_prob")
        self.graph.save(self.home / "graph")
        probe.logit_lens(m, PROMPT).save(self.home / "reading")
        (self.home / "words.txt").write_text("one two")
        save_dictionary(self.dictionary, self.home / "dictionary", model=probe.stamp(m))
        circuits.write_neuronpedia(self.graph, self.home / "graph.json")
        self.pairs = probe.task_pairs(m, TASK, 2)
        self.scores = circuits.eap(m, self.pairs)
        self.circuit = circuits.choose_edges(self.scores, 20)
        circuits.write_mib(self.circuit, self.home / "circuit.json")
        probe.export_dictionary(self.dictionary, self.home / "exported", "sparsify")

    def model_of_transformers(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(self.folder)

    def fresh(self) -> Path:
        """A path where nothing is."""
        return Path(tempfile.mkdtemp(dir=self.home)) / "new"


@cache
def world() -> World:
    return World()


# What each argument is ------------------------------------------------------------------------------------------------------


def prompts(text: str) -> Iterator[tuple[str, Any]]:
    ids = probe.encode_prompt(world().model, text)
    yield "ids", ids
    yield "tuple", tuple(ids)
    yield "tensor", torch.tensor(ids)
    yield "array", np.array(ids)
    yield "batch of one", [text]
    yield "matrix", torch.tensor([ids])
    yield "chat", [{"role": "user", "content": text}]


def batches(texts: list[str]) -> Iterator[tuple[str, Any]]:
    """Prompts of unequal length, each in another way."""
    ids = [probe.encode_prompt(world().model, text) for text in texts]
    yield "ids", ids
    yield "tuple", tuple(texts)
    yield "tensors", [torch.tensor(one) for one in ids]
    yield "mixed", [texts[0], [{"role": "user", "content": texts[1]}], *ids[2:]]


def tokens(token: Any) -> Iterator[tuple[str, Any]]:
    m = world().model
    from probe.text.targets import token_id

    if isinstance(token, probe.Difference):
        a, b = token_id(m, token.token), token_id(m, token.other)
        yield "ids", probe.Difference(a, b)
        yield "id and text", probe.Difference(a, token.other)
        yield "numpy ids", probe.Difference(np.int64(a), np.int64(b))
    else:
        yield "id", token_id(m, token)
        yield "numpy id", np.int64(token_id(m, token))
        yield "tensor id", torch.tensor(token_id(m, token))


def sites(site: str) -> Iterator[tuple[str, Any]]:
    from probe.model.sites import site_named

    found = site_named(site)
    yield "canonical", found.name
    yield "Site", found
    yield "from the end", f"{found.kind}.{(found.layer or 0) - 3}"


def site_lists(names: list[str]) -> Iterator[tuple[str, Any]]:
    for how, one in sites(names[0]):
        yield how, [one, *names[1:]]
    yield "tuple", tuple(names)
    if len(names) == 1:
        yield "alone", names[0]


def units(name: str) -> Iterator[tuple[str, Any]]:
    found = UnitName.parse(name)
    assert found is not None
    yield "UnitName", found
    if found.kind != "latent":
        place = probe.head if found.kind == "head" else probe.neuron
        yield "place", place(found.layer, found.unit, found.pos)


def paths(path: Path) -> Iterator[tuple[str, Any]]:
    yield "text", str(path)


def models(model: Any) -> Iterator[tuple[str, Any]]:
    w = world()
    yield "path", w.folder
    yield "name", str(w.folder)
    yield "transformers", w.transformers


WAYS = {
    "prompt": prompts,
    "batch": batches,
    "token": tokens,
    "site": sites,
    "sites": site_lists,
    "unit": units,
    "path": paths,
    "model": models,
}


@dataclasses.dataclass
class Given:
    """An argument in its first way, and of which kind it is."""

    kind: str
    first: Any


def p(text: str = PROMPT) -> Given:
    return Given("prompt", text)


def b() -> Given:
    return Given("batch", [PROMPT, "Mary went", "When Mary and John went to Rome"])


def t(token: Any = RIGHT) -> Given:
    return Given("token", token)


def u(name: str) -> Given:
    return Given("unit", name)


DIFFERENCE = probe.Difference(RIGHT, WRONG)


class New:
    """A path where something will be made: another one in each call."""


CHANGES: dict[str, Any] = {"changes": ["zero:L1H0"]}


def calls(w: World) -> dict[str, dict[str, Any]]:
    """How each public function is asked; what can be asked in several ways is a `Given`."""
    m, d, g = Given("model", w.model), w.dictionary, w.graph
    again = {"judge": False, "resume": True}
    few = {"random": 1, "subsets": 1, "greedy": 1, "needed": 1}
    where, new = lambda name: Given("path", w.home / name), Given("path", New)
    node = g.name(int(np.flatnonzero(g.nodes.where("neuron"))[0]))
    edge = (int(g.edges.source[-1]), int(g.edges.target[-1]))
    neuron, head = u("L2N5"), u("L1H0")
    site, several = Given("site", "resid_post.1"), Given("sites", ["resid_post.1"])
    probing = {
        "open_cache": {"folder": where("cache"), "model": m},
        "harvest": {"model": m, "tokens": w.tokens, "sites": several, "folder": new},
        "harvest_text": {"model": m, "sites": ["mlp_in.1"], "folder": new, "tokens": 64, "context": 16},
        "draw_sample": {"model": m, "folder": new, "tokens": 8, "length": 8},
        "measure_units": {"model": m, "layer": 1, "cache": w.cache, "folder": new},
        "LiveActivations": {"model": m, "tokens": w.tokens, "sites": several},
        "load_record": {"folder": where("reading")},
        "compare_prompts": {"model": m, "a": p(), "b": p(OTHER)},
        "load_dictionary": {"folder": where("dictionary"), "model": m},
        "evaluate": {"model": m, "dictionary": d, "cache": w.cache},
        "evaluate_many": {"model": m, "dictionaries": [d], "cache": w.cache},
        "export_dictionary": {"dictionary": d, "folder": new, "format": "sparsify"},
        "import_dictionaries": {"source": where("exported"), "model": m},
        "import_dictionary": {"source": where("exported")},
        "build_features": {"model": m, "what": 1, "cache": w.cache, "folder": new, "config": FeatureConfig()},
        "plan_features": {"model": m, "what": 1, "cache": w.cache, "folder": new},
        "open_features": {"folder": where("table"), "model": m},
        "set_label": {"folder": where("table"), "unit": u("L1N3"), "text": "a", "author": "me"},
        "name_units": {"model": m, "table": where("table"), "share": 0.1, "firings": 2, "occurrences": 2},
        "units_for_concept": {"model": m, "table": where("table"), "concept": "Mary", "share": 0.1, "firings": 2},
        "unit_weights": {"model": m, "what": 2, "unit": u("L2N5")},
        "unit_by_weights": {"model": m, "unit": neuron},
        "on_text": {"model": m, "text": p(), "unit": neuron},
        "head_patterns": {"model": m, "prompt": p()},
        "ablate_head": {"model": m, "prompt": p(), "layer": head, "how": "mean"},
        "read_head": {"model": m, "prompt": p(), "layer": head, "target": t()},
        "one_head": {"model": m, "prompt": p(), "head": head, "target": t()},
        "head_table": {"model": m, "prompt": p(), "target": t(DIFFERENCE)},
        "copying_scores": {"model": m},
        "edited_run": {"model": m, "prompt": p(), "changes": ["zero:L1H0", "patch:L2H0"], "other": p(OTHER)},
        "capture": {"model": m, "tokens": p(), "sites": several},
        "generate_with": {"model": m, "prompt": p(), "edits": ["zero:L1H0"], "max_new_tokens": 2},
        "place": {"where": u("L1H0@2")},
        "edit_units": {"model": m, "edits": [probe.UnitEdit("zero", 5, layer=2)]},
        "unit_values": {"model": m, "tokens": p(), "layer": 1},
        "intervene": {"model": m, "interventions": ["zero:L1H0"]},
        "Clamp": {"at": u("L2N5@1"), "level": 1.0},
        "Freeze": {"at": site, "value": torch.zeros(1, len(w.ids), 32)},
        "Mean": {"at": head, "mean": 0.5},
        "Patch": {"at": head, "value": 0.5},
        "Scale": {"at": neuron, "factor": 2.0},
        "Steer": {"at": site, "direction": torch.ones(32)},
        "Zero": {"at": head},
        "Ablate": {"at": neuron},
        "Add": {"at": neuron, "scale": 2.0},
        "UnitEdit": {"mode": "zero", "unit": neuron},
        "Knockout": {"layer": head, "query": 2, "key": 1},
        "Place": {"site": probe.resid_post(1)},
        "direct_logits": {"model": m, "prompt": p(), "target": t(DIFFERENCE)},
        "follow_token": {"model": m, "prompt": p(), "target": t()},
        "logit_lens": {"model": m, "prompt": p(), "top_k": 2},
        "describe": {"model": m},
        "load_model": {"name": m},
        "stamp": {"model": m},
        "parse_site": {"text": site, "model": m},
        "sites_of": {"model": m},
        "top_units": {"model": m, "prompt": p(), "target": t(DIFFERENCE), "k": 2},
        "prompt_rows": {"model": m, "prompts": b()},
        "sample_text": {"model": m, "folder": new, "n_documents": 2, "length": 8},
        "Difference": {"token": RIGHT, "other": WRONG},
        "encode_prompt": {"model": m, "prompt": p()},
        "tokenize": {"model": m, "documents": ["one two three"], "context": 8},
        "train": {"dictionary": d, "cache": w.cache, "config": probe.TrainConfig(epochs=1), "folder": new, "model": m},
        "train_by_name": {
            "model": m,
            "cache": w.cache,
            "kind": "sae",
            "d_dict": 16,
            "k": 4,
            "epochs": 1,
            "folder": new,
        },
        "sweep_by_name": {"model": m, "cache": w.cache, "rules": ["topk:4"], "widths": [16], "folder": new, **again},
        "corpus": {"spec": where("words.txt")},
        "task_pairs": {"model": m, "task": TASK, "n": 2},
        "check_tasks": {"model": m, "tasks": [TASK], "n": 2},
    }
    explaining = {
        "difference": {"a": g, "b": g},
        "merge_graphs": {"graphs": [g, g]},
        "subgraph_scores": {"graph": g, "pinned": [node]},
        "subgraph_test": {"model": m, "graph": g, "nodes": [node], "n_random": 1, "mode": "patch", "restore": p(OTHER)},
        "suggest_groups": {"model": m, "graph": g, "nodes": "top:4"},
        "edge_heads": {"model": m, "graph": g, "target": g.name(edge[1])},
        "split_score": {"model": m, "graph": g, "head": head, "query": 4},
        "head_loadings": {"model": m, "graph": g, "edges": [edge]},
        "qk_attribution": {"model": m, "graph": g, "layer": head, "query": 4},
        "Direction": {"vector": torch.ones(32), "at": site},
        "plan_trace": {"model": m, "n_tokens": 5},
        "trace": {"model": m, "prompt": p(), "target": t(DIFFERENCE), "config": circuits.TraceConfig(max_nodes=8)},
        "new_study": {"model": m, "table": where("table"), "unit": u("L1N3"), "name": New, "prompts": 1, "length": 1},
        "export_graph": {"graph": where("graph"), "to": new},
        "show_graph": {"graph": where("graph"), "top": 3},
        "prune_graph": {"graph": where("graph"), "folder": new},
        "pin_nodes": {"graph": where("graph"), "nodes": [node]},
        "graph_groups": {"graph": where("graph")},
        "import_graph": {"file": where("graph.json"), "folder": new},
        "new_blind_study": {"model": m, "name": New, "layer": 1, "neuron": 3, "features": where("table"), "prompts": 1},
        "trace_prompt": {"model": m, "prompt": p(), "max_nodes": 8, "export": new},
        "read_neuronpedia": {"source": where("graph.json")},
        "write_unit_files": {"graph": g, "folder": new, "tables": [w.table]},
        "write_neuronpedia": {"graph": g, "path": new},
        "check_sufficiency": {
            "model": m,
            "graph": g,
            "nodes": [node],
            "n_random": 1,
            "baseline": "mean",
            "prompts": p(ASIDE),
        },
        "choose_nodes": {"folder": where("graph"), "pinned": []},
        "load_graph": {"folder": where("graph")},
        "save_graph": {"graph": g, "folder": new, "model": m},
        "oracle_rows": {"model": m, "graph": g, "targets": [node]},
        "read_pair": {"model": m, "clean": p(), "corrupted": p(OTHER), "target": t(DIFFERENCE)},
        "plan_patching": {"model": m, "pair": w.sweep.pair, "over": "attn_out"},
        "patch_sweep": {
            "model": m,
            "clean": p(),
            "corrupted": p(OTHER),
            "over": "attn_out",
            "target": t(DIFFERENCE),
            "control": p(ASIDE),
        },
        "save_patching": {"sweep": w.sweep, "name": "sweep", "replace": True},
        "causal_tracing": {"model": m, "prompt": p(), "subject": "Rome", "draws": 2, "seed": 3, "target": t()},
        "knockout": {"model": m, "prompt": p(), "random": 1, "target": t()},
        "path_patching": {"model": m, "task": TASK, "n": 2, "receivers": ["L1H0"]},
        "das": {"model": m, "task": answered(w.model), "epochs": 1, "random": 1},
        "unit_evidence": {"model": m, "graph": g, "nodes": [node]},
        "check_edges": {"model": m, "graph": g, "n": 2},
        "check_subgraph": {
            "model": m,
            "graph": g,
            "nodes": [node],
            "n_random": 1,
            "mode": "restore",
            "restore": p(OTHER),
        },
        "connections": {"model": m, "target": neuron},
        "layer_connections": {"model": m, "source": 0, "target": 2},
        "top_paths": {"model": m, "prompt": p(), "target": u("L2N5"), "length": 2, "width": 4},
        "deembed": {"model": m, "target": neuron},
        "embeddings": {"model": m},
        "promoted": {"model": m, "target": neuron},
        "eap": {"model": m, "task": TASK, "n": 2},
        "eap_ig": {"model": m, "task": TASK, "n": 2, "steps": 2},
        "atp": {"model": m, "task": TASK, "nodes": "latents", "n": 2, "dictionaries": [w.dictionary]},
        "unit_edges": {"model": m, "task": TASK, "n": 2, "k": 4},
        "exact_nodes": {"model": m, "task": TASK, "nodes": "heads", "n": 1, "sample": 4},
        "eap_ig_activations": {"model": m, "task": TASK, "n": 1, "steps": 1},
        "clean_corrupted": {"model": m, "task": TASK, "n": 2},
        "relp": {"model": m, "task": TASK, "n": 2},
        "flow_routes": {"model": m, "task": TASK, "n": 2},
        "exact_edges": {"model": m, "task": TASK, "n": 1, "edges": 4},
        "acdc": {"model": m, "task": TASK, "n": 1, "ahead": 64},
        "faithfulness_curve": {"model": m, "task": TASK, "by": "eap", "n": 2, "held_out": 2, "random": 0, "samples": 0},
        "curve_of_scores": {"model": m, "scores": w.scores, "pairs": w.pairs, "random": 0, "samples": 0},
        "greedy": {"model": m, "task": TASK, "by": "eap", "n": 2, "size": 20},
        "compare_circuits": {"a": w.circuit, "b": w.circuit, "random": 2},
        "circuit_report": {"model": m, "circuit": w.circuit, "task": TASK, "n": 2, **few},
        "subgraph_report": {"model": m, "graph": g, "nodes": [node], "ablation": "mean", "prompts": p(ASIDE), **few},
        "named_circuit": {"model": m, "names": ["L1H0"]},
        "export_mib": {"circuit": w.circuit, "to": new},
        "import_mib": {"model": m, "file": where("circuit.json"), "folder": new},
        "read_mib": {"model": m, "file": where("circuit.json")},
        "write_mib": {"circuit": w.circuit, "to": new},
    }
    return {one.function: asked_as_declared(one, m) for one in methods()} | probing | explaining


def asked_as_declared(about: Method, model: Given) -> dict[str, Any]:
    """How a method is asked that has no line of its own: prompts and numbers that it needs, and a token where it takes one."""
    found = {"model": model} if about.of_model else {}
    for one in about.parameters:
        if isinstance(one.kind, PromptKind) and one.required:
            found[one.name] = p()
        elif type(one.kind) is TargetKind:
            found[one.name] = t()
        elif isinstance(one.kind, Number) and one.required:
            found[one.name] = one.kind.example
    return found


# Asking ------------------------------------------------------------------------------------------------------------------


def call(name: str, given: dict[str, Any]) -> Any:
    """What a function says, made fast: a generator is run, what is a `with` is entered."""
    function = getattr(circuits if name in circuits.__all__ else probe, name)
    values = {k: v.first if isinstance(v, Given) else v for k, v in given.items()}
    values = {
        k: v if v is not New else world().fresh() if k != "name" else f"study-{next(COUNT)}" for k, v in values.items()
    }
    made = function(**values)
    if name == "intervene":
        model = (
            probe.load_model(values["model"]) if values["model"] is world().transformers else at_hand(values["model"])
        )
        with torch.no_grad(), made:
            return model(torch.tensor([probe.encode_prompt(model, PROMPT)]))
    if isinstance(made, str | list | dict) or not inspect.isgenerator(made):
        return in_force(made)
    return list(made)


def in_force(made: Any) -> Any:
    """Of an intervention, what it does; anything else as it is."""
    if hasattr(made, "at") and hasattr(made, "change"):
        with torch.no_grad(), probe.intervene(world().model, [made]):
            return world().model(torch.tensor([probe.encode_prompt(world().model, PROMPT)]))
    if isinstance(made, circuits.Direction):
        config = circuits.TraceConfig(max_nodes=4)
        return circuits.trace(world().model, PROMPT, target=made, config=config)
    if isinstance(made, Path):
        return made.exists()
    if isinstance(made, probe.UnitEdit):
        return [(made.mode, made.unit, made.layer, made.pos)]
    return made


COUNT = itertools.count()
SKIP = (
    "prompt",
    "prompts",
    "text",
    "mean_prompts",
    "seconds",
    "tokens_per_second",
    "free_bytes",
    "folder",
    "file",
    "saved",
    "created",
    "name",
    "path",
    "command",
    "checked",
    "sources",
)


def gap(a: Any, b: Any) -> str:
    """Where two answers differ; "" where they are one."""
    if a is b:
        return ""
    if isinstance(a, torch.Tensor | np.ndarray):
        same = isinstance(b, type(a)) and a.shape == b.shape
        if same and (a.dtype.kind in "OU" if isinstance(a, np.ndarray) else False):
            return "" if (a == b).all() else "values"
        return "" if same and np.allclose(np.asarray(a), np.asarray(b), 1e-5, 1e-6, equal_nan=True) else "numbers"
    if isinstance(a, float) and isinstance(b, float):
        return "" if math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6) or (a != a and b != b) else f"{a} and {b}"
    if isinstance(a, Mapping):
        if not isinstance(b, Mapping) or a.keys() != b.keys():
            return f"keys {list(a)[:3]} and {list(b)[:3] if isinstance(b, Mapping) else b}"
        return first(f"{k}: {gap(a[k], b[k])}" for k in a if k not in SKIP and gap(a[k], b[k]))
    if isinstance(a, list | tuple | set):
        if type(a) is not type(b) or len(a) != len(b):
            return f"{len(a)} and {len(b) if hasattr(b, '__len__') else b}"
        return first(f"[{i}] {gap(x, y)}" for i, (x, y) in enumerate(zip(a, b, strict=True)) if gap(x, y))
    if dataclasses.is_dataclass(a) and type(a) is type(b) and not isinstance(a, type):
        return gap(*({k: v for k, v in vars(one).items() if not _kept(one, k)} for one in (a, b)))
    if isinstance(a, Dictionary):
        return gap(dict(a.state_dict()), dict(b.state_dict()))
    if isinstance(a, str | int | None) or type(a).__eq__ is not object.__eq__:
        return "" if a == b else f"{str(a)[:60]} and {str(b)[:60]}"
    return "" if type(a) is type(b) else f"{type(a).__name__} and {type(b).__name__}"


def _kept(record: Any, name: str) -> bool:
    """Whether this was made of the others, when it was first asked for."""
    return isinstance(getattr(type(record), name, None), cached_property)


def first(told: Iterator[str]) -> str:
    return next(told, "")


BATCHES: dict[str, str] = {"capture": "tokens", "unit_values": "tokens"}
"""What takes one prompt or several, and under which name."""


def walk(name: str) -> list[str]:
    """Each way of each argument of one function that came to something else than its first way."""
    return [
        *walked(name, calls(world())[name]),
        *(walked(name, {**calls(world())[name], BATCHES[name]: b()}) if name in BATCHES else []),
    ]


def walked(name: str, given: dict[str, Any]) -> list[str]:
    """The same of one call."""
    torch.manual_seed(0)
    wanted, told = call(name, given), []
    for argument, one in given.items():
        if not isinstance(one, Given):
            continue
        for how, value in ways(one):
            try:
                torch.manual_seed(0)
                if found := gap(wanted, call(name, given | {argument: value})):
                    told.append(f"{name}({argument}: {one.kind} as {how}): {found}")
            except Exception as error:
                told.append(f"{name}({argument}: {one.kind} as {how}): {type(error).__name__}: {str(error)[:160]}")
    return told


def ways(one: Given) -> Iterator[tuple[str, Any]]:
    if one.first is New:
        yield "text", str(world().fresh())
    else:
        yield from WAYS[one.kind](one.first)
