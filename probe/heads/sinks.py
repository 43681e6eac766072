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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.heads.margins import received
from probe.heads.patterns import require_room
from probe.interventions.forward import capture, require_finite
from probe.interventions.running import intervene
from probe.interventions.values import Function
from probe.methods import Doc, method
from probe.model.sites import Site, layers_with, resid_post, resid_pre
from probe.progress import SILENT, Progress
from probe.show.beside import draws
from probe.show.blocks import largest_of_blocks
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.show.values import quoted
from probe.statistics import share_as_large, spread
from probe.text.prompts import Prompt, read_prompt
from probe.text.tokens import display_tokens
from probe.words import counted, figures, percent, signed

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge

TAU = 20.0
OF_WIDTH, OF_LAYERS = 0.9, 0.5
_LISTED = 8  # largest activations in the table, massive or not
_LOGITS = 1 << 25  # numbers of logits at once
_SIDE = 240  # tokens across that a figure draws


@dataclass(frozen=True, kw_only=True)
class Activation:
    """One dimension at one token, over all layers: where its size is at least `ratio` times the median (first to last; of one
    that never is, where it is largest), its value and how many times the median there, at its largest."""

    pos: int
    token: str
    dim: int
    first: int
    last: int
    value: float
    times: float
    massive: bool


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What one change of the stream does: KL and rise of the loss, nats; of a control the mean of its draws, which stand beside
    it. Of a removal there is one draw."""

    name: str
    kl: float
    loss: float
    kl_draws: Float[np.ndarray, " draw"]
    loss_draws: Float[np.ndarray, " draw"]


@dataclass(frozen=True, kw_only=True)
class Sinks(Record, figure=True):
    """Streams are the embedding (0) and what each layer leaves (1, 2, ...); layers are numbered as in the model.

    times: largest activation of each token, over the median of its layer's stream (`median`). found: the largest ones and all
    that are massive. phi: see above, by stream; NaN without sink dimensions. sinks: positions; sink_layers: how many layers a
    token's state enters as a sink. received: mean attention by layer and key; mass: paid to sinks by layer and head, even:
    what even attention would pay; NaN where a layer has no attention or no sink. removals: to 0, to the mean; controls: random
    dimensions to 0, and moved as far. Both are empty where nothing is massive.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    ratio: float
    tau: float
    times: Float[np.ndarray, "stream pos"]
    median: Float[np.ndarray, " stream"]
    found: list[Activation]
    dims: list[int]
    phi: Float[np.ndarray, "stream pos"]
    sinks: list[int]
    sink_layers: Int[np.ndarray, " pos"]
    received: Float[np.ndarray, "layer pos"]
    mass: Float[np.ndarray, "layer head"]
    even: Float[np.ndarray, " layer"]
    removals: list[Removal]
    controls: list[Removal]

    @property
    def massive(self) -> list[Activation]:
        """The massive ones, largest first."""
        return [one for one in self.found if one.massive]

    def rows(self) -> list[dict[str, Any]]:
        """The largest activations, one row each; which of them are massive."""
        return [
            {
                "token": one.token,
                "position": one.pos,
                "dimension": one.dim,
                "layers": _span(one.first, one.last),
                "value": one.value,
                "times the median": one.times,
                "massive": "yes" if one.massive else "no",
            }
            for one in self.found
        ]

    def removal_rows(self) -> list[dict[str, Any]]:
        """Each removal and each control: KL and rise of the loss, of controls their mean and the range of 95% of the draws. p:
        the share of draws that do at least as much as setting the massive ones to 0, itself counted."""
        rows = []
        for i, one in enumerate([*self.removals, *self.controls]):
            control = i >= len(self.removals)
            kl = spread(one.kl_draws)
            rows.append(
                {
                    "change": one.name,
                    "KL": one.kl,
                    "KL low": kl.low if control else None,
                    "KL high": kl.high if control else None,
                    "loss": one.loss,
                    "p": share_as_large(self.removals[0].kl, one.kl_draws) if control else None,
                }
            )
        return rows

    def token_rows(self) -> list[dict[str, Any]]:
        """One row a token: in how many layers its state is a sink's, how much attention it receives."""
        paid = _mean(self.received, 0)
        return [
            {
                "token": t,
                "position": i,
                "sink in layers": int(self.sink_layers[i]),
                "attention received": float(paid[i]),
            }
            for i, t in enumerate(self.tokens)
        ]

    def panels(self) -> list[Panel]:
        """Where the stream is massive, where heads look, what removal does; tables; the attention that each token draws."""
        shown: list[Panel] = [Figure("Largest activation of each token, times the median", self.figure)]
        if np.isfinite(self.mass).any():
            shown.append(Figure("Attention that heads pay to the sinks", partial(self.figure, "attention")))
        if self.removals:
            shown.append(Figure("Removing the massive activations", partial(self.figure, "removal")))
        shown.append(Rows("Largest activations", self.rows()))
        if self.removals:
            shown.append(Rows("What removal does, beside random changes (nats)", self.removal_rows()))
        if np.isfinite(self.received).any():
            drawn = _mean(self.received, 0)
            shown.append(Tokens("attention received, mean over layers and heads", self.tokens, drawn.tolist()))
        return [*shown, Sentence(self.summary()), Sentence(self.verdict()), Sentence(GOOD)]

    def summary(self) -> str:
        """One sentence: the largest activation, the sinks and their attention, what removal does against chance."""
        top = self.found[0]
        where = f"dimension {top.dim} at {quoted(top.token, 12)}, {_times(top.times)} times the median"
        if not top.massive:
            return f"No activation is {self.ratio:g} times the median of its layer; the largest is {where} ({_at(top.first)})."
        paid, fair = float(np.nanmean(self.mass)) if np.isfinite(self.mass).any() else np.nan, _mean(self.even, 0)
        drawn = f" drawing {percent(paid)} of attention (even: {percent(float(fair))})" if np.isfinite(paid) else ""
        chance = self.controls[1]
        return (
            f"{counted(len(self.massive), 'massive activation')}, the largest {where}; "
            f"{counted(len(self.sinks), 'sink')}{drawn}. "
            f"Set to 0: KL {figures(self.removals[0].kl)}, random as large {figures(chance.kl)} nats."
        )

    def verdict(self) -> str:
        """Whether removal does more than chance."""
        if not self.removals:
            return f"Nothing was removed: ask with a smaller ratio than {self.ratio:g} to see what the largest activations do."
        zero, mean = self.removals
        said = [
            f"{one.name} {figures(one.kl)} (95% of {len(one.kl_draws)} draws: {figures(s.low)} to {figures(s.high)}, "
            f"p = {figures(share_as_large(zero.kl, one.kl_draws), 2)})"
            for one in self.controls
            for s in [spread(one.kl_draws)]
        ]
        return (
            f"Set to 0 the massive activations move the prediction by KL {figures(zero.kl)} nats and the loss by "
            f"{signed(zero.loss)}; set to the mean of their dimension, by {figures(mean.kl)} and {signed(mean.loss)}. "
            f"Controls at the same layer and token: {'; '.join(said)}."
        )


