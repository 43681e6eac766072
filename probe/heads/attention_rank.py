"""The rank of attention maps by layer, beside what it costs to skip that layer.

    ARank_l = mean over heads of rank(tril(A) with its diagonal set to 0)

of one prompt's attention pattern A (Luo et al. 2024, gamma-MoD, whose authors take it as a sign that a layer's tokens are
redundant: where it is low, the layer is cheap to skip). Of T tokens the rank is at most T - 1. A singular value counts if it is
above `tolerance` times the map's largest; by default T times the precision of float32, as torch and NumPy count. Beside it stands
the effective rank, the exponential of the entropy of the singular values' shares (Roy & Vetterli 2007), which needs no tolerance.

    cost      attention: what a layer's attention writes is set to 0. block: the stream leaves the layer as it entered it. Each
              alone, all else running on. KL from the unchanged prediction and rise of the loss, nats, means over the prompt's
              tokens; change of the target's demeaned logit after the last token.
    control   Spearman's correlation over layers with a 95% interval from resampled layers, and what random orders of the layers
              give. Beside ARank stands depth alone (the earlier, the dearer), which any ranking of layers must beat.

The tolerance, the controls and the effective rank are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.heads.patterns import require_room
from probe.interventions.forward import capture, require_finite
from probe.interventions.running import intervene
from probe.interventions.values import Freeze, Zero
from probe.methods import Doc, Layers, chosen_layers, method
from probe.model.anatomy import spot
from probe.model.sites import Site, layers_with, resid_post, resid_pre
from probe.progress import SILENT, Progress
from probe.show.beside import draws
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import RankCorrelation, rank_correlation
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Asked, Target, asked
from probe.text.tokens import display_tokens
from probe.words import figures, signed

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge

_SKIPPED = ("attention", "block")
_COSTS = ("KL", "loss", "logit")
_PREDICTORS = {"arank": "ARank", "effective": "effective rank", "depth": "earlier first"}
_TOO_FEW = 3  # tokens: of two, the map without its diagonal has rank 1 whatever the head does
GOOD = (
    "ARank marks layers to skip where its correlation with the cost is clearly above what random orders give, and above "
    "'earlier first': in most models the first layers cost most, whatever their rank. One prompt of few tokens says little: "
    "ranks end at tokens − 1."
)


@dataclass(frozen=True, kw_only=True)
class AttentionRank(Record, figure=True):
    """layers: those that were asked about. rank: by layer and head, NaN where a layer has no attention; effective likewise.
    cost: by what was skipped (`attention`, `block`) and by KL, loss, logit, one number a layer. target: the token whose logit is
    asked about. correlations: of each predictor (arank, effective, depth) with the KL of each skip, `arank attention`."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    target: str
    tolerance: float
    layers: list[int]
    rank: Float[np.ndarray, "layer head"]
    effective: Float[np.ndarray, "layer head"]
    cost: dict[str, dict[str, Float[np.ndarray, " layer"]]]
    correlations: dict[str, RankCorrelation]

    @property
    def arank(self) -> Float[np.ndarray, " layer"]:
        """The mean over heads."""
        return _over_heads(self.rank)

    def rows(self) -> list[dict[str, Any]]:
        """One row a layer: both ranks, and the cost of skipping its attention and all of it."""
        effective = _over_heads(self.effective)
        named = {"KL": "KL", "loss": "loss", "logit": "logit change"}
        return [
            {
                "layer": layer,
                "ARank": float(self.arank[i]),
                "effective rank": float(effective[i]),
                **{
                    f"{named[cost]} without {what}": float(self.cost[what][cost][i])
                    for what in _SKIPPED
                    for cost in _COSTS
                },
            }
            for i, layer in enumerate(self.layers)
        ]

    def correlation_rows(self) -> list[dict[str, Any]]:
        """Rank correlations with the KL of skipping: with interval, with what chance gives."""
        return [
            {
                "ranked by": _PREDICTORS[by],
                "skipped": what,
                "Spearman": found.rho,
                "low": found.low,
                "high": found.high,
                "chance low": found.chance_low,
                "chance high": found.chance_high,
                "p": found.p,
                "layers": found.n,
            }
            for name, found in self.correlations.items()
            for by, what in [name.split()]
        ]

    def panels(self) -> list[Panel]:
        """Rank and cost by layer and against each other; the tables; sentences."""
        return [
            Figure("Attention rank and the cost of skipping, by layer", self.figure),
            Figure("Cost against rank, a point a layer", partial(self.figure, "against")),
            Figure("Rank of each head", partial(self.figure, "heads")),
            Rows("Layers", self.rows()),
            Rows(
                "Does rank say what a layer costs? Rank correlation with the KL of skipping it", self.correlation_rows()
            ),
            Sentence(self.summary()),
            Sentence(self.verdict()),
            Sentence(GOOD),
        ]

    def summary(self) -> str:
        """One sentence: how ranks differ, and whether they go with the cost."""
        known = np.flatnonzero(np.isfinite(self.arank))
        low, high = (self.layers[known[int(f(self.arank[known]))]] for f in (np.argmin, np.argmax))
        found = self.correlations["arank attention"]
        return (
            f"ARank of {len(self.tokens)} tokens from {figures(np.nanmin(self.arank))} (layer {low}) to "
            f"{figures(np.nanmax(self.arank))} (layer {high}); Spearman with the KL of skipping attention {_told(found)}."
        )

    def verdict(self) -> str:
        """Whether ARank says what skipping costs, beside the effective rank and depth."""
        about = {name.split()[0]: found for name, found in self.correlations.items() if name.endswith("attention")}
        said = [f"{_PREDICTORS[name]} {_told(found)}" for name, found in about.items()]
        costs = self.cost["attention"]
        known = [i for i, kl in enumerate(costs["KL"]) if np.isfinite(kl)]
        ends = ""
        if known:
            worst, best = (f(known, key=lambda i: costs["KL"][i]) for f in (max, min))
            ends = (
                f" Dearest without attention is layer {self.layers[worst]} (KL {figures(costs['KL'][worst])} nats, loss "
                f"{signed(costs['loss'][worst])}), cheapest layer {self.layers[best]} (KL {figures(costs['KL'][best])})."
            )
        return (
            f"Rank correlations with the KL of skipping attention: {'; '.join(said)}.{ends} "
            f"A singular value counts above {self.tolerance:.2g} of the largest."
        )


