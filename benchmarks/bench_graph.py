"""Attribution graphs beside circuit-tracer's, and on the default model: the same edges, seconds, peak memory.

    python benchmarks/bench_graph.py [--circuit-tracer PYTHON] [--rounds 3] [--only peer|default|long] [--json]

Comparison: a random 6-layer model and random transcoders (`graph_model.py`), a prompt of 32 tokens, every active latent a node,
the same ten logits. Both tools run in processes of their own, take turns, and answer with seconds and with how much they
grew beyond the loaded model; a turn on a prompt of three tokens comes first and is not counted. circuit-tracer runs with
its default batch of 512 backward passes, and with the small batches that suit two CPU cores better. `same` compares the two
adjacency matrices on the nodes both have.

circuit-tracer 0.5.0 wants libraries of other versions, so it gets an environment of its own:

    python -m venv ct && ct/bin/pip install torch==2.13.0 && ct/bin/pip install circuit-tracer==0.5.0

and its interpreter is named by --circuit-tracer or OPENWORK_CIRCUIT_TRACER; without either this part is left out.

Default model: 12 tokens at 4,000 nodes, and 256 tokens at 2,000, in the neuron basis, each in a fresh process.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from turns import Answer, Peak, Request, Worker, serve

HERE = Path(__file__).parent
PEER = "OPENWORK_CIRCUIT_TRACER"
TOKENS, BATCHES = 32, (512, 64, 8)
WORDS = "the capital of the country France is the city where people live and work each day of the year"
CASES = {"default": (12, 4000), "long": (256, 2000)}
"Tokens and nodes of the traces of the default model."


def text_of(model: Any, n: int) -> str:
    """A text of `n` tokens in the default model, special ones counted."""
    from probe.text.tokens import encode_prompt

    text, words = "The", itertools.cycle(WORDS.split())
    while len(encode_prompt(model, text)) < n:
        text += f" {next(words)}"
    if len(encode_prompt(model, text)) != n:
        raise ValueError(f"No text of {n} tokens was found: one of the words is more than one token here.")
    return text


def side(name: str, folder: Path | None, threads: int) -> None:
    """Openwork's worker: traces with a model, and with the transcoders of the folder if there is one."""
    import torch

    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore", message="On this prompt the dictionaries")  # random ones explain nothing
    from graph_compare import openwork

    from circuits import TraceConfig, plan_trace, trace
    from probe.exchange import import_dictionaries
    from probe.model.load import load_model

    model = load_model(name)
    found = import_dictionaries(folder / "transcoders", model=model) if folder else ()
    dictionaries = [one.dictionary for one in found]
    for dictionary in dictionaries:
        dictionary.name = "random"  # as a stored one has: else its weights are hashed for a name, as part of the trace

    def answer(request: Request) -> Answer:
        text = request.get("prompt") or text_of(model, request["tokens"])
        config = TraceConfig(max_nodes=request["nodes"], probability_mass=1.0, first=request["first"])
        with Peak() as peak:
            graph = trace(model, text, dictionaries=dictionaries, config=config)
        if request.get("save"):
            _save(openwork(graph), Path(request["save"]))
        plan = plan_trace(model, len(graph.token_ids), config) if not dictionaries else None
        facts = {"nodes": len(graph.nodes), "units": int(graph.nodes.where("latent", "neuron").sum())}
        facts |= {"tokens": len(graph.token_ids), "logits": int(graph.roots.sum()), "edges": len(graph.edges)}
        return {
            **peak.to_dict(),
            **facts,
            "conservation": graph.residual_relative,
            "plan_mb": plan and plan.bytes / 1e6,
        }

    serve(answer)


def _save(graph: Any, path: Path) -> None:
    import numpy as np

    kinds, *rest = zip(*graph.nodes, strict=True)
    np.savez(path, matrix=graph.matrix, kind=np.array(kinds), place=np.array(rest))


def _ours(path: Path) -> Any:
    import numpy as np
    from graph_compare import Named

    with np.load(path) as file:
        nodes = [(str(k), *map(int, p)) for k, p in zip(file["kind"], file["place"].T, strict=True)]
        return Named(nodes, file["matrix"])


def _theirs(path: Path, layers: int) -> Any:
    from graph_compare import Named, circuit_tracer_nodes
    from safetensors.numpy import load_file

    t = load_file(path)
    return Named(circuit_tracer_nodes(t["features"], t["tokens"], t["logits"], layers), t["adjacency"])


