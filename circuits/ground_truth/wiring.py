"""A transformer wired by hand: the dimensions of its stream have names, and each head and neuron says which it reads and writes.

    Head(attends=[("asks A", "is A", 40.0)], moves=[("is A", "says A", 1.0)])

looks, where a position's stream asks for A, at positions that hold A, with a score of 40 (the others have 0), and adds what
stands there under `is A` to its own `says A`. Each name of a score or a move takes a dimension of the head of its own. There are
no norms, so that all is linear but attention and neurons (ReLU); position i has 1 at `at i`, and every position at `one`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from probe.model.toy import native

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

ONE = "one"
LENGTH = 12
"""Positions that a wired model has."""
Sum = Mapping[str, float]
"""How much of each named dimension."""
Link = tuple[str, str, float]
"""From which dimension, to which, how strongly."""


@dataclass(frozen=True)
class Head:
    """attends: the query's dimension, the key's, the score where both are 1. moves: what is read, where it is put, times what."""

    attends: Sequence[Link] = ()
    moves: Sequence[Link] = ()


@dataclass(frozen=True)
class Neuron:
    """relu(sum of `reads` + bias) - less, added times what `writes` says."""

    reads: Sum
    writes: Sum
    bias: float = 0.0
    less: float = 0.0


@dataclass(frozen=True)
class Layer:
    """Heads, then neurons that read what they wrote."""

    heads: Sequence[Head]
    neurons: Sequence[Neuron] = field(default_factory=tuple)


def wire(words: Mapping[str, Sum], layers: Sequence[Layer], logits: Mapping[str, Sum]) -> "TransformerBridge":
    """The model: words with what each puts into the stream, layers, and what adds to each word's logit."""
    at = _dimensions(words, layers, logits)
    n_heads = max(len(layer.heads) for layer in layers)
    neurons = max(1, *(len(layer.neurons) for layer in layers))
    width = max(1, *(len(links) for layer in layers for h in layer.heads for links in (h.attends, h.moves)))
    model = native(
        tokenizer=_tokenizer(list(words)),
        n_layers=len(layers),
        d_model=len(at),
        n_heads=n_heads,
        d_head=width,
        d_mlp=neurons,
        d_vocab=len(words),
        n_ctx=LENGTH,
        act_fn="relu",
        normalization_type=None,
    )
    weights = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    filled = _Filled(at, width, weights)
    filled.ends(words, logits)
    for i, layer in enumerate(layers):
        filled.layer(i, layer)
    model.load_state_dict(filled.weights)
    return model.requires_grad_(False)


def _dimensions(words: Mapping[str, Sum], layers: Sequence[Layer], logits: Mapping[str, Sum]) -> dict[str, int]:
    """Every name that is used, by its place in the stream."""
    names: list[str] = [ONE, *(f"at {i}" for i in range(LENGTH))]
    names += [name for some in (*words.values(), *logits.values()) for name in some]
    for layer in layers:
        names += [name for h in layer.heads for link in (*h.attends, *h.moves) for name in link[:2]]
        names += [name for n in layer.neurons for name in (*n.reads, *n.writes)]
    return {name: i for i, name in enumerate(dict.fromkeys(names))}


class _Filled:
    """Weights as they are filled; matrices map their last axis to their first."""

    def __init__(self, at: Mapping[str, int], width: int, weights: dict[str, Tensor]):
        self.at, self.width, self.weights = at, width, weights

    def ends(self, words: Mapping[str, Sum], logits: Mapping[str, Sum]) -> None:
        """Embedding, positions, unembedding."""
        for i, some in enumerate(words.values()):
            self._put("embed.weight", i, some)
        for i in range(LENGTH):
            self._put("pos_embed.weight", i, {ONE: 1.0, f"at {i}": 1.0})
        for i, word in enumerate(words):
            self._put("unembed.weight", i, logits.get(word, {}))

    def layer(self, i: int, layer: Layer) -> None:
        """One layer's heads and neurons."""
        for h, head in enumerate(layer.heads):
            for d, (query, key, score) in enumerate(head.attends, h * self.width):
                self._put(f"blocks.{i}.attn.q.weight", d, {query: score * math.sqrt(self.width)})
                self._put(f"blocks.{i}.attn.k.weight", d, {key: 1.0})
            for d, (source, target, times) in enumerate(head.moves, h * self.width):
                self._put(f"blocks.{i}.attn.v.weight", d, {source: 1.0})
                self._into(f"blocks.{i}.attn.o.weight", d, {target: times})
        for n, neuron in enumerate(layer.neurons):
            self._put(f"blocks.{i}.mlp.in.weight", n, neuron.reads)
            self.weights[f"blocks.{i}.mlp.in.bias"][n] = neuron.bias
            self._into(f"blocks.{i}.mlp.out.weight", n, neuron.writes)
            for name, value in neuron.writes.items():
                self.weights[f"blocks.{i}.mlp.out.bias"][self.at[name]] -= value * neuron.less

    def _put(self, weight: str, row: int, some: Sum) -> None:
        for name, value in some.items():
            self.weights[weight][row, self.at[name]] = value

    def _into(self, weight: str, column: int, some: Sum) -> None:
        for name, value in some.items():
            self.weights[weight][self.at[name], column] = value


def _tokenizer(words: Iterable[str]) -> "PreTrainedTokenizerFast":
    """One token a word."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    listed = list(words)
    backend = Tokenizer(models.WordLevel({word: i for i, word in enumerate(listed)}, unk_token=listed[0]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, name_or_path="wired", pad_token=listed[0])
