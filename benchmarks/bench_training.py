"""Tokens per second of one training step, and how it compares with the encoder's own matmul in the same run.

    python benchmarks/bench_training.py [--json] [--kind skip_transcoder] [--batch 4096]

The step is the trainer's: forward, backward, clipping, Adam, dead-latent counts; data is in memory. Sizes are those of the
default model: 576 -> 4,608 -> 576, k 32, float32, two threads.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from probe.dictionaries import SAE, Dictionary, Standardiser, TopK, Transcoder
from probe.training import TrainConfig, Training


def timed(run: Callable[[], Any], repeats: int) -> list[tuple[float, float]]:
    """Seconds, by the wall clock and of all threads' work, of each of `repeats` runs, after two to warm up."""
    seconds = []
    for _ in range(repeats + 2):
        start, work = time.perf_counter(), time.process_time()
        run()
        seconds.append((time.perf_counter() - start, time.process_time() - work))
    return seconds[2:]


def median(seconds: list[tuple[float, float]], which: int = 0) -> float:
    return statistics.median(pair[which] for pair in seconds)


def make(kind: str, d: int, d_dict: int, k: int) -> Dictionary:
    """An untrained dictionary with a decoder that is not zero."""
    if kind == "sae":
        return SAE(d, d_dict, sparsifier=TopK(k))
    dictionary = Transcoder(d, d_dict, sparsifier=TopK(k), skip=kind == "skip_transcoder")
    torch.nn.init.normal_(dictionary.W_dec, std=0.01)
    return dictionary


def measure(kind: str, batch: int, d: int = 576, d_dict: int = 4608, k: int = 32, repeats: int = 12) -> dict[str, Any]:
    """Times of the step and of its encoder matmul, alternating, so that both see the same machine."""
    torch.manual_seed(0)
    x = torch.randn(batch, d)
    y = x if kind == "sae" else torch.randn(batch, d)
    dictionary = make(kind, d, d_dict, k)
    training = Training(dictionary, Standardiser.fit(x, y), TrainConfig(batch=batch), total_tokens=1 << 30)
    with torch.no_grad():
        encoder = timed(lambda: torch.addmm(dictionary.b_enc, x, dictionary.W_enc), repeats)
    step = timed(lambda: training.step(x, y), repeats)
    with torch.no_grad():
        encoder += timed(lambda: torch.addmm(dictionary.b_enc, x, dictionary.W_enc), repeats)
    step_s, encoder_s = median(step), median(encoder)
    return {
        "kind": kind,
        "batch": batch,
        "d_in": d,
        "d_dict": d_dict,
        "k": k,
        "tokens_per_second": batch / step_s,
        "step_ms": 1e3 * step_s,
        "encoder_ms": 1e3 * encoder_s,
        "ratio": step_s / encoder_s,
        "step_cpu_ms": 1e3 * median(step, 1),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kind", choices=("sae", "transcoder", "skip_transcoder"), action="append")
    options.add_argument("--batch", type=int, default=4096)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    results = [measure(kind, chosen.batch) for kind in chosen.kind or ["sae", "transcoder", "skip_transcoder"]]
    if chosen.json:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        print(json.dumps({"threads": chosen.threads, "torch": torch.__version__, "load": load, "training": results}))
        return
    for r in results:
        print(
            f"{r['kind']:<16} {r['tokens_per_second']:>8,.0f} tokens/s  step {r['step_ms']:.0f} ms, "
            f"{r['ratio']:.2f} encoder matmuls of {r['encoder_ms']:.0f} ms"
        )


if __name__ == "__main__":
    main()