GOOD = (
    "A removal matters if it lies far beyond both controls; p is the share of random draws that do at least as much as setting "
    "to 0, itself counted, so that with 20 draws it cannot be below .048. Attention to sinks is a finding where it exceeds what "
    "even attention would pay."
)


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

    Definitions, units and what is ours: the docstring of `probe.heads.sinks`. Raises BadInput for an empty or too long prompt and
    for a model whose stream cannot be read.

    >>> found = ow.sinks(model, "When Mary and John went to", ratio=20.0, draws=2)
    >>> found.mass.shape  # layer, head; attention paid to sinks, 1 is all of it
    (4, 4)
    """
    text, ids = read_prompt(model, prompt)
    n, there = int(model.cfg.n_layers), layers_with("pattern", model)
    require_room(model, len(ids))
    sites = [resid_pre(0), *map(resid_post, range(n))]
    with progress.stage("read the streams and the attention", total=2, unit="step") as step:
        tokens = torch.tensor([ids], device=model.W_E.device)
        held = capture(model, tokens, [*sites, *(Site("pattern", i) for i in there)], stop=False)
        stream = torch.stack([require_finite(held[s.name])[0].float() for s in sites])
        step(1)
        words = display_tokens(model, ids)
        size, median = stream.abs(), stream.abs().flatten(1).median(-1).values
        found = _largest(size, median, stream, words, ratio, least)
        dims = sorted({one.dim for one in found if one.massive})
        tau = min(tau, OF_WIDTH * stream.shape[-1] ** 0.5)
        phi = _phi(size, dims)
        is_sink = (phi > tau).cpu().numpy()  # NaN is none
        patterns = {i: held[Site("pattern", i).name][0].float().cpu().numpy() for i in there}
        received, mass, even = _attention(patterns, is_sink[:n], int(model.cfg.n_heads or 0))
        step(1)
    removals, controls = _removals(model, ids, stream, [one for one in found if one.massive], draws, seed, progress)
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
        sinks=np.flatnonzero(is_sink[:n].mean(0) >= OF_LAYERS).tolist(),
        sink_layers=is_sink[:n].sum(0),
        received=received,
        mass=mass,
        even=even,
        removals=removals,
        controls=controls,
    )
    return came_from(made, model)


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


@dataclass(frozen=True, eq=False)
class _Edit:
    """New values of some dimensions at some tokens of one stream, one row of the batch each: keep * value + add."""

    stream: int
    pos: Int[Tensor, " unit"]
    dims: Int[Tensor, "row unit"]
    keep: float
    add: Float[Tensor, "row unit"]

    def rows(self, part: slice) -> "_Edit":
        return _Edit(self.stream, self.pos, self.dims[part], self.keep, self.add[part])

    def change(self, value: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        row = torch.arange(len(self.dims), device=value.device)[:, None]
        changed, at = value.clone(), (row, self.pos, self.dims)
        changed[at] = self.keep * value[at] + self.add.to(value)
        return changed


def _removals(
    model: "TransformerBridge",
    ids: list[int],
    stream: Float[Tensor, "stream pos d_model"],
    massive: list[Activation],
    draws: int,
    seed: int,
    progress: Progress,
) -> tuple[list[Removal], list[Removal]]:
    """The massive activations set to 0 and to the mean of their dimension; random dimensions set to 0 and moved as far."""
    if not massive:
        return [], []
    rng = np.random.default_rng(seed)
    groups: dict[int, list[Activation]] = {}
    for one in massive:
        groups.setdefault(one.first + 1, []).append(one)
    zero, mean, random, moved = [], [], [], []
    for at, ones in groups.items():
        pos = torch.tensor([one.pos for one in ones], device=stream.device)
        dims = torch.tensor([[one.dim for one in ones]], device=stream.device)
        taken = stream[at][pos, dims[0]]
        others = _others_mean(stream[at], ones)
        drawn = torch.tensor(_drawn(rng, ones, draws, stream.shape[-1]), device=stream.device)
        sign = torch.tensor(rng.choice([-1.0, 1.0], drawn.shape), dtype=stream.dtype, device=stream.device)
        none = torch.zeros_like(sign)
        zero.append(_Edit(at, pos, dims, 0.0, none[:1]))
        mean.append(_Edit(at, pos, dims, 0.0, others[None]))
        random.append(_Edit(at, pos, drawn, 0.0, none))
        moved.append(_Edit(at, pos, drawn, 1.0, sign * taken))
    since = min(int(e.pos.min()) for e in zero)
    named = {
        "massive, to 0": zero,
        "massive, to the mean": mean,
        "random, to 0": random,
        "random, as large": moved,
    }
    with progress.stage("remove", total=2 + 2 * draws, unit="run") as step:
        before = _log_probs(model, ids, [], 1)
        made = [_measured(model, ids, before, name, edits, since, step) for name, edits in named.items()]
    return made[:2], made[2:]


def _others_mean(state: Float[Tensor, "pos d_model"], ones: Sequence[Activation]) -> Float[Tensor, " unit"]:
    """The mean of each dimension over the tokens where it is not removed; 0 where there are none."""
    found = []
    for one in ones:
        kept = [p for p in range(len(state)) if p not in {o.pos for o in ones if o.dim == one.dim}]
        found.append(state[kept, one.dim].mean() if kept else state.new_zeros(()))
    return torch.stack(found)


def _drawn(
    rng: np.random.Generator, ones: Sequence[Activation], draws: int, width: int
) -> Int[np.ndarray, "draw unit"]:
    """For each massive activation another dimension of the same token, none twice at a token, none of the massive."""
    drawn = np.zeros((draws, len(ones)), np.int64)
    for pos in sorted({one.pos for one in ones}):
        mine = [i for i, one in enumerate(ones) if one.pos == pos]
        free = np.setdiff1d(np.arange(width), [ones[i].dim for i in mine])
        for row in drawn:
            row[mine] = rng.choice(free, len(mine), replace=len(free) < len(mine))
    return drawn


def _measured(
    model: "TransformerBridge",
    ids: list[int],
    before: Float[Tensor, "row pos d_vocab"],
    name: str,
    edits: list[_Edit],
    since: int,
    step: Any,
) -> Removal:
    rows = len(edits[0].dims)
    chunk = max(1, _LOGITS // before[0].numel())
    kl, loss = [], []
    following = torch.tensor(ids[since + 1 :], device=before.device)[None, :, None]
    old = before[:, since:]
    for start in range(0, rows, chunk):
        part = slice(start, min(start + chunk, rows))
        new = _log_probs(model, ids, [e.rows(part) for e in edits], part.stop - part.start)[:, since:]
        kl.append((old.exp() * (old - new)).sum(-1).clamp_min(0).mean(-1))
        rise = (old - new)[:, :-1].gather(-1, following.expand(len(new), -1, -1))[..., 0]
        loss.append(rise.mean(-1) if rise.shape[1] else torch.full((len(new),), torch.nan))
        step(len(new))
    kls, losses = (torch.cat(x).double().cpu().numpy() for x in (kl, loss))
    return Removal(name=name, kl=float(kls.mean()), loss=float(losses.mean()), kl_draws=kls, loss_draws=losses)


@torch.no_grad()
def _log_probs(
    model: "TransformerBridge", ids: list[int], edits: Sequence[_Edit], rows: int
) -> Float[Tensor, "row pos d_vocab"]:
    tokens = torch.tensor([ids] * rows, device=model.W_E.device)
    places = [Function(resid_post(e.stream - 1) if e.stream else resid_pre(0), e.change) for e in edits]
    with intervene(model, places):
        return model(tokens).float().log_softmax(-1)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(axis) / np.where(known.any(axis), np.maximum(known.sum(axis), 1), np.nan)


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else figures(value)


def _at(layer: int) -> str:
    return "the embedding" if layer < 0 else f"layer {layer}"


def _span(first: int, last: int) -> str:
    names = ["embed" if i < 0 else str(i) for i in (first, last)]
    return names[0] if first == last else f"{names[0]} to {names[1]}"


@draws
def sinks_figure(
    found: "Sinks", what: Literal["massive", "sink", "attention", "removal"] = "massive", height: int = 380
) -> "go.Figure":
    """massive: each token's largest activation by layer, times the median. sink: phi, likewise. attention: what each head pays to
    the sinks. removal: KL of both removals beside the draws of the controls."""
    import plotly.graph_objects as go

    from probe.show.array_figures import grid_figure
    from probe.show.labels import SEQUENTIAL, _finish, token_axis

    if what == "attention":
        return grid_figure(found.mass, "attention to sinks")
    if what == "removal":
        return _removal_figure(found, height)
    values = np.log10(np.maximum(found.times, 1e-3)) if what == "massive" else found.phi
    block = -(-len(found.tokens) // _SIDE)
    z = largest_of_blocks(values.astype(float), block, 1)
    at = np.arange(z.shape[1]) * block + (block - 1) / 2
    label = "times the median" if what == "massive" else "|RMSNorm(h)|"
    ticks = {"tickvals": [0, 1, 2, 3, 4, 5], "ticktext": ["1", "10", "100", "1,000", "10,000", "100,000"]}
    figure = go.Figure(
        go.Heatmap(
            x=at,
            y=np.arange(len(z)) - 1,
            z=np.round(z, 4),
            customdata=[[f"{10**v if what == 'massive' else v:.4g}" for v in row] for row in z],
            colorscale=SEQUENTIAL,
            zmin=0,
            colorbar={"title": {"text": label, "side": "right"}, "thickness": 10, "outlinewidth": 0}
            | (ticks if what == "massive" else {}),
            hovertemplate="layer %{y}, token %{x}: %{customdata} " + label + "<extra></extra>",
        )
    )
    figure.update_xaxes(**token_axis(found.tokens, max(1, len(found.tokens) // 40)), title="token", showgrid=False)
    figure.update_yaxes(title="layer (−1: embedding)", showgrid=False)
    return _finish(figure, height)


def _removal_figure(found: "Sinks", height: int) -> "go.Figure":
    import plotly.graph_objects as go

    from probe.show.labels import _finish

    rng, figure = np.random.default_rng(0), go.Figure()
    for i, one in enumerate([*found.removals, *found.controls]):
        control = i >= len(found.removals)
        figure.add_scatter(
            x=one.kl_draws,
            y=i + (rng.uniform(-0.25, 0.25, len(one.kl_draws)) if control else np.zeros(1)),
            mode="markers",
            marker={"size": 6 if control else 12, "color": "#8a8f98" if control else "#e69f00", "opacity": 0.8},
            hovertemplate=f"{one.name}: KL %{{x:.4g}} nats<extra></extra>",
            showlegend=False,
        )
    names = [one.name for one in [*found.removals, *found.controls]]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, autorange="reversed")
    figure.update_xaxes(title="KL from the unchanged prediction, nats", rangemode="tozero")
    figure = _finish(figure, min(height, 260))
    figure.update_layout(margin={"l": 150})
    return figure
