"""Massive activations and the attention sinks they mark: a few numbers of the stream, thousands of times its median, that make
tokens without meaning draw attention; and what happens when those numbers are taken away.

    massive   |h[t, d]| >= ratio * median of |h| over all tokens and dimensions of one layer's stream. Sun et al. (2024) ask for
              about 1000 times, and for |h| > 100, which holds on the scale of their models alone: `least`, off by default.
    sink      phi(t) = max over sink dimensions d of |h[t, d]| / rms(h[t]), above tau = 20 (Kang et al. 2025). Sink dimensions are
              those with a massive activation. phi is at most sqrt(d_model), which in narrow models is less than 20: tau is at
              most .9 of it (ours). A token counts as a sink if its state is one in at least half of the layers (ours).
    mass      attention that later, ordinary queries pay to the sinks of a layer, of a head's 1; beside it what even attention to
              all visible tokens would pay. The state that counts is the one that enters the layer.
    removal   each massive activation is set, once, where it first appears: to 0, and to the mean of its dimension over the
              prompt's other tokens (ours; Sun et al. take the mean of the massive values over many texts, which keeps them).
              Control, at the same layer and token: as many random dimensions set to 0 ("random"), or moved up or down by as much
              as the massive ones were ("random, as large"). KL from the unchanged prediction and rise of the loss, nats, means
              over the tokens from the first change on.
"""

from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.heads.margins import received
from probe.heads.massive.removal import removed
from probe.heads.massive.sinks_record import Activation, Sinks
from probe.heads.patterns import require_room
from probe.interventions.forward import capture, require_finite
from probe.methods import Doc, method
from probe.model.sites import Site, layers_with, resid_post, resid_pre
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.text.prompts import Prompt, read_prompt
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

TAU = 20.0
OF_WIDTH, OF_LAYERS = 0.9, 0.5
_LISTED = 8  # largest activations in the table, massive or not


@method(
    "sinks",
    group="flow",
    paper="Massive Activations in Large Language Models (Sun et al. 2024); See What You Are Told (Kang et al. 2025)",
)
def sinks(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    ratio: Annotated[
        float, Doc("How many times the median of its layer's stream a massive activation is.", least=1)
    ] = 1000.0,
    least: Annotated[
        float, Doc("And how large at least; 100 in the paper, whose models have one scale.", least=0)
    ] = 0.0,
    tau: Annotated[
        float, Doc("A sink's normalised activation in a sink dimension; at most 0.9 of what the width allows.", least=0)
    ] = TAU,
    draws: Annotated[int, Doc("Random sets of dimensions of each control.", least=2, most=1000)] = 20,
    seed: Annotated[int, Doc("Of the random sets.", least=0)] = 0,
    progress: Progress = SILENT,
) -> Sinks:
    """Massive activations, the attention sinks they mark, and what removing them does against random controls.

    Definitions, units and what is ours: the docstring of `probe.heads.massive.sinks`. Raises BadInput for an empty or too long
    prompt and for a model whose stream cannot be read.

    >>> found = ow.sinks(model, "When Mary and John went to", ratio=20.0, draws=2)
    >>> found.mass.shape  # layer, head; attention paid to sinks, 1 is all of it
    (4, 4)
    """
    text, ids = read_prompt(model, prompt)
    require_room(model, len(ids))
    stream, patterns = _read(model, ids, progress)
    words = display_tokens(model, ids)
    size, median = stream.abs(), stream.abs().flatten(1).median(-1).values
    found = _largest(size, median, stream, words, ratio, least)
    dims = sorted({one.dim for one in found if one.massive})
    tau = min(tau, OF_WIDTH * stream.shape[-1] ** 0.5)
    phi = _phi(size, dims)
    is_sink = (phi > tau)[:-1].cpu().numpy()  # NaN is none; what the last layer leaves enters none
    received, mass, even = _attention(patterns, is_sink, int(model.cfg.n_heads or 0))
    removals, controls = removed(model, ids, stream, [one for one in found if one.massive], draws, seed, progress)
    made = Sinks(
        prompt=text,
        token_ids=ids,
        tokens=words,
        ratio=ratio,
        tau=tau,
        times=(size.amax(-1) / median[:, None]).cpu().numpy(),
        median=median.cpu().numpy(),
        found=found,
        dims=dims,
        phi=phi.cpu().numpy(),
        sinks=np.flatnonzero(is_sink.mean(0) >= OF_LAYERS).tolist(),
        sink_layers=is_sink.sum(0),
        received=received,
        mass=mass,
        even=even,
        removals=removals,
        controls=controls,
    )
    return came_from(made, model)


