"""Edge attribution beside transformer-lens's own, and on the default model: seconds, peak memory, the same scores.

    python benchmarks/bench_edges.py [--rounds 3] [--only peer|default] [--json]

Comparison: a random model of GPT-2 small's size (12 layers of 12 heads, 768 wide; every head has its own keys and values, as
transformer-lens asks), pairs of random tokens. Each tool runs in a process of its own, they take turns, and answer with
seconds and with what their peak memory is beyond the loaded model; a turn on a pair of three tokens comes first.
`same` compares the scores of all edges, theirs summed over positions. EAP-IG stands beside: transformer-lens has none.

Default model: IOI, 32 pairs, EAP and EAP-IG with 5 points, each in a fresh process. `over_floor` compares with the arithmetic
that cannot be saved, at the speed of one large matrix product in the same run: two passes forward for what is written, one
forward and back for each point, and the product of writes and gradients of every edge.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from turns import Answer, Peak, Request, Worker, resident, serve

TOKENS, MANY, POINTS = 16, 4, 5
RIGHT, WRONG = 7, 9
SIDES = ("openwork", "transformer-lens")


def make_model(folder: Path) -> None:
    """A random model of GPT-2 small's size, with the toy tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from probe.model.toy import toy_tokenizer

    torch.manual_seed(0)
    tokenizer = toy_tokenizer()
    config = AutoConfig.for_model("gpt2", bos_token_id=1, eos_token_id=2, pad_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pairs_of_ids(model: Any, n: int, length: int) -> Any:
    """Pairs of random tokens that differ in one."""
    import torch

    from probe.model.load import stamp
    from probe.tasks.example import Example
    from probe.tasks.pairs import Pairs

    draw = torch.Generator().manual_seed(n)
    clean = torch.randint(20, 500, (n, length), generator=draw)
    other = clean.clone()
    other[:, length // 2] = torch.randint(20, 500, (n,), generator=draw)
    nothing = Example(clean="", corrupted="", right=[], wrong=[])
    ids = {"clean": clean.tolist(), "corrupted": other.tolist(), "right": [[RIGHT]] * n, "wrong": [[WRONG]] * n}
    return Pairs(task="random tokens", examples=[nothing] * n, refused={}, model=stamp(model), **ids)


def openwork_side(model: Any) -> Callable[[Request], Answer]:
    """EAP or EAP-IG of a task, or of pairs of random tokens."""
    from circuits import eap, eap_ig
    from circuits.edge_attribution.components import components
    from probe.tasks.pairs import task_pairs

    def answer(request: Request) -> Answer:
        asked = request.get("task")
        n = request["pairs"]
        pairs = task_pairs(model, asked, n) if asked else pairs_of_ids(model, n, request["tokens"])
        points = request.get("points", 0)
        components(model)  # what is looked at once per model
        with Peak() as peak:
            scores = eap_ig(model, pairs, steps=points) if points else eap(model, pairs)
        if request.get("save"):
            Path(request["save"]).write_text(json.dumps(_named(scores)))
        tokens = sum(map(len, pairs.clean))
        return {**peak.to_dict(), "edges": len(scores.edges), "tokens": tokens, **_floor(model, scores, tokens, points)}

    return answer


def _named(scores: Any) -> dict[str, float]:
    names = [scores.layout.name(int(u), int(v)) for u, v in scores.edges]
    return dict(zip(names, scores.score.tolist(), strict=True))


def _floor(model: Any, scores: Any, tokens: int, points: int) -> Answer:
    """Seconds of the arithmetic that cannot be saved, at the speed of a large product."""
    import torch

    blocks = sum(p.numel() for name, p in model.original_model.named_parameters() if p.ndim > 1 and "emb" not in name)
    passes = 2 + 2 * max(1, points)
    per_token = 2 * blocks * passes + 2 * len(scores.edges) * int(model.cfg.d_model) * max(1, points)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 4096)
    a @ b
    start = time.perf_counter()
    for _ in range(5):
        a @ b
    speed = 5 * 2 * 1024 * 1024 * 4096 / (time.perf_counter() - start)
    return {"floor_seconds": per_token * tokens / speed}


def transformer_lens_side(model: Any) -> Callable[[Request], Answer]:
    """Its `attribution_patch` over edges. Its gradient is at its corrupted run, so that the two sides are given the other way
    round."""
    import torch
    from transformer_lens.tools.analysis.attribution_patching import EdgeAttributionConfig, attribution_patch

    def answer(request: Request) -> Answer:
        pairs = pairs_of_ids(model, request["pairs"], request["tokens"])
        clean, corrupted = torch.tensor(pairs.clean), torch.tensor(pairs.corrupted)
        model.requires_grad_(True)  # it starts at the weights
        with Peak() as peak:
            found = attribution_patch(
                model,
                corrupted,
                clean,
                lambda logits: logits[0, -1, RIGHT] - logits[0, -1, WRONG],
                EdgeAttributionConfig(granularity="edge"),
            )
        if request.get("save"):
            Path(request["save"]).write_text(json.dumps(_summed(found.edge_scores)))
        return {**peak.to_dict(), "edges": len(found.edge_scores), "tokens": int(clean.numel())}

    return answer


def _summed(scores: dict[tuple[Any, Any], float]) -> dict[str, float]:
    """Over positions, by our names."""
    found: dict[str, float] = {}
    for (u, v), score in scores.items():
        sender = {"embed": "input", "attn_head_out": f"a{u.layer}.h{u.head}", "mlp_out": f"m{u.layer}"}[u.kind]
        receiver = {"mlp_in": f"m{v.layer}", "logits": "logits"}.get(v.kind, f"a{v.layer}.h{v.head}<{v.kind[0]}>")
        name = f"{sender}->{receiver}"
        found[name] = found.get(name, 0.0) + score
    return found


def side(which: str, name: str, threads: int) -> None:
    """One worker."""
    import torch

    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore")
    from probe.model.load import load_model

    model = load_model(name)
    answer = openwork_side(model) if which == "openwork" else transformer_lens_side(model)
    loaded = resident() / 1e6

    def measured(request: Request) -> Answer:
        found = answer(request)
        return {**found, "grown_mb": found["peak_mb"] - loaded}

    serve(measured)


def command(which: str, model: str, threads: int) -> list[str]:
    """Of a worker."""
    return [sys.executable, __file__, "--side", which, "--model", model, "--threads", str(threads)]


def environment(threads: int) -> dict[str, str]:
    """Of the workers: the same number of threads for all, and no network."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}


def peer(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both tools on the same model and pairs, in turns."""
    make_model(folder / "model")
    workers = {
        which: Worker(
            command(which, str(folder / "model"), given.threads), environment(given.threads), folder / f"{which}.log"
        )
        for which in SIDES
    }
    found: dict[str, Any] = {}
    for n in (1, MANY):
        found[str(n)] = _turns(workers, n, given.rounds, folder)
    integrated = [workers["openwork"].ask(pairs=n, tokens=TOKENS, points=POINTS) for n in (1, MANY)]
    for worker in workers.values():
        worker.close()
    return {"runs": found, "eap-ig": dict(zip(("1", str(MANY)), integrated, strict=True))}


def _turns(workers: dict[str, Worker], n: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Facts, memory and time of the first turn, in which Openwork also plans; median times of those after it; the same scores?"""
    first: dict[str, Answer] = {}
    later: dict[str, list[Answer]] = {which: [] for which in workers}
    for which, worker in workers.items():
        worker.ask(pairs=1, tokens=3)
        first[which] = worker.ask(pairs=n, tokens=TOKENS, save=str(folder / f"{which}.json"))
    for _ in range(rounds):
        for which, worker in workers.items():
            later[which].append(worker.ask(pairs=n, tokens=TOKENS))
    found = {which: {**one, "first_seconds": one["seconds"], **_medians(later[which])} for which, one in first.items()}
    ours, theirs = (json.loads((folder / f"{which}.json").read_text()) for which in SIDES)
    largest = max(map(abs, theirs.values()))
    gap = max(abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in {*ours, *theirs}) / largest
    own, other = (found[which] for which in SIDES)
    return {
        **found,
        "same": {"edges": len(ours), "only_one_has": len(set(ours) ^ set(theirs)), "largest_gap": gap},
        "times_faster": other["seconds"] / own["seconds"],
        "times_faster_first": other["first_seconds"] / own["first_seconds"],
        "times_less_cpu": other["cpu_seconds"] / own["cpu_seconds"],
        "share_of_memory": own["grown_mb"] / other["grown_mb"],
    }


def _medians(some: list[Answer]) -> Answer:
    return {name: statistics.median(one[name] for one in some) for name in ("seconds", "cpu_seconds")}


def default_model(given: argparse.Namespace, folder: Path) -> dict[str, Answer]:
    """IOI, 32 pairs, each method in a fresh process."""
    found = {}
    for name, points in (("eap", 0), ("eap-ig", POINTS)):
        asked = command("openwork", given.model, given.threads)
        with Worker(asked, environment(given.threads), folder / f"{name}.log") as worker:
            worker.ask(task="ioi", pairs=1, points=points)
            one = worker.ask(task="ioi", pairs=32, points=points)
        found[name] = {**one, "over_floor": one["seconds"] / one["floor_seconds"]}
    return found


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All parts that are asked for."""
    found: dict[str, Any] = {"threads": given.threads, "load_before": os.getloadavg()[0]}
    parts = [given.only] if given.only else ["peer", "default"]
    with tempfile.TemporaryDirectory(prefix="bench-edges-") as scratch:
        if "peer" in parts:
            found["peer"] = peer(given, Path(scratch))
        if "default" in parts:
            found["default"] = default_model(given, Path(scratch))
    return found


def show(found: dict[str, Any]) -> None:
    """As text."""
    if part := found.get("peer"):
        print(f"random model of GPT-2 small's size, {TOKENS} tokens")
        for n, run in part["runs"].items():
            cpu, first = run["times_less_cpu"], run["times_faster_first"]
            for which in SIDES:
                one = run[which]
                print(f"  {n} pairs, {which:<17} {one['seconds']:>7.2f} s {one['grown_mb']:>7.0f} MB beyond the model")
            same = run["same"]
            print(
                f"    {run['times_faster']:.1f} times as fast ({cpu:.1f} by CPU, {first:.1f} "
                f"in the first turn), {run['share_of_memory']:.2f} of the memory; {same['edges']} edges, largest gap "
                f"{same['largest_gap']:.1e} of the largest score"
            )
            ig = part["eap-ig"][n]
            print(f"  {n} pairs, EAP-IG of {POINTS} points {ig['seconds']:.2f} s, {ig['grown_mb']:.0f} MB")
    for name, run in found.get("default", {}).items():
        print(
            f"default model, IOI, 32 pairs, {name}: {run['seconds']:.1f} s ({run['over_floor']:.1f} times the floor), "
            f"{run['grown_mb']:.0f} MB beyond the model ({run['peak_mb']:.0f} in all), {run['edges']} edges"
        )


def options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    from probe.model.load import DEFAULT

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--only", choices=["peer", "default"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main() -> None:
    given = options()
    if given.side:
        side(given.side, given.model, given.threads)
        return
    found = measure(given)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
