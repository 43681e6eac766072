"""Train the transcoders that docs/two-circuits.md asks about: `python scripts/two_circuits_transcoders.py [--sample NAME]`.

One harvest of MLP inputs and outputs of the six layers that both circuits use most, then one transcoder a layer (TopK 32, 4,608
latents); `openwork study two-circuits-transcoders` takes those that are stored. The text: addresses, what the model itself writes
(where a sample is stored), and a few thousand tokens of sentences like the two tasks', of which none is tested: other centuries
and nouns, capitals of countries that are not among the tested.
"""

import argparse
import itertools
from collections.abc import Iterator
from random import Random

import probe
from probe.artifacts.folder import place
from probe.artifacts.names import partial
from probe.evaluation.sweep import grid, sweep
from probe.progress import Bar
from probe.text.documents import Document
from probe.training.trainer import TrainConfig

LAYERS = (23, 24, 25, 26, 27, 29)
NOUNS = ("famine", "drought", "regency", "dispute", "boom", "decline", "truce", "blockade", "plague", "mission")
_PAIRS = (
    "Thailand:Bangkok, Indonesia:Jakarta, Bangladesh:Dhaka, Romania:Bucharest, Nepal:Kathmandu, Serbia:Belgrade, "
    "Venezuela:Caracas, Nigeria:Abuja, Pakistan:Islamabad, Taiwan:Taipei, Lebanon:Beirut, Vietnam:Hanoi, "
    "Malaysia:Kuala Lumpur, Libya:Tripoli, Qatar:Doha, Morocco:Rabat, Ghana:Accra, Ecuador:Quito, "
    "Uruguay:Montevideo, Uganda:Kampala"
)
CAPITALS = dict(pair.split(":") for pair in _PAIRS.split(", "))


def sentences(n: int, seed: int = 0) -> Iterator[Document]:
    """n documents of three sentences like the two tasks', of centuries and countries that are not tested."""
    draw = Random(seed)
    for i in range(n):
        lines = []
        for _ in range(3):
            if draw.random() < 0.5:
                century, start = draw.choice((11, 13, 14, 15, 16, 18, 19)), draw.randrange(1, 90)
                end = draw.randrange(start + 1, min(start + 40, 99) + 1)
                lines.append(
                    f"The {draw.choice(NOUNS)} lasted from the year {century}{start:02d} to the year {century}{end:02d}."
                )
            else:
                country = draw.choice(list(CAPITALS))
                lines.append(f"The capital of {country} is {CAPITALS[country]}.")
        yield Document(f"sentences {i}", " ".join(lines))


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--sample", help="name of a stored sample of the model's own text")
    options.add_argument("--tokens", type=int, default=80_000)
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--layers", type=int, nargs="+", default=LAYERS)
    asked = options.parse_args()
    model, progress = probe.load_model(), Bar()
    own = probe.corpus(f"sample:{asked.sample}") if asked.sample else ()
    text = itertools.chain(sentences(120), own, probe.corpus("sotu", seed=0))
    tokens = probe.tokenize(model, text, context=64, max_tokens=asked.tokens)
    sites = [f"{kind}.{i}" for i in LAYERS for kind in ("mlp_in", "mlp_out")]
    folder = place("cache", "two-circuits")
    begun = folder.exists() or partial(folder).exists()
    made = {"dtype": "float32", "shard_tokens": 8192, "resume": begun}
    cache = probe.harvest(model, tokens, sites, folder, **made, progress=progress)
    config = TrainConfig(batch=512, epochs=asked.epochs)
    for layer in asked.layers:
        recipe = grid(["transcoder"], ["topk:32"], sites_in=(f"mlp_in.{layer}",), sites_out=(f"mlp_out.{layer}",))
        name = f"two-circuits-{layer}"
        found = sweep(cache, recipe, config, model=model, name=name, max_tokens=2048, resume=True, progress=progress)
        print(layer, found.rows()[0])


if __name__ == "__main__":
    main()
