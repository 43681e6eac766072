"""The main job: one prompt, the whole way, on a real model, with every number beside its baseline.

prompt -> lens, heads, graph in the neuron basis -> harvest one early layer -> train a skip transcoder -> judge it ->
trace again with it. Each step's result is an artifact; interrupted and run again, finished steps are opened, not redone.
Other settings give other names (`demo-layer4` is of the defaults), so a demo of any settings stands beside the others.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from circuits.demo.config import DemoConfig
from probe.artifacts.folder import place
from probe.artifacts.json import Json, clean, write_json
from probe.artifacts.locks.claims import claim
from probe.artifacts.manifest import Manifest, check_files, read_manifest, writing
from probe.artifacts.refuse_other_model import check_model
from probe.errors import OpenworkError
from probe.evaluation.store import report_in, save_report
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache
    from probe.dictionaries.store import AnyDictionary
    from probe.text.tokens import TokenSet
    from probe.training.result import TrainResult


Value = TypeVar("Value")
Load = Callable[[str, Progress], "TransformerBridge"]
"""Gets a model by its name."""


@dataclass
class Demo:
    """A run: its steps with their times and whether each was found finished, and their reports by name."""

    config: DemoConfig
    steps: list[dict[str, Any]] = field(default_factory=list)
    reports: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> Json:
        """Ready for JSON."""
        total = sum(s["seconds"] for s in self.steps)
        return {"config": asdict(self.config), "seconds": total, "steps": self.steps, **self.reports}

    def do(self, name: str, work: Callable[[], tuple[Value, bool]]) -> Value:
        """Time one step; `work` returns its value and whether it was found finished."""
        start = time.perf_counter()
        value, found = work()
        self.steps.append({"step": name, "seconds": time.perf_counter() - start, "found_finished": found})
        return value


def run_demo(config: DemoConfig | None = None, progress: Progress = SILENT, load: Load | None = None) -> Demo:
    """Go the whole way. Raises what its steps raise; what was finished stays. load: gets the model by name and progress."""
    demo = Demo(config or DemoConfig())
    with claim(place("result", demo.config.name)):  # two demos of one name would share every step
        return _run(demo, progress, load)


def _run(demo: Demo, progress: Progress, load: Load | None) -> Demo:
    from probe.model.load import load_model

    c = demo.config
    load = load or (lambda name, progress: load_model(name, progress=progress))
    model = demo.do("load the model", lambda: (load(c.model, progress), False))
    layer = round(4 * model.cfg.n_layers / 30)  # an early layer: 4 of the default model's 30
    _look(demo, model, progress)
    neurons = demo.do("trace in the neuron basis", lambda: _graph(demo, model, "demo-neurons", [], progress))
    cache = demo.do(f"harvest layer {layer}", lambda: _harvest(c, model, layer, progress))
    demo.reports["cache"] = {"tokens": cache.n_tokens, "sites": list(cache.sites), "dtype": cache.layout.dtype}
    result = demo.do("train a skip transcoder", lambda: _train(c, cache, progress))
    demo.reports["training"] = result.to_dict()
    demo.reports["evaluation"] = demo.do("judge it", lambda: _judge(c, model, result.dictionary, cache, progress))
    mixed = demo.do("trace with it", lambda: _graph(demo, model, "demo-transcoder", [result.dictionary], progress))
    demo.reports["conservation_residual"] = max(neurons["conservation_residual"], mixed["conservation_residual"])
    _keep(demo, model)
    return demo


def _look(demo: Demo, model: "TransformerBridge", progress: Progress) -> None:
    from probe.heads.patterns import head_patterns
    from probe.lens.logit import logit_lens

    c = demo.config
    lens = demo.do("logit lens", lambda: (logit_lens(model, c.prompt, progress=progress), False))
    heads = demo.do("attention heads", lambda: (head_patterns(model, c.prompt), False))
    demo.reports["lens"] = {"next_tokens": lens.next_tokens()[:5], "last_position": lens.rows(-1)}
    demo.reports["heads"] = {
        "previous_token": heads.rows("previous_token", 3),
        "first_token": heads.rows("first_token", 3),
    }


def _finished(kind: str, name: str, model: "TransformerBridge", key: Json) -> Path | None:
    """The folder of an artifact made by a demo of this key from this model, or None."""
    from probe.model.load import stamp

    folder = place(kind, name)
    try:
        manifest = read_manifest(folder, kind)
        check_model(manifest, stamp(model), folder)
    except OpenworkError:
        return None
    return folder if manifest.facts.get("demo") == clean(key) else None


def _graph(
    demo: Demo, model: "TransformerBridge", name: str, dictionaries: "list[AnyDictionary]", progress: Progress
) -> tuple[Json, bool]:
    """A stored graph's report, with its test by intervention."""
    from circuits.attribution.trace import TraceConfig, trace
    from circuits.graph.store import save_graph
    from circuits.validation.edges import check_edges
    from probe.model.fingerprint import weights_fingerprint
    from probe.model.load import stamp

    c = demo.config
    key = {
        "prompt": c.prompt,
        "max_nodes": c.max_nodes,
        "checked": c.checked,
        "seed": c.seed,
        "dictionaries": [weights_fingerprint(d) for d in dictionaries],
    }
    stored = c.name + name.removeprefix("demo")
    folder = _finished("graph", stored, model, key)
    if folder is None:
        graph = trace(
            model, c.prompt, dictionaries=dictionaries, config=TraceConfig(max_nodes=c.max_nodes), progress=progress
        )
        start = time.perf_counter()
        checked = check_edges(model, graph, dictionaries=dictionaries, n=c.checked, seed=c.seed).to_dict()
        graph.facts.update(
            {"demo": clean(key), "intervention_check": checked, "check_seconds": time.perf_counter() - start}
        )
        parents = ("demo",) if dictionaries else ()
        folder = save_graph(graph, place("graph", stored), model=stamp(model), parents=parents, replace=True)
        found = False
    else:
        found = True
    demo.reports[name] = read_manifest(folder).facts
    return demo.reports[name], found


