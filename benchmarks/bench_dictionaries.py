"""One training step of each kind of dictionary beside SAELens's and sparsify's, and beside its own encoder matmul.

    python benchmarks/bench_dictionaries.py [--json] [--batch 4096] [--repeats 9] [--ours]

All are trained on the same synthetic activations in memory, sizes of the default model (576 -> 4,608, k 32, float32, two
threads). A step is what each library's own trainer does with a batch: forward, loss, backward, clipping where it clips,
Adam, counts of dead latents. The contenders take turns, one step each a round, so a machine that gets busy slows all of
them; medians are compared. Peak memory is of one process each. --ours: leave the other libraries out.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from probe.dictionaries import SAE, BatchTopK, Dictionary, JumpReLU, Sparsifier, Standardiser, TopK, Transcoder
from probe.training.config import TrainConfig
from probe.training.step import Training

D, D_DICT, K = 576, 4608, 32
Step = Callable[[], Any]


def activations(batch: int) -> torch.Tensor:
    """Sparse sums of random directions, with a little noise: something to be learned, so that L0 behaves as in training."""
    generator = torch.Generator().manual_seed(0)
    atoms = torch.nn.functional.normalize(torch.randn(2 * D_DICT, D, generator=generator), dim=1)
    chosen = torch.randint(2 * D_DICT, (batch, K), generator=generator)
    strength = torch.rand(batch, K, generator=generator) + 0.5
    sums = torch.nn.functional.embedding_bag(chosen, atoms, mode="sum", per_sample_weights=strength)
    return sums + 0.05 * torch.randn(batch, D, generator=generator)


def ours(kind: str, rule: Sparsifier, x: torch.Tensor) -> Step:
    """The trainer's step."""
    from probe.dictionaries.start import start_from_data

    y = x if kind == "sae" else x.roll(1, 1).relu()
    d: Dictionary = SAE(D, D_DICT, sparsifier=rule) if kind == "sae" else _transcoder(kind, rule)
    scaling = Standardiser.fit(x, y)
    start_from_data(d, scaling.inputs(x), scaling.targets(y))
    training = Training(d, scaling, TrainConfig(batch=len(x)), total_tokens=1 << 30)
    return lambda: training.step(x, y)


def _transcoder(kind: str, rule: Sparsifier) -> Dictionary:
    return Transcoder(D, D_DICT, sparsifier=rule, skip=kind == "skip_transcoder")


def encoder(x: torch.Tensor) -> Step:
    """The floor: the matmul no step can do without."""
    d = SAE(D, D_DICT, sparsifier=TopK(K))

    @torch.no_grad()
    def run() -> None:
        torch.addmm(d.b_enc, x, d.W_enc)

    return run


def saelens(name: str, x: torch.Tensor, **config: Any) -> Step:
    """SAELens's own trainer step."""
    from peers import sae_lens

    lens = sae_lens()
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae = getattr(lens, f"{name}TrainingSAE")(getattr(lens, f"{name}TrainingSAEConfig")(d_in=D, d_sae=D_DICT, **config))
    settings = SAETrainerConfig(total_training_samples=1 << 30, train_batch_size_samples=len(x), lr=4e-4, lr_end=4e-4)
    trainer = SAETrainer(cfg=settings, sae=sae, data_provider=iter(()), evaluator=None)

    def run() -> None:
        trainer.step(x)
        trainer.n_training_steps += 1

    return run


def sparsify(kind: str, x: torch.Tensor) -> Step:
    """What sparsify's trainer does with a batch of one hookpoint: its loop has no function of its own for it."""
    from peers import sparsify as load

    library = load()
    transcode = kind != "sae"
    config = library.SparseCoderConfig(
        num_latents=D_DICT, k=K, transcode=transcode, skip_connection=kind == "skip_transcoder"
    )
    coder = library.SparseCoder(D, config, device="cpu", dtype=torch.float32)
    y = x.roll(1, 1).relu() if transcode else x
    optimizer = torch.optim.Adam(coder.parameters(), lr=4e-4)
    silent = torch.zeros(D_DICT, dtype=torch.long)

    def run() -> None:
        if not transcode:
            coder.set_decoder_norm_to_unit_norm()
        out = coder(x, y, total_variance=(y - y.mean(0)).pow(2).sum())
        out.fvu.backward()
        if not transcode:
            coder.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        silent.add_(len(x))
        silent[out.latent_indices.flatten()] = 0

    return run