def environment(threads: int) -> dict[str, str]:
    """Of the workers: the same number of threads for all, and no network."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}


def peer(given: argparse.Namespace, folder: Path, architecture: str) -> dict[str, Any]:
    """Both tools on the same files, in turns."""
    from graph_compare import compare
    from graph_model import Sizes, make, prompt

    from probe.model.toy import toy_tokenizer

    sizes, text = Sizes(architecture), prompt(TOKENS)
    make(folder, sizes)
    ids = toy_tokenizer()(text)["input_ids"]
    # Every active latent becomes a node where they fill at most half of the graph.
    nodes = 4 * sizes.active * sizes.layers * TOKENS
    ours = {"prompt": text, "nodes": nodes, "first": "keep"}
    own = [sys.executable, __file__, "--side", str(folder / "model"), "--transcoders", str(folder)]
    turns = {"openwork": (own, ours, {**ours, "prompt": prompt(3), "nodes": 50})}
    for batch in given.batches:
        command = [given.circuit_tracer, str(HERE / "circuit_tracer_side.py"), str(folder)]
        turns[f"circuit-tracer, batch {batch}"] = (
            command,
            {"tokens": ids, "batch": batch},
            {"tokens": ids[:3], "batch": 8},
        )
    found = in_turns(turns, given.rounds, given.threads, folder)
    same = compare(_ours(folder / "0.npz"), _theirs(folder / "1.npz", sizes.layers))
    best = min((n for n in found if n != "openwork"), key=lambda n: found[n]["seconds"])
    lean = min((n for n in found if n != "openwork"), key=lambda n: found[n]["grown_mb"])
    return {
        "architecture": architecture,
        "runs": found,
        "same": same.to_dict(),
        "against_first_batch": _ratios(found["openwork"], *[found[f"circuit-tracer, batch {given.batches[0]}"]] * 2),
        "against_best_batches": _ratios(found["openwork"], found[best], found[lean]),
    }


def _ratios(own: Answer, quick: Answer, lean: Answer) -> dict[str, float]:
    return {
        "times_faster": quick["seconds"] / own["seconds"],
        "times_less_cpu": quick["cpu_seconds"] / own["cpu_seconds"],
        "share_of_memory": own["grown_mb"] / lean["grown_mb"],
    }


def in_turns(
    turns: dict[str, tuple[list[str], Request, Request]], rounds: int, threads: int, folder: Path
) -> dict[str, Answer]:
    """Per name: facts and memory of the first turn of its process, and median seconds of all rounds.

    turns: command, request, and a first request that is not counted. The first turn also saves its graph as `{index}.npz`.
    """
    number = ["--threads", str(threads)]
    workers = {
        name: Worker([*command, *number], environment(threads), folder / f"{i}.log")
        for i, (name, (command, _, _)) in enumerate(turns.items())
    }
    first, seconds = {}, {name: [] for name in turns}
    for i, (name, (_, request, warm)) in enumerate(turns.items()):
        workers[name].ask(**warm)
        first[name] = workers[name].ask(**request, save=str(folder / f"{i}.npz"))
        seconds[name].append(first[name]["seconds"])
    for _ in range(rounds - 1):
        for name, (_, request, _) in turns.items():
            seconds[name].append(workers[name].ask(**request)["seconds"])
    for worker in workers.values():
        worker.close()
    return {
        name: {**facts, "seconds": statistics.median(seconds[name]), "all_seconds": seconds[name]}
        for name, facts in first.items()
    }


def default_model(case: str, model: str, threads: int, folder: Path) -> Answer:
    """A trace of the default model in a fresh process, against what was planned for it."""
    tokens, nodes = CASES[case]
    command = [sys.executable, __file__, "--side", model, "--threads", str(threads)]
    with Worker(command, environment(threads), folder / f"{case}.log") as worker:
        worker.ask(tokens=4, nodes=10, first="auto")
        found = worker.ask(tokens=tokens, nodes=nodes, first="auto")
    return {**found, "of_plan": found["grown_mb"] / found["plan_mb"]}


def show(found: dict[str, Any]) -> None:
    for part in found.get("peer", ()):
        _show_peer(part)
    for case in CASES:
        if run := found.get(case):
            print(
                f"{run['tokens']} tokens, {run['units']} units, {run['logits']} logits: {run['seconds']:.1f} s "
                f"({run['cpu_seconds']:.1f} of CPU), {run['grown_mb']:.0f} MB beyond the model ({run['peak_mb']:.0f} in "
                f"all), {run['of_plan']:.2f} of the {run['plan_mb']:.0f} MB planned"
            )


def _show_peer(part: dict[str, Any]) -> None:
    print(f"random 6-layer {part['architecture']} model, {TOKENS} tokens")
    for name, run in part["runs"].items():
        times = f"{run['seconds']:>7.2f} s ({run['cpu_seconds']:.1f} of CPU)"
        print(f"  {name:<28} {times} {run['grown_mb']:>8.0f} MB beyond the model")
    same = part["same"]
    print(
        f"  {same['nodes']} common nodes, {same['edges']} edges: largest gap {same['largest_gap']:.1e} of the largest "
        f"edge, {same['row_gap']:.1e} of a target's own; outside them {same['only_left_edge']:.1e}, "
        f"{same['only_right_edge']:.1e}"
    )
    for what in ("against_first_batch", "against_best_batches"):
        ratio = part[what]
        speed = f"{ratio['times_faster']:.1f} times as fast ({ratio['times_less_cpu']:.1f} by CPU)"
        print(f"  {what}: {speed}, {ratio['share_of_memory']:.2f} of the memory")


def measure(given: argparse.Namespace) -> dict[str, Any]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found: dict[str, Any] = {"threads": given.threads, "load_before": load}
    parts = [given.only] if given.only else ["peer", *CASES]
    with tempfile.TemporaryDirectory(prefix="bench-graph-") as scratch:
        if "peer" in parts and given.circuit_tracer:
            found["peer"] = []
            for number, architecture in enumerate(given.architecture):
                folder = Path(scratch) / str(number)  # transformer-lens reads meaning into a path with "llama" in it
                folder.mkdir()
                found["peer"].append(peer(given, folder, architecture))
        elif "peer" in parts:
            print(
                f"circuit-tracer is left out: name its environment's python by --circuit-tracer or {PEER}.",
                file=sys.stderr,
            )
        for case in CASES:
            if case in parts:
                found[case] = default_model(case, given.model, given.threads, Path(scratch))
    return found


def options(words: Sequence[str] | None = None) -> argparse.Namespace:
    from probe.model.load import DEFAULT

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--circuit-tracer", default=os.environ.get(PEER), help="python of circuit-tracer's environment")
    parser.add_argument("--architecture", nargs="+", choices=["llama", "gpt2"], default=["llama"])
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="circuit-tracer's, its default first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--only", choices=["peer", *CASES])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--transcoders", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main() -> None:
    given = options()
    if given.side:
        side(given.side, given.transcoders, given.threads)
        return
    found = measure(given)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