def _read(
    model: "TransformerBridge", ids: list[int], progress: Progress
) -> tuple[Float[Tensor, "stream pos d_model"], dict[int, Float[np.ndarray, "head q_pos k_pos"]]]:
    """The embedding and what each layer leaves; the patterns of the layers that have attention."""
    sites, there = [resid_pre(0), *map(resid_post, range(int(model.cfg.n_layers)))], layers_with("pattern", model)
    tokens = torch.tensor([ids], device=model.W_E.device)
    with progress.stage("read the streams and the attention", total=2, unit="step") as step:
        held = capture(model, tokens, [*sites, *(Site("pattern", i) for i in there)], stop=False)
        stream = torch.stack([require_finite(held[s.name])[0].float() for s in sites])
        step(1)
        patterns = {i: held[Site("pattern", i).name][0].float().cpu().numpy() for i in there}
        step(1)
    return stream, patterns


def _largest(
    size: Float[Tensor, "stream pos d_model"],
    median: Float[Tensor, " stream"],
    stream: Float[Tensor, "stream pos d_model"],
    words: list[str],
    ratio: float,
    least: float,
) -> list[Activation]:
    """The largest (token, dimension) pairs by their size over their layer's median, and every massive one."""
    times = size / median.clamp_min(1e-30)[:, None, None]
    massive = (times >= ratio) & (size >= least)
    best, at = times.max(0)  # pos d_model
    score = torch.where(massive.any(0), best + times.max(), best).flatten()  # massive ones first
    count = min(max(_LISTED, int(massive.any(0).sum())), score.numel())
    found = []
    for pos, dim in ((int(i) // size.shape[2], int(i) % size.shape[2]) for i in score.topk(count).indices):
        where, top = massive[:, pos, dim].nonzero().flatten().tolist(), int(at[pos, dim])
        found.append(
            Activation(
                pos=pos,
                token=words[pos],
                dim=dim,
                first=(where or [top])[0] - 1,
                last=(where or [top])[-1] - 1,
                value=float(stream[top, pos, dim]),
                times=float(times[top, pos, dim]),
                massive=bool(where),
            )
        )
    return found


def _phi(size: Float[Tensor, "stream pos d_model"], dims: list[int]) -> Float[Tensor, "stream pos"]:
    """The largest normalised activation of each state in a sink dimension; no weight of any norm is in it."""
    rms = size.pow(2).mean(-1).sqrt().clamp_min(1e-30)
    return size[..., dims].amax(-1) / rms if dims else torch.full_like(rms, torch.nan)


def _attention(
    patterns: dict[int, Float[np.ndarray, "head q_pos k_pos"]], is_sink: np.ndarray, n_heads: int
) -> tuple[Float[np.ndarray, "layer pos"], Float[np.ndarray, "layer head"], Float[np.ndarray, " layer"]]:
    """What each key receives; what later, ordinary queries pay to a layer's sinks; what even attention would pay."""
    layers, length = is_sink.shape
    heads = max([n_heads, *(len(p) for p in patterns.values())])
    paid, mass, even = np.full((layers, length), np.nan), np.full((layers, heads), np.nan), np.full(layers, np.nan)
    visible = np.tril(np.ones((length, length)))
    for i, pattern in patterns.items():
        sink = is_sink[i].astype(float)
        paid[i] = received(np.tril(pattern.mean(0)))
        queries = ~is_sink[i] & (np.cumsum(sink) > 0)
        if queries.any():
            mass[i, : len(pattern)] = (np.tril(pattern) @ sink)[:, queries].mean(-1)
            even[i] = ((visible @ sink) / visible.sum(-1))[queries].mean()
    return paid, mass, even
