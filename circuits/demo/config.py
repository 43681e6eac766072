"""How large a demo is."""

from dataclasses import dataclass

from probe.model.aliases import DEFAULT

PROMPT = "The capital of France is"


@dataclass(frozen=True)
class DemoConfig:
    """Sizes of the demo; the defaults take about five minutes on two quiet cores."""

    model: str = DEFAULT
    "Alias, hub id, folder or GGUF file."
    prompt: str = PROMPT
    "What is explained."
    text: str = "sotu"
    "Where the harvested text comes from."
    tokens: int = 300_000
    "Token positions harvested."
    k: int = 32
    "Latents on at each token; the dictionary has 8 for each dimension it reads."
    epochs: int = 3
    "Passes over the harvested tokens."
    max_nodes: int = 2000
    "Units that become nodes of each graph."
    judged: int = 6144
    "Tokens behind the cross-entropies."
    checked: int = 10
    "Sources of each graph that are tested by intervention."
    seed: int = 0
    "Of the text order, the training and the checks."
    name: str = "demo"
    "What its graphs and its report are called."


SMALL = DemoConfig(
    model="toy",
    tokens=60_000,
    k=8,
    epochs=1,
    max_nodes=300,
    judged=512,
    checked=4,
    prompt="one two three",
    name="toy-demo",
)
"""A demo on the toy model, whose weights are random: seconds, and nothing to learn from but what the pages show."""
