"""The edges of a model whose blocks write to one stream: who writes, who reads, and who comes before whom.

Senders are the input (embedding and position), every head and every MLP; receivers are the queries of every head, the keys and
values of every key-value head, every MLP, and the logits. What attention and MLPs add is added to the stream, so a receiver reads
the sum of all senders before it, and its edges are a prefix of the senders in the order they write:

    input, a0.h0, ..., a0.hH, m0, a1.h0, ...          a5.h3<q>   a5.kv1<k>   a5.kv1<v>   m5   logits

Where attention and MLP read one stream side by side (GPT-J, GPT-NeoX), an MLP does not read its own layer's heads. Names are
those of the edge attribution literature (`a0.h1->a1.h2<q>`); where every head has keys and values of its own they are `a5.h3<k>`
as well.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from probe.errors import BadInput, brief
from probe.model.sites import Site
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SIDES = ("q", "k", "v")


@dataclass(frozen=True, kw_only=True)
class Layout(Record):
    """inputs: what is there before the first layer: `input`, or `tok` and `pos` apart. heads, kv_heads: how many of each in every
    layer. parallel: the layers whose MLP reads beside its attention."""

    inputs: list[str]
    heads: list[int]
    kv_heads: list[int]
    parallel: list[bool]

    @property
    def n_layers(self) -> int:
        """Blocks of the model."""
        return len(self.heads)

    @cached_property
    def senders(self) -> list[str]:
        """Names of what writes, in order."""
        names = list(self.inputs)
        for layer, heads in enumerate(self.heads):
            names += [f"a{layer}.h{h}" for h in range(heads)] + [f"m{layer}"]
        return names

    @cached_property
    def receivers(self) -> list[str]:
        """Names of what reads, in order."""
        names: list[str] = []
        for layer in range(self.n_layers):
            for side in SIDES:
                names += [f"a{layer}.{self._owner(layer, side)}{i}<{side}>" for i in range(self.count(layer, side))]
            names.append(f"m{layer}")
        return [*names, "logits"]

    def _owner(self, layer: int, side: str) -> str:
        return "h" if side == "q" or self.kv_heads[layer] == self.heads[layer] else "kv"

    def count(self, layer: int, side: str) -> int:
        """Receivers of a side of a layer's attention."""
        return self.heads[layer] if side == "q" else self.kv_heads[layer]

    @cached_property
    def first_sender(self) -> list[int]:
        """Index of every layer's first head among the senders; of the end, last."""
        return [len(self.inputs) + sum(self.heads[:layer]) + layer for layer in range(self.n_layers + 1)]

    @cached_property
    def first_receiver(self) -> list[int]:
        """Index of every layer's first receiver; of the logits, last."""
        sizes = [self.heads[i] + 2 * self.kv_heads[i] + 1 for i in range(self.n_layers)]
        return [sum(sizes[:layer]) for layer in range(self.n_layers + 1)]

    @property
    def apart(self) -> bool:
        """Whether tokens and positions are two senders."""
        return len(self.inputs) > 1

    def heads_of(self, layer: int) -> slice:
        """A layer's heads among the senders."""
        return slice(self.first_sender[layer], self.first_sender[layer] + self.heads[layer])

    def mlp_of(self, layer: int) -> int:
        """A layer's MLP among the senders."""
        return self.first_sender[layer + 1] - 1

    def reading(self, layer: int, side: str) -> slice:
        """The receivers of a side of a layer (`q`, `k`, `v`, `mlp`), or with layer `n_layers` the logits."""
        start = self.first_receiver[layer]
        if layer == self.n_layers:
            return slice(start, start + 1)
        sizes = [self.heads[layer], self.kv_heads[layer], self.kv_heads[layer], 1]
        at = [*SIDES, "mlp"].index(side)
        return slice(start + sum(sizes[:at]), start + sum(sizes[: at + 1]))

    def before(self, layer: int, side: str) -> int:
        """How many senders have written before this side of this layer reads."""
        own_heads = side == "mlp" and layer < self.n_layers and not self.parallel[layer]
        return self.first_sender[layer] + (self.heads[layer] if own_heads else 0)

    @cached_property
    def edges(self) -> Bool[np.ndarray, "sender receiver"]:
        """Which sender reaches which receiver."""
        found = np.zeros((len(self.senders), len(self.receivers)), bool)
        for layer in range(self.n_layers):
            for side in (*SIDES, "mlp"):
                found[: self.before(layer, side), self.reading(layer, side)] = True
        found[:, -1] = True
        return found

    @cached_property
    def components(self) -> Bool[np.ndarray, "sender receiver"]:
        """Which receiver belongs to which sender: queries to their head, shared keys and values to every head of their group."""
        found = np.zeros((len(self.senders), len(self.receivers)), bool)
        for layer in range(self.n_layers):
            first, group = self.first_sender[layer], self.heads[layer] // max(1, self.kv_heads[layer])
            for side in SIDES:
                start = self.reading(layer, side).start
                for head in range(self.heads[layer]):
                    found[first + head, start + (head if side == "q" else head // group)] = True
            found[self.mlp_of(layer), self.reading(layer, "mlp").start] = True
        return found

    def name(self, sender: int, receiver: int) -> str:
        """An edge's name, like `a0.h1->a1.h2<q>`."""
        return f"{self.senders[sender]}->{self.receivers[receiver]}"

    def edge(self, name: str) -> tuple[int, int]:
        """Sender and receiver of an edge's name. BadInput for one there is not."""
        sender, arrow, receiver = name.partition("->")
        if not arrow or sender not in self.senders or receiver not in self.receivers:
            raise BadInput(f"There is no edge {brief(name)}; write one like {self.name(0, len(self.receivers) - 1)}.")
        found = self.senders.index(sender), self.receivers.index(receiver)
        if not self.edges[found]:
            raise BadInput(f"{sender} writes after {receiver} has read, so there is no edge between them.")
        return found


def layout_of(model: "TransformerBridge", apart: bool = False) -> Layout:
    """The edges of a model. apart: tokens and learned positions as two senders. BadInput, with the reason, where its blocks do
    not write heads and MLPs to one stream."""
    from probe.model.anatomy import anatomy, spot  # needs torch; what is stored of a model is read without

    heads, kv_heads, parallel = [], [], []
    for layer in range(int(model.cfg.n_layers)):
        heads.append(spot(Site("z", layer), model).sizes["head"])
        kv_heads.append(next(iter(spot(Site("k", layer), model).sizes.values())))
        spot(Site("mlp_write", layer), model)
        parallel.append(Site("resid_mid", layer) not in anatomy(model).spots)
    for kind in ("embed", "pos_embed") if apart else ():
        spot(Site(kind), model)
    inputs = ["tok", "pos"] if apart else ["input"]
    return Layout(inputs=inputs, heads=heads, kv_heads=kv_heads, parallel=parallel)
