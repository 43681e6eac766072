"""What a target of a graph reads, taken from a live forward pass so that autograd can follow it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from circuits.graph.graph import KINDS, CircuitGraph
from circuits.replacement import points
from circuits.replacement.placement import Placed
from probe.model.sites import Site, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.oracle.hooks import HookedRun


def target_value(
    model: "TransformerBridge",
    graph: CircuitGraph,
    run: "HookedRun",
    placed: Mapping[int, Placed],
    target: int,
    cotangent: Tensor | None,
) -> Tensor:
    """The value of an explained node in a live run. cotangent: for heads and whole MLPs, how the roots read their output."""
    nodes = graph.nodes
    kind, layer = KINDS[nodes.kind[target]], int(nodes.layer[target])
    pos, unit = int(nodes.pos[target]), int(nodes.unit[target])
    if kind == "logit":
        last = run.seen[Site("logits")][0, -1]
        return last[unit] - last.mean()
    if kind == "direction":
        return _direction(run, graph.convention["directions"][unit])
    if kind == "neuron":
        return run.post[layer][0, pos, unit]
    if kind == "latent":
        return _latent(run, placed[layer], pos, unit)
    assert cotangent is not None
    return cotangent @ (run.mixed[layer][0, pos, unit] if kind == "head" else run.seen[Site("mlp_out", layer)][0, pos])


def _latent(run: "HookedRun", one: Placed, pos: int, unit: int) -> Tensor:
    """A pre-activation: what the encoder makes of what it reads."""
    middle = points.mid(one.layer)
    read_at = {
        "resid_mid": middle if one.is_sae else points.behind(middle),  # a transcoder reads what an SAE has let through
        "resid_post": points.mlp_writes(one.layer),
    }
    x = run.streams[read_at[one.read.kind]] if one.read.kind in read_at else run.seen[one.read]
    weights = one.dictionary
    return x[0, pos] @ weights.W_enc[:, unit].to(x) + weights.b_enc[unit].to(x)


def _direction(run: "HookedRun", told: Mapping[str, Any]) -> Tensor:
    """The difference of two logits, or what a vector reads somewhere."""
    if "difference" in told:
        last, (first, second) = run.seen[Site("logits")][0, -1], told["difference"]
        return last[first] - last[second]
    site, pos = parse_site(told["at"]), int(told["pos"])
    if site.kind == "ln_final":
        x = run.seen[Site("ln_final")]
    else:
        x = run.streams[points.of_stream(site.kind, int(site.layer or 0))]
    return x[0, pos] @ x.new_tensor(told["vector"])