@method(
    "attention-rank",
    group="heads",
    paper="γ-MoD: Mixture-of-Depth Adaptation for Multimodal Large Language Models (Luo et al. 2024)",
)
def attention_rank(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    tolerance: Annotated[
        float | None,
        Doc(
            "Share of the largest singular value that counts; none: tokens times the precision of float32.",
            least=0,
            most=1,
        ),
    ] = None,
    target: Annotated[
        Target | None, Doc("A token, or a difference, after the last token; by default the likeliest.")
    ] = None,
    layers: Annotated[Layers, Doc("Which layers.")] = None,
    seed: Annotated[int, Doc("Of resampled and random orders.", least=0)] = 0,
    progress: Progress = SILENT,
) -> AttentionRank:
    """The rank of each layer's attention maps (ARank), beside what it costs to skip its attention, or all of it.

    Definitions, units and what is ours: the docstring of `probe.heads.attention_rank`. Raises BadInput for a prompt of fewer than
    3 tokens, for a layer there is not, and for a model without attention whose writes can be skipped.

    >>> ranks = ow.attention_rank(model, "When Mary and John went to")
    >>> ranks.rank.shape  # layer, head; as many as there are tokens is all of it
    (4, 4)
    """
    text, ids = read_prompt(model, prompt)
    if len(ids) < _TOO_FEW:
        raise BadInput(f"The prompt has {len(ids)} tokens; a rank says something of at least {_TOO_FEW}.")
    require_room(model, len(ids))
    chosen = chosen_layers(int(model.cfg.n_layers), layers)
    there = [i for i in layers_with("pattern", model) if i in chosen]
    if not there:
        spot(Site("pattern", chosen[0]), model)  # says why
        raise BadInput(f"None of the layers {chosen} has attention.")
    wanted = None if target is None else asked(model, target)
    tokens = torch.tensor([ids], device=model.W_E.device)
    with progress.stage("rank", total=len(there), unit="layer") as step:
        rank, effective, tol = _ranks(model, tokens, chosen, there, tolerance, step)
    cost, name = _costs(model, tokens, chosen, wanted, progress)
    predictors = {"arank": _over_heads(rank), "effective": _over_heads(effective), "depth": -np.array(chosen, float)}
    made = AttentionRank(
        prompt=text,
        token_ids=ids,
        tokens=display_tokens(model, ids),
        target=name,
        tolerance=tol,
        layers=chosen,
        rank=rank,
        effective=effective,
        cost=cost,
        correlations={
            f"{by} {what}": rank_correlation(values, cost[what]["KL"], seed)
            for what in _SKIPPED
            for by, values in predictors.items()
        },
    )
    return came_from(made, model)


