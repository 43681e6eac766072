"""Speed of drawing text from a model: `python benchmarks/bench_sampling.py [--model M] [--batch N] [--length T]`, JSON on stdout.

sampled_tok_s: tokens drawn a second, a batch of documents side by side from BOS on. hooked_tok_s: the same
through the model with its hooks (keys and values kept by transformers), over a few tokens. forward_tok_s: one plain pass of the
model over some of these rows, all tokens at once. products_tok_s: what would be drawn if a token cost nothing but its
products with the weights, as torch makes them. read_ms: reading all weights once, which every step must.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from probe.model.continuing.texts import Texts
from probe.model.key_value_cache import NextToken
from probe.model.load import DEFAULT, load_model
from probe.text.sampling import draw


def seconds(work: Callable[[], Any], repeats: int = 1) -> float:
    """The best of some."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def sampled(model: Any, texts: Texts, batch: int, length: int) -> float:
    """Tokens drawn a second."""
    drawn: list[int] = []
    took = seconds(lambda: drawn.extend(len(ids) for ids, _ in draw(texts, range(batch), length)))
    return sum(drawn) / took


def hooked(model: Any, batch: int, steps: int = 8) -> float:
    """Tokens a second through the model with its hooks."""
    ids, predict = torch.ones(batch, 1, dtype=torch.int64), NextToken(model)
    predict(ids)
    start = time.perf_counter()
    for _ in range(steps):
        ids = torch.cat([ids, torch.full((batch, 1), 5)], 1)
        predict(ids)
    return batch * steps / (time.perf_counter() - start)


def products(model: Any, batch: int) -> tuple[float, float]:
    """Tokens a second of the products with the weights alone, and milliseconds to read them all once."""
    weights = [m.weight for m in model.original_model.modules() if type(m) is torch.nn.Linear]
    inputs = {w.shape[1]: torch.randn(batch, w.shape[1], dtype=w.dtype) for w in weights}
    work = lambda: [torch.nn.functional.linear(inputs[w.shape[1]], w) for w in weights]  # noqa: E731
    return batch / seconds(work, 4), 1e3 * seconds(lambda: [w.sum() for w in weights], 3)


def measure(name: str, batch: int, length: int) -> dict[str, float]:
    """All of it, on this machine."""
    model = load_model(name)
    texts = Texts(model)
    some = torch.randint(5, model.cfg.d_vocab, (max(batch // 8, 1), length))
    with torch.no_grad():
        forward = seconds(lambda: model(some), 2)
        floor, read = products(model, batch)
        return {
            "sampled_tok_s": sampled(model, texts, batch, length),
            "hooked_tok_s": hooked(model, batch),
            "forward_tok_s": some.numel() / forward,
            "products_tok_s": floor,
            "read_ms": read,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--length", type=int, default=256)
    given = parser.parse_args()
    found = measure(given.model, given.batch, given.length)
    sys.stdout.write(json.dumps({k: round(v) for k, v in found.items()} | {"threads": torch.get_num_threads()}) + "\n")


if __name__ == "__main__":
    main()
