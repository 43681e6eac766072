"""A model as components on one stream: its edges, how they write and how they read, looked at once per model.

What everything here rests on is measured on a few tokens of the very model:

    the input, all heads and all MLPs (and biases) sum to the stream
    the gradients at all receivers sum to the gradient at the input
    with every edge carrying another run, the model gives that run's logits
"""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuits.edge_attribution.gradients import Backward, backward
from circuits.edge_attribution.layout import Layout, layout_of
from circuits.edge_attribution.readers import Reader, readers_of
from circuits.edge_attribution.run import LAST, EdgeRun
from circuits.edge_attribution.writes import Writers, sites_read
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.model.anatomy import probe_tokens
from probe.model.sites import Site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class Components:
    """The components of one model."""

    layout: Layout
    writers: Writers
    readers: list[Reader]

    def __init__(self, model: "TransformerBridge", apart: bool = False):
        self.layout = layout_of(model, apart)
        self.writers, self.readers = Writers(model, self.layout), readers_of(model, self.layout)

    def writes(
        self, model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
    ) -> Float[Tensor, "batch sender pos d_model"]:
        """What every sender writes in the run of these tokens."""
        return self.writers.all(capture(model, tokens, sites_read(model, self.layout)))

    def run(
        self,
        model: "TransformerBridge",
        tokens: Int[Tensor, "row pos"],
        removed: Bool[Tensor, "row sender receiver"],
        other: Float[Tensor, "row sender pos d_model"],
        where: slice = LAST,
        grad: bool = False,
    ) -> Float[Tensor, "row some d_vocab"]:
        """Logits, at the last position, with these edges carrying `other`. grad: whether a gradient of `other` will be asked for.
        See `run`."""
        with torch.set_grad_enabled(grad):
            return EdgeRun(self.layout, self.writers, self.readers, removed, other).logits(model, tokens, where)


_known: "WeakKeyDictionary[TransformerBridge, dict[bool, Components]]" = WeakKeyDictionary()


def components(model: "TransformerBridge", apart: bool = False) -> Components:
    """The components of a model. apart: tokens and learned positions as two senders. BadInput, with the reason, for a model that
    is no sum of heads and MLPs on one stream."""
    known = _known.setdefault(model, {})
    if apart not in known:
        made = Components(model, apart)
        _check(model, made)
        known[apart] = made
    return known[apart]


def _check(model: "TransformerBridge", made: Components) -> None:
    tokens = probe_tokens(model)
    clean, other = tokens[:1], tokens[1:2]
    wrong = _sums(model, made, clean) or _gradients(model, made, clean) or _swaps(model, made, clean, other)
    if wrong:
        _require_finite(model, tokens)
        raise BadInput(f"Edges between this model's heads and MLPs cannot be told apart: {wrong}.")


@torch.no_grad()
def _require_finite(model: "TransformerBridge", tokens: Tensor) -> None:
    """BadInput where a run holds NaN or infinity, which no sum can be measured with; it names where that begins."""
    streams = [Site(kind, layer) for layer in range(int(model.cfg.n_layers)) for kind in ("resid_pre", "resid_post")]
    held = capture(model, tokens, streams)
    bad = next((site.name for site in streams if not held[site.name].isfinite().all()), "")
    if not bad and model(tokens).isfinite().all():
        return
    raise BadInput(
        f"This model computes NaN or infinity, first in {bad or 'its logits'}, so no edge can be measured. "
        "Its weights are damaged, or its numbers too large for their type: load it again, or in float32."
    )


def _sums(model: "TransformerBridge", made: Components, tokens: Tensor) -> str:
    last = Site("resid_post", made.layout.n_layers - 1)
    held = capture(model, torch.cat([tokens, tokens.flip(1)]), [*sites_read(model, made.layout), last])
    gap = held[last] - made.writers.all(held).sum(1)  # biases: the same at every position of every prompt
    return "" if same(gap, gap[:1, :1].expand_as(gap), held[last]) else "what they write does not sum to its stream"


def _gradients(model: "TransformerBridge", made: Components, tokens: Tensor) -> str:
    run = backward(model, tokens, made.readers, some_metric)
    return "" if sums_to_start(run, model.W_E.dtype) else "their gradients do not sum to that of its input"


def some_metric(logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, " batch"]:
    """A number to which every logit adds otherwise."""
    return (logits * torch.arange(1, logits.shape[-1] + 1).to(logits).cos()).sum(-1)


def sums_to_start(run: Backward, dtype: torch.dtype) -> bool:
    """Whether the gradients at all receivers sum to that of the site where the run began, in a model of this type."""
    total = torch.stack([run.received(reader).sum(1) for reader in run.readers]).sum(0)
    return same(total, run.start, run.start, dtype)


def _swaps(model: "TransformerBridge", made: Components, clean: Tensor, other: Tensor) -> str:
    every = torch.tensor(made.layout.edges, device=clean.device)[None]
    try:
        found = made.run(model, clean, every, made.writes(model, other))[:, -1]
    except KeyError as missing:
        return f"its heads read before {missing.args[0]} is there"
    with torch.no_grad():
        wanted = model(other)[:, -1]
    return (
        ""
        if same(found, wanted, wanted)
        else "given all that another prompt writes, it does not predict what that predicts"
    )


def same(found: Tensor, wanted: Tensor, scale: Tensor, dtype: torch.dtype | None = None) -> bool:
    """Within what the model's own arithmetic leaves open. dtype: of the model, where that is not the scale's."""
    tolerance = 0.05 if (dtype or scale.dtype) in (torch.float16, torch.bfloat16) else 1e-3
    return bool((found - wanted).abs().max() <= tolerance * scale.float().abs().max())