def map_ranks(
    pattern: Float[Tensor, "head q_pos k_pos"], tolerance: float
) -> tuple[Float[np.ndarray, " head"], Float[np.ndarray, " head"]]:
    """Rank and effective rank of each head's map below its diagonal. A map of zeros has rank 0 and effective rank 0."""
    values = torch.linalg.svdvals(pattern.double().tril(-1))  # head pos
    rank = (values > tolerance * values[:, :1]).sum(-1)
    share = values / values.sum(-1, keepdim=True).clamp_min(1e-300)
    effective = torch.where(values[:, 0] > 0, torch.special.entr(share).sum(-1).exp(), 0.0)
    return rank.double().cpu().numpy(), effective.cpu().numpy()


def _ranks(
    model: "TransformerBridge",
    tokens: Tensor,
    chosen: list[int],
    there: list[int],
    tolerance: float | None,
    step: Callable[[float], None],
) -> tuple[Float[np.ndarray, "layer head"], Float[np.ndarray, "layer head"], float]:
    held = capture(model, tokens, [Site("pattern", i) for i in there])
    tol = tokens.shape[1] * torch.finfo(torch.float32).eps if tolerance is None else tolerance
    found = {}
    for i in there:
        found[i] = map_ranks(held[Site("pattern", i).name][0], tol)
        step(1)
    heads = max(len(rank) for rank, _ in found.values())
    both = np.full((2, len(chosen), heads), np.nan)
    for row, layer in enumerate(chosen):
        if layer in found:
            both[0, row, : len(found[layer][0])], both[1, row, : len(found[layer][1])] = found[layer]
    return both[0], both[1], float(tol)


def _costs(
    model: "TransformerBridge", tokens: Tensor, chosen: list[int], wanted: Asked | None, progress: Progress
) -> tuple[dict[str, dict[str, Float[np.ndarray, " layer"]]], str]:
    """What each skip does, and the name of the token whose logit is asked about."""
    writes = set(layers_with("attn_out", model))
    cost = {what: {name: np.full(len(chosen), np.nan) for name in _COSTS} for what in _SKIPPED}
    with progress.stage("skip", total=1 + 2 * len(chosen), unit="run") as step:
        entering = capture(model, tokens, [resid_pre(i) for i in chosen])
        before = _logits(model, tokens, [])
        if wanted is None:
            best = int(before[-1].argmax())
            wanted = Asked(best, None, display_tokens(model, [best])[0])
        step(1)
        for row, layer in enumerate(chosen):
            skips: dict[str, Any] = {"block": Freeze(resid_post(layer), entering[resid_pre(layer).name])}
            if layer in writes:
                skips["attention"] = Zero(Site("attn_out", layer))
            for what, skip in skips.items():
                moved = _moved(before, _logits(model, tokens, [skip]), tokens[0], wanted)
                for name, value in zip(_COSTS, moved, strict=True):
                    cost[what][name][row] = value
            step(2)
    return cost, wanted.name