OURS: dict[str, Callable[[torch.Tensor], Step]] = {
    "encoder matmul": encoder,
    "TopK SAE": lambda x: ours("sae", TopK(K), x),
    "TopK transcoder": lambda x: ours("transcoder", TopK(K), x),
    "TopK skip transcoder": lambda x: ours("skip_transcoder", TopK(K), x),
    "BatchTopK SAE": lambda x: ours("sae", BatchTopK(K), x),
    "JumpReLU SAE": lambda x: ours("sae", JumpReLU(K, start=1.0), x),
}
PEERS: dict[str, Callable[[torch.Tensor], Step]] = {
    "SAELens TopK SAE": lambda x: saelens("TopK", x, k=K),
    "SAELens BatchTopK SAE": lambda x: saelens("BatchTopK", x, k=K),
    "SAELens JumpReLU SAE": lambda x: saelens("JumpReLU", x, l0_coefficient=1.0),
    "sparsify TopK SAE": lambda x: sparsify("sae", x),
    "sparsify TopK transcoder": lambda x: sparsify("transcoder", x),
    "sparsify TopK skip transcoder": lambda x: sparsify("skip_transcoder", x),
}
RATIOS = [  # what is compared with what: how many of the first's steps fit into one of the second's, and what is asked
    ("TopK SAE", "SAELens TopK SAE", 3.0),
    ("TopK SAE", "sparsify TopK SAE", 1.3),
    ("TopK transcoder", "sparsify TopK transcoder", 1.3),
    ("TopK skip transcoder", "sparsify TopK skip transcoder", None),
    ("BatchTopK SAE", "SAELens BatchTopK SAE", None),
    ("JumpReLU SAE", "SAELens JumpReLU SAE", 1.5),
]


def times(names: list[str], batch: int, repeats: int) -> dict[str, float]:
    """Median seconds of a step of each, taken in turns, after two rounds to warm up."""
    x = activations(batch)
    steps = {name: (OURS | PEERS)[name](x) for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn >= 2:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def _resident(what: str) -> int:
    """A line of /proc/self/status in bytes: VmRSS (now) or VmHWM (the peak so far)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))


def _peak(name: str, batch: int, threads: int, queue: Any) -> None:
    torch.set_num_threads(threads)
    x = activations(batch)
    step = (OURS | PEERS)[name](x)
    step()  # moments of the optimizer and gradients are there from now on, in every library
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _resident("VmRSS")
    for _ in range(3):
        step()
    queue.put((_resident("VmHWM") - before) / 1e6)


def peak_mb(name: str, batch: int, threads: int) -> float:
    """By how many MB a process that holds weights, moments and data grows for the moment of a step (Linux)."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_peak, args=(name, batch, threads, queue))
    process.start()
    found = queue.get()
    process.join()
    return found


def loader_tokens_per_second() -> float:
    """Pairs of activations a cache delivers, shuffled over all of it, as float32."""
    from bench_harvest import read_speed, write_speed

    with tempfile.TemporaryDirectory() as scratch:
        cache, _ = write_speed(Path(scratch) / "cache")
        return read_speed(cache, 2, torch.float32)


def measure(batch: int, repeats: int, threads: int, peers: bool) -> dict[str, Any]:
    names = [*OURS, *(PEERS if peers else ())]
    step = times(names, batch, repeats)
    ratios = [
        {"step": own, "against": other, "times_faster": step[other] / step[own], "wanted": wanted}
        for own, other, wanted in RATIOS
        if other in step
    ]
    memory = ["TopK SAE", *(["SAELens TopK SAE", "sparsify TopK SAE"] if peers else [])]
    loader = loader_tokens_per_second()
    return {
        "batch": batch,
        "steps": [
            {
                "name": name,
                "ms": 1e3 * seconds,
                "tokens_per_second": batch / seconds,
                "encoder_matmuls": seconds / step["encoder matmul"],
            }
            for name, seconds in step.items()
        ],
        "ratios": ratios,
        "batchtopk_over_topk": step["BatchTopK SAE"] / step["TopK SAE"],
        "peak_mb_of_a_step": {name: peak_mb(name, batch, threads) for name in memory},
        "loader_tokens_per_second": loader,
        "loader_over_trainer": loader * step["TopK transcoder"] / batch,
    }


def show(found: dict[str, Any]) -> None:
    for row in found["steps"]:
        print(
            f"{row['name']:<30} {row['ms']:>7.0f} ms {row['tokens_per_second']:>9,.0f} tokens/s "
            f"{row['encoder_matmuls']:>6.2f} encoder matmuls"
        )
    for row in found["ratios"]:
        wanted = f" (wanted {row['wanted']})" if row["wanted"] else ""
        print(f"{row['step']} is {row['times_faster']:.2f} times as fast as {row['against']}{wanted}")
    print(f"BatchTopK step / TopK step: {found['batchtopk_over_topk']:.2f}")
    print("peak of a step, MB: " + ", ".join(f"{k} {v:.0f}" for k, v in found["peak_mb_of_a_step"].items()))
    print(
        f"loader {found['loader_tokens_per_second']:,.0f} pairs/s, {found['loader_over_trainer']:.0f} times the trainer"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--batch", type=int, default=4096)
    options.add_argument("--repeats", type=int, default=9)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--ours", action="store_true")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    found = measure(chosen.batch, chosen.repeats, chosen.threads, not chosen.ours)
    if chosen.json:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        print(json.dumps({"threads": chosen.threads, "torch": torch.__version__, "load": load, **found}, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
