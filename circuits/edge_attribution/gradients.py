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
from probe.errors import BadInput
from probe.model.anatomy import spot
from probe.model.key_value_cache import keeps_nothing
from probe.model.sites import Site
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Metric = Callable[[Float[Tensor, "batch d_vocab"]], Float[Tensor, " batch"]]
"""A number for each prompt, from its logits at the last position."""
INPUT = Site("resid_pre", 0)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A run in which something is added to a site: a point of a path from one run to another."""

    site: Site
    by: Float[Tensor, "batch pos d_model"]


@dataclass(frozen=True, kw_only=True)
class Backward:
    """One run with its gradients. held: what the run had at the streams and norms. at: the gradient where each receiver reads,
    by the reader's site. start: the gradient of the site where it began. value: the metric. fixed: see `Reader.back`."""

    readers: list[Reader]
    held: Held
    at: Held
    start: Float[Tensor, "batch pos d_model"]
    value: Float[Tensor, " batch"]
    fixed: bool = False

    def received(self, reader: Reader) -> Float[Tensor, "batch head pos d_model"]:
        """The gradient at the inputs of a side of a layer, each receiver's alone."""
        g = wide(self.at[reader.reads.name])
        return reader.back(g.transpose(1, 2) if g.ndim == 4 else g[:, None], self.held, self.fixed)


class Summed:
    """Gradients of several runs at the same receivers, added up, so that they are multiplied with what is written only once."""

    def __init__(self) -> None:
        self.readers: list[Reader] = []
        self._sums: Held = {}

    def add(self, run: Backward) -> None:
        """One more run."""
        self.readers = run.readers
        for reader in run.readers:
            name, received = reader.reads.name, run.received(reader)
            self._sums[name] = self._sums[name].add_(received) if name in self._sums else received

    def received(self, reader: Reader) -> Float[Tensor, "batch head pos d_model"]:
        """The sum at the inputs of a side of a layer."""
        return self._sums[reader.reads.name]


def backward(
    model: "TransformerBridge",
    tokens: Int[Tensor, "batch pos"],
    readers: list[Reader],
    metric: Metric,
    moved: Moved | None = None,
    *,
    begin: Site = INPUT,
    fixed: bool = False,
) -> Backward:
    """Run forward and back, with gradients at these readers. moved: what is added on the way. begin: the site from which on
    gradients are made, at the readers behind it. fixed: whether norms' divisors are held, as the caller's hooks must see to."""
    batch = tokens.shape[0]
    held: Held = {}
    leaves: Held = {}
    first = spot(begin, model)

    def start(value: Tensor, hook: object) -> Tensor:
        leaves["start"] = value.detach().clone().requires_grad_()
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

    parts = {part for r in readers for part in (r.stream, r.scale) if part is not None}
    hooks = [*_moves(model, moved, batch), (first.hook, start), *map(keep, sorted(parts))]
    hooks += [*(leaf(r.reads) for r in readers), ("unembed.hook_in", _last)]
    with torch.enable_grad(), frozen(model), model.hooks(fwd_hooks=hooks):
        value = metric(model(tokens, **keeps_nothing(model))[:, -1])
        if not value.requires_grad:
            raise BadInput("The metric has no gradient: it is no smooth function of the logits. Choose another one.")
        names = list(leaves)
        found = dict(zip(names, torch.autograd.grad(value.sum(), [leaves[n] for n in names]), strict=True))
    at = {r.reads.name: spot(r.reads, model).read(found[r.reads.name], batch) for r in readers}
    began = wide(first.read(found["start"], batch))
    return Backward(readers=readers, held=held, at=at, start=began, value=value.detach(), fixed=fixed)


def _moves(model: "TransformerBridge", moved: Moved | None, batch: int) -> list[tuple[str, Callable]]:
    if moved is None:
        return []
    at = spot(moved.site, model)
    return [(at.hook, lambda value, hook: at.change(value, batch, lambda v: v + moved.by.to(v)))]


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