@torch.no_grad()
def _logits(model: "TransformerBridge", tokens: Tensor, changes: list[Any]) -> Float[Tensor, "pos d_vocab"]:
    with intervene(model, changes):
        return require_finite(model(tokens)[0]).float()


def _moved(
    before: Float[Tensor, "pos d_vocab"], after: Float[Tensor, "pos d_vocab"], ids: Tensor, wanted: Asked
) -> tuple[float, float, float]:
    """KL, rise of the loss, change of what is asked about; the first two are means over positions."""
    old, new = before.log_softmax(-1), after.log_softmax(-1)
    kl = (old.exp() * (old - new)).sum(-1).clamp_min(0).mean()
    loss = (old - new)[:-1].gather(-1, ids[1:, None]).mean()
    change = after[-1] - before[-1]
    logit = change[wanted.id] - (change.mean() if wanted.other is None else change[wanted.other])
    return float(kl), float(loss), float(logit)


def _over_heads(values: Float[np.ndarray, "layer head"]) -> Float[np.ndarray, " layer"]:
    """The mean over the heads that there are."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(1) / np.where(known.any(1), np.maximum(known.sum(1), 1), np.nan)


def _told(found: RankCorrelation) -> str:
    """`−0.41 (−0.7 to 0.02; chance −0.36 to 0.36, p = 0.03)`."""
    if np.isnan(found.rho):
        return "unknown (all equal, or too few layers)"
    span = f"{figures(found.low, 2)} to {figures(found.high, 2)}"
    chance = f"chance {figures(found.chance_low, 2)} to {figures(found.chance_high, 2)}"
    return f"{signed(found.rho, 2)} ({span}; {chance}, p = {figures(found.p, 2)})"


@draws
def attention_rank_figure(
    found: "AttentionRank", what: Literal["layers", "against", "heads"] = "layers", height: int = 340
) -> "go.Figure":
    """layers: ARank, and on the right the KL of both skips (logarithmic). against: KL over ARank, a point a layer. heads: rank
    of each head."""
    import plotly.graph_objects as go

    from probe.show.array_figures import grid_figure
    from probe.show.labels import _finish

    if what == "heads":
        wide = np.full((max(found.layers) + 1, found.rank.shape[1]), np.nan)
        wide[found.layers] = found.rank
        return grid_figure(wide, "rank")
    figure, colours = go.Figure(), {"attention": "#0a6ebd", "block": "#e69f00"}
    names = {"attention": "KL without its attention", "block": "KL without the block"}
    if what == "layers":
        figure.add_bar(x=found.layers, y=np.round(found.arank, 3), name="ARank", marker={"color": "#b8bec8"})
    for skipped, colour in colours.items():
        kl = np.maximum(found.cost[skipped]["KL"], 1e-9)
        against = what == "against"
        figure.add_scatter(
            x=found.arank if against else found.layers,
            y=np.where(np.isfinite(kl), kl, None),
            name=names[skipped],
            mode="markers" if against else "lines+markers",
            customdata=found.layers,
            marker={"color": colour, "size": 8 if against else 5},
            yaxis="y" if against else "y2",
            hovertemplate="layer %{customdata}: KL %{y:.4g} nats<extra></extra>",
        )
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": "ARank" if what == "against" else "layer"},
    )
    log = {"type": "log", "title": "KL, nats", "exponentformat": "power", "dtick": 1}
    figure.update_layout(
        yaxis=log if what == "against" else {"title": "ARank", "rangemode": "tozero", "showgrid": False},
        yaxis2={**log, "overlaying": "y", "side": "right", "showgrid": False},
    )
    figure = _finish(figure, height)
    figure.update_layout(margin={"r": 70})
    return figure