def _harvest(c: DemoConfig, model: "TransformerBridge", layer: int, progress: Progress) -> "tuple[Cache, bool]":
    from probe.activations.harvest import harvest
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    tokens = tokenize(model, corpus(c.text, seed=c.seed), max_tokens=c.tokens)
    folder = place("cache", f"demo-layer{layer}{_data_suffix(c, model, tokens)}")
    found = folder.exists()
    sites = [f"mlp_in.{layer}", f"mlp_out.{layer}"]
    return harvest(model, tokens, sites, folder, seed=c.seed, resume=True, progress=progress), found


def _data_suffix(c: DemoConfig, model: "TransformerBridge", tokens: "TokenSet") -> str:
    """Nothing for the default model and text, else 6 hex digits of which weights read which tokens."""
    from probe.activations.harvest import fingerprint
    from probe.model.load import stamp

    usual = DemoConfig()
    if (c.model, c.text, c.tokens, c.seed) == (usual.model, usual.text, usual.tokens, usual.seed):
        return ""
    mark = stamp(model)
    data = f"{mark.weights} {mark.tokenizer} {fingerprint(tokens)} {c.seed}"
    return f"-{hashlib.blake2b(data.encode(), digest_size=3).hexdigest()}"


def _training_suffix(c: DemoConfig) -> str:
    """Nothing for the default training, else its sparsity and length."""
    usual = DemoConfig()
    return "" if (c.k, c.epochs) == (usual.k, usual.epochs) else f"-k{c.k}-epochs{c.epochs}"


def _train(c: DemoConfig, cache: "Cache", progress: Progress) -> "tuple[TrainResult, bool]":
    from probe.activations.checks import require_sound
    from probe.training.recipes import Recipe, make
    from probe.training.trainer import TrainConfig, train

    folder = place("dictionary", f"{cache.folder.name}-skip_transcoder{_training_suffix(c)}")
    found = folder.exists()
    if not found:
        require_sound(cache, progress)
    dictionary = make(cache, Recipe("skip_transcoder", f"topk:{c.k}", seed=c.seed))
    return train(
        dictionary, cache, TrainConfig(epochs=c.epochs, seed=c.seed), folder, resume=True, progress=progress
    ), found


def _judge(
    c: DemoConfig, model: "TransformerBridge", dictionary: "AnyDictionary", cache: "Cache", progress: Progress
) -> tuple[Json, bool]:
    from probe.evaluation.evaluate import evaluate
    from probe.model.fingerprint import weights_fingerprint
    from probe.training.pairs import cache_identity

    name = f"{cache.folder.name}-evaluation{_training_suffix(c)}"
    key = {
        "judged": c.judged,
        "seed": c.seed,
        "dictionary": weights_fingerprint(dictionary),
        "data": cache_identity(cache),
    }
    folder = _finished("result", name, model, key)
    found = folder is not None and not check_files(folder, read_manifest(folder, "result"))
    if folder is None or not found:
        report = evaluate(model, dictionary, cache, max_tokens=c.judged, seed=c.seed, progress=progress)
        save_report(name, report, model, (cache.folder.name,), replace=True, demo=clean(key))
        folder = place("result", name)
    return report_in(folder), found


def _keep(demo: Demo, model: "TransformerBridge") -> None:
    """Store the whole report as a result."""
    from probe.model.load import stamp

    with writing(
        place("result", demo.config.name),
        Manifest("result", demo.config.name, stamp(model), config=asdict(demo.config)),
        replace=True,
    ) as scratch:
        write_json(scratch / "report.json", clean(demo.to_dict()))
