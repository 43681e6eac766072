"""The gradient of a metric at every receiver's own input, from one backward pass of the model itself.

Autograd gives the gradient where a receiver's matrix has been (queries, keys, values of each head) or its norm (an MLP, the
logits); `readers` brings it to the stream, of each receiver alone. So nothing is recomputed for split inputs, grouped queries
need no repeating, and any architecture's attention is differentiated as it is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.edge_attribution.readers import Reader
from circuits.edge_attribution.writes import Held
from probe.model.anatomy import spot
from probe.model.key_value_cache import keeps_nothing
from probe.model.sites import Site
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Metric = Callable[[Float[Tensor, "batch d_vocab"]], Float[Tensor, " batch"]]
"""A number for each prompt, from its logits at the last position."""


@dataclass(frozen=True, kw_only=True)
class Backward:
    """One run with its gradients. held: what the run had at the streams and norms. at: the gradient where each receiver reads,
    by the reader's site. start: the gradient of the stream before the first layer. value: the metric."""

    held: Held
    at: Held
    start: Float[Tensor, "batch pos d_model"]
    value: Float[Tensor, " batch"]

    def received(self, reader: Reader) -> Float[Tensor, "batch head pos d_model"]:
        """The gradient at the inputs of a side of a layer, each receiver's alone."""
        g = wide(self.at[reader.reads.name])
        return reader.back(g.transpose(1, 2) if g.ndim == 4 else g[:, None], self.held)


def backward(
    model: "TransformerBridge",
    tokens: Int[Tensor, "batch pos"],
    readers: list[Reader],
    metric: Metric,
    start: Float[Tensor, "batch pos d_model"] | None = None,
) -> Backward:
    """Run forward and back. start: what the stream before the first layer is replaced with; None leaves the prompt's."""
    batch = tokens.shape[0]
    held: Held = {}
    leaves: Held = {}
    first = spot(Site("resid_pre", 0), model)

    def begin(value: Tensor, hook: object) -> Tensor:
        began = value.detach() if start is None else first.put(start, value)
        leaves["start"] = began.clone().requires_grad_()
        held[first.site.name] = first.read(leaves["start"], batch).detach()
        return leaves["start"]

    def keep(site: Site) -> tuple[str, Callable]:
        at = spot(site, model)
        return at.hook, lambda value, hook: held.__setitem__(site.name, at.read(value, batch).detach())

    def leaf(site: Site) -> tuple[str, Callable]:
        def read(value: Tensor, hook: object) -> Tensor:
            leaves[site.name] = (
                value.clone()
            )  # a tensor that nobody else reads: parallel blocks share one norm's output
            return leaves[site.name]

        return spot(site, model).hook, read

    scales = {r.scale for r in readers if r.scale is not None}
    streams = {r.stream for r in readers} - {first.site}
    hooks = [(first.hook, begin), *map(keep, sorted(scales | streams)), *(leaf(r.reads) for r in readers)]
    with torch.enable_grad(), frozen(model), model.hooks(fwd_hooks=[*hooks, ("unembed.hook_in", _last)]):
        value = metric(model(tokens, **keeps_nothing(model))[:, -1])
        names = list(leaves)
        found = dict(zip(names, torch.autograd.grad(value.sum(), [leaves[n] for n in names]), strict=True))
    at = {r.reads.name: spot(r.reads, model).read(found[r.reads.name], batch) for r in readers}
    return Backward(held=held, at=at, start=wide(first.read(found["start"], batch)), value=value.detach())


def _last(value: Tensor, hook: object) -> Tensor:
    return value[:, -1:]


@contextmanager
def frozen(model: "TransformerBridge") -> Iterator[None]:
    """No gradient is kept for weights."""
    learning = [p for p in model.parameters() if p.requires_grad]
    for p in learning:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in learning:
            p.requires_grad_(True)
