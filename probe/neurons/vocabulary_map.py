"""The map of all neurons to the whole vocabulary, by weights alone: which tokens each promotes and suppresses, and which its
input and gate read (after Davies 2025, who decodes neurons through the final projection; Geva et al. 2021 for what is written).

    out        rows of W_out, as the stream gets them (a post-norm's weight, a multiplier), times the final norm's weight (centred
               where the norm centres; its divisor, one number a token, is left out), times W_U: logits a unit of activation
    in, gate   columns of W_in and W_gate, read from W_E: each token's embedding through the norm before the MLP (weight and the
               token's own divisor; no position, no attention, nothing of earlier layers): the neuron's input for that token
               alone. `reads="unembedding"` decodes them as the paper does: times W_U, no norm.

Scores are centred over the vocabulary, so a norm's bias is gone. How concentrated they are is told by their excess kurtosis
(0 for a normal distribution), variance, and top mass: the share of the sum of squares that the k highest and k lowest hold.
Control: random directions of the same lengths ("random"), or the neurons' own numbers in random order ("shuffled"), some a layer,
through the very same tables. Controls, centring, and the norms that are folded are our choices.

Never more than 2^25 scores are in memory: blocks of neurons meet blocks of the vocabulary, and the best k are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.memory import require
from probe.methods import Doc, Layers, chosen_layers, method
from probe.model.anatomy import anatomy, spot
from probe.model.sites import Site, layers_with
from probe.model.unit_names import UnitName, unit_name
from probe.model.writes import mlp_norm, mlp_writes_through, norm_of, unembedding
from probe.progress import SILENT, Progress, Step
from probe.show.beside import draws
from probe.show.html import shown
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.text.display import display_tokens
from probe.words import clip, counted, figures, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge

CELLS = 1 << 25
"Scores of neurons by tokens in memory at once."
_BLOCK = 512  # neurons at once
_BEYOND = 99.0  # percentile of the control that a concentrated neuron exceeds
_LISTED, _SHOWN, _LONGEST = 50, 6, 16  # neurons in the table, tokens in its cells, characters of a token
GOOD = (
    "A neuron is about a few tokens where its kurtosis is far beyond the control's: random directions are near 0, up to what the "
    "vocabulary's own clusters give. That 1 % of neurons lie beyond the control's 99th percentile is chance. What a neuron "
    "does in a text is another matter: clamp it (`edit`), or look at where it fires."
)


@dataclass(frozen=True, kw_only=True)
class Decoded(Record):
    """One sort of direction through the vocabulary. up, down: ids of the highest and lowest tokens, outermost first, and their
    centred scores; kurtosis (excess), variance, top_mass: of the scores over the whole vocabulary."""

    up: Int[np.ndarray, "neuron k"]
    up_score: Float[np.ndarray, "neuron k"]
    down: Int[np.ndarray, "neuron k"]
    down_score: Float[np.ndarray, "neuron k"]
    kurtosis: Float[np.ndarray, " neuron"]
    variance: Float[np.ndarray, " neuron"]
    top_mass: Float[np.ndarray, " neuron"]


@dataclass(frozen=True, kw_only=True)
class VocabularyMap(Record, figure=True):
    """layer, unit: of each neuron. decoded: by `out`, `in`, `gate` (of gated MLPs); controls likewise, of the layers in
    control_layer. words: the text of every id that is named. reads: where `in` and `gate` were read from; empty where the model
    does more to its token embeddings than to scale them, or they are not as wide as the stream."""

    n_vocabulary: int
    layer: Int[np.ndarray, " neuron"]
    unit: Int[np.ndarray, " neuron"]
    decoded: dict[str, Decoded]
    controls: dict[str, Decoded]
    control: str
    control_layer: Int[np.ndarray, " draw"]
    reads: str
    words: dict[int, str]

    def name(self, i: int) -> str:
        """`L5N120`, of the neuron at row i of the arrays."""
        return unit_name("neuron", int(self.layer[i]), int(self.unit[i]))

    def tokens_of(self, i: int, sort: str = "out", side: str = "up") -> list[str]:
        """The k outermost tokens of one neuron."""
        return [self.words[int(t)] for t in getattr(self.decoded[sort], side)[i]]

    def neuron(self, name: str) -> dict[str, Any]:
        """The row of one neuron, by its name. BadInput for one that the map lacks."""
        found = UnitName.parse(name)
        at = [] if found is None else np.flatnonzero((self.layer == found.layer) & (self.unit == found.unit))
        if found is None or found.kind != "neuron" or not len(at):
            raise BadInput(
                f"{name!r} is no neuron of this map; it has those of layers {sorted(set(self.layer.tolist()))}."
            )
        return self._row(int(at[0]))

    def about(self, token: str, sort: str = "out", k: int = 20) -> list[dict[str, Any]]:
        """The neurons that have a token among their k highest, by its score: `found.about(" dog")`."""
        ids = [i for i, word in self.words.items() if word == token]
        hits = np.argwhere(np.isin(self.decoded[sort].up, ids))
        ranked = sorted(hits.tolist(), key=lambda at: -self.decoded[sort].up_score[at[0], at[1]])
        return [self._row(i) | {"rank": j, "score": float(self.decoded[sort].up_score[i, j])} for i, j in ranked[:k]]

    def rows(self, k: int | None = _LISTED) -> list[dict[str, Any]]:
        """The neurons whose writes are most concentrated, by kurtosis; all with k=None."""
        return [self._row(int(i)) for i in np.argsort(-self.decoded["out"].kurtosis, kind="stable")[:k]]

    def _row(self, i: int) -> dict[str, Any]:
        out = self.decoded["out"]
        said = {
            "neuron": self.name(i),
            "promotes": self._cell(i, "out", "up"),
            "suppresses": self._cell(i, "out", "down"),
        }
        said |= {f"{sort} reads": self._cell(i, sort, "up") for sort in self.decoded if sort != "out"}
        numbers = {"kurtosis": out.kurtosis, "top mass": out.top_mass, "variance": out.variance}
        return said | {n: float(v[i]) for n, v in numbers.items()}

    def _cell(self, i: int, sort: str, side: str) -> str:
        return " ".join(shown(clip(token, _LONGEST)) for token in self.tokens_of(i, sort, side)[:_SHOWN])

    def beyond(self, sort: str = "out") -> Float[np.ndarray, " layer"]:
        """The share of each layer's neurons whose kurtosis is above the 99th percentile of all controls."""
        line = np.percentile(self.controls[sort].kurtosis, _BEYOND)
        high = self.decoded[sort].kurtosis > line
        return np.array([high[self.layer == i].mean() for i in np.unique(self.layer)])

    def layer_rows(self) -> list[dict[str, Any]]:
        """One row a layer: the median kurtosis of each sort beside the control's there; the share of neurons `beyond` chance."""
        rows, beyond = [], {sort: self.beyond(sort) for sort in self.decoded}
        for i, at in enumerate(np.unique(self.layer)):
            row: dict[str, Any] = {"layer": int(at), "neurons": int((self.layer == at).sum())}
            for sort, found in self.decoded.items():
                own, chance = found.kurtosis[self.layer == at], self.controls[sort].kurtosis[self.control_layer == at]
                row |= {
                    f"{sort}: median kurtosis": float(np.median(own)),
                    f"{sort}: control": float(np.median(chance)),
                    f"{sort}: beyond chance": float(beyond[sort][i]),
                }
            rows.append(row)
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the table by layer and the most concentrated neurons; all of them are in the arrays."""
        plain = {n: getattr(self, n) for n in ("n_vocabulary", "control", "reads")}
        return {**plain, "neurons": len(self.layer), "layers": self.layer_rows(), "most_concentrated": self.rows(200)}

    def panels(self) -> list[Panel]:
        """Concentration by layer beside chance; the most concentrated neurons, one of them by its tokens; sentences."""
        first = int(self.decoded["out"].kurtosis.argmax())
        out = self.decoded["out"]
        figures_ = [Figure(f"How concentrated: {_SORTS[sort]}", partial(self.figure, sort)) for sort in self.decoded]
        return [
            *figures_,
            Rows("The neurons whose writes are most concentrated", self.rows()),
            Rows("Layers", self.layer_rows()),
            Tokens(f"{self.name(first)} promotes, logits a unit", self.tokens_of(first), out.up_score[first].tolist()),
            Sentence(self.summary()),
            Sentence(self.verdict()),
            Sentence(GOOD),
        ]

    def summary(self) -> str:
        """One sentence: how many neurons are more concentrated than chance, and the most concentrated one."""
        out, chance = self.decoded["out"], self.controls["out"]
        share = float((out.kurtosis > np.percentile(chance.kurtosis, _BEYOND)).mean())
        first = int(out.kurtosis.argmax())
        return (
            f"{counted(len(self.layer), 'neuron')} by {self.n_vocabulary:,} tokens: {percent(share)} write beyond the 99th "
            f"percentile of {counted(len(chance.kurtosis), f'{self.control} direction')} (1.0 % by chance); most, "
            f"{self.name(first)}, promotes {self.tokens_of(first)[0]!r} (kurtosis {figures(out.kurtosis[first])})."
        )

    def verdict(self) -> str:
        """The same for each sort of direction."""
        said = []
        for sort, found in self.decoded.items():
            line, low = (np.percentile(self.controls[sort].kurtosis, p) for p in (_BEYOND, 2.5))
            said.append(
                f"{_SORTS[sort]}: median kurtosis {figures(float(np.median(found.kurtosis)))}, control "
                f"{figures(float(np.median(self.controls[sort].kurtosis)))} ({figures(float(low), 2)} to "
                f"{figures(float(np.percentile(self.controls[sort].kurtosis, 97.5)), 2)}), "
                f"{percent(float((found.kurtosis > line).mean()))} beyond its 99th percentile"
            )
        reads = (
            f" Reads are of the {self.reads}."
            if self.reads
            else " Token embeddings reach no MLP as they are: nothing is read."
        )
        return f"{'; '.join(said)}.{reads}"


_SORTS = {"out": "what neurons write", "in": "what inputs read", "gate": "what gates read"}


@dataclass(frozen=True)
class VocabularyPlan(Record):
    """bytes: at the peak, beside the model; seconds: at 3e10 operations a second, two CPU cores."""

    neurons: int
    vocabulary: int
    bytes: int
    seconds: float


def plan_vocabulary_map(
    model: "TransformerBridge",
    *,
    layers: Layers = None,
    k: int = 10,
    reads: str = "embedding",
    control: str = "random",
    draws: int = 64,
    seed: int = 0,
) -> VocabularyPlan:
    """Memory and time of a map."""
    chosen, vocabulary, width = _layers(model, layers), int(model.cfg.d_vocab), int(model.cfg.d_model)
    sizes = [spot(Site("mlp_post", i), model).width for i in chosen]
    sorts = 3 if getattr(model.blocks[chosen[0]].mlp, "W_gate", None) is not None else 2
    rows = sum(sizes) + draws * len(chosen)
    scores = 4 * 3 * min(CELLS, _BLOCK * vocabulary)
    weights = 4 * 3 * max(sizes) * width + 4 * vocabulary * (1 if model.W_E.dtype == torch.float32 else 2)
    held = rows * sorts * (2 * k * 8 + 12)
    table = min(vocabulary, max(1, CELLS // _BLOCK)) * width * 4
    return VocabularyPlan(
        sum(sizes),
        vocabulary,
        scores + weights + 2 * held + table + (64 << 20),
        2.0 * sorts * rows * width * vocabulary / 3e10,
    )


@method(
    "vocabulary-map",
    group="neurons",
    paper="Decoding specialised feature neurons in LLMs with the final projection layer (Davies 2025)",
    plan="plan_vocabulary_map",
)
def vocabulary_map(
    model: "TransformerBridge",
    *,
    layers: Annotated[Layers, Doc("Which layers; by default all that have neurons.")] = None,
    k: Annotated[int, Doc("Tokens kept at either end of each neuron.", least=1, most=1000)] = 10,
    reads: Annotated[
        Literal["embedding", "unembedding"],
        Doc("Where inputs and gates read: token embeddings through the norm, or W_U without norms, as the paper does."),
    ] = "embedding",
    control: Annotated[
        Literal["random", "shuffled"],
        Doc("Random directions of the same lengths, or the neurons' numbers in random order."),
    ] = "random",
    draws: Annotated[int, Doc("Control directions a layer.", least=2, most=100_000)] = 64,
    seed: Annotated[int, Doc("Of the control directions.", least=0)] = 0,
    progress: Progress = SILENT,
) -> VocabularyMap:
    """The whole vocabulary map of a model's neurons by weights alone: what each promotes, suppresses and reads.

    Formulas, units and what is ours: the docstring of `probe.neurons.vocabulary_map`. Raises BadInput for layers without neurons
    (mixtures of experts), for a model whose logits are no linear readout, and where memory does not suffice.

    >>> found = ow.vocabulary_map(model, layers=1, k=5)
    >>> len(found.rows()) > 0
    True
    """
    chosen = _layers(model, layers)
    if not anatomy(model).linear_readout:
        unembedding(model)  # says why
    plan = plan_vocabulary_map(model, layers=layers, k=k, draws=draws)
    require(plan.bytes, f"The map of {plan.neurons:,} neurons", model.W_E.device)
    k = min(k, plan.vocabulary)
    rng = torch.Generator().manual_seed(seed)
    tables = _Tables(model, reads)
    found: dict[str, list[Decoded]] = {}
    chance: dict[str, list[Decoded]] = {}
    sizes = []
    total = plan.neurons * (3 if tables.reads else 1)
    with torch.no_grad(), progress.stage("vocabulary map", total=total, unit="neuron") as step:
        for layer in chosen:
            for sort, rows in _directions(model, layer, bool(tables.reads)).items():
                table, fold = tables.of(sort, layer)
                found.setdefault(sort, []).append(_decode(table, fold(rows), k, step))
                drawn = _control(rows, control, draws, rng)
                chance.setdefault(sort, []).append(_decode(table, fold(drawn), k))
            sizes.append(len(found["out"][-1].up))
    decoded = {sort: _joined(parts) for sort, parts in found.items()}
    ids = sorted({int(i) for one in decoded.values() for side in (one.up, one.down) for i in np.unique(side)})
    made = VocabularyMap(
        n_vocabulary=plan.vocabulary,
        layer=np.repeat(chosen, sizes),
        unit=np.concatenate([np.arange(n) for n in sizes]),
        decoded=decoded,
        controls={sort: _joined(parts) for sort, parts in chance.items()},
        control=control,
        control_layer=np.repeat(chosen, draws),
        reads=tables.reads,
        words=dict(zip(ids, display_tokens(model, ids), strict=True)),
    )
    return came_from(made, model)


def _layers(model: "TransformerBridge", layers: Layers) -> list[int]:
    """Those asked about. BadInput where one has no neurons; of all layers, those that have."""
    chosen = chosen_layers(int(model.cfg.n_layers), layers)
    there = layers_with("mlp_post", model)
    if layers in (None, "all") and there:
        return there
    for layer in chosen:
        mlp_writes_through(model, layer)  # says why there are none
    return chosen


def _directions(model: "TransformerBridge", layer: int, reads: bool) -> dict[str, Float[Tensor, "neuron d_model"]]:
    """What a layer's neurons write, as the stream gets it, and what they read."""
    mlp, found = model.blocks[layer].mlp, {"out": mlp_writes_through(model, layer)[0].float()}
    if reads:
        found["in"] = mlp.W_in.detach().t().float()
        if (gate := getattr(mlp, "W_gate", None)) is not None:
            found["gate"] = gate.detach().t().float()
    return found


Fold = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class _Table:
    """One row a token: rows(low, high) in float32, over `divisor` where there is one. mean: of all rows."""

    n: int
    rows: Callable[[int, int], Float[Tensor, "token d_model"]]
    divisor: Float[Tensor, " token"] | None
    mean: Float[Tensor, " d_model"]


class _Tables:
    """What directions are multiplied with, each made once: W_U, and the embedding over each token's own scale (of a norm that
    centres, or of one that does not, or of none)."""

    def __init__(self, model: "TransformerBridge", reads: str):
        self.model, self.made = model, {}
        self.scale = embedding_scale(model) if reads == "embedding" else 1.0
        self.reads = reads if self.scale is not None else ""

    def of(self, sort: str, layer: int) -> tuple[_Table, Fold]:
        """The table of one sort of direction, and what a direction passes before it meets it."""
        if sort == "out":
            return self._table("out"), partial(self._written, layer)
        if self.reads == "unembedding":
            return self._table("out"), lambda rows: rows
        name = mlp_norm(self.model, layer)
        norm = None if name is None else norm_of(self.model, name, layer, self.model.W_E.new_zeros(1).float())
        if norm is None:
            return self._table("plain"), lambda rows: rows
        # (x - mean) / scale * weight @ w = x / scale @ (w * weight, centred)
        fold = lambda rows: _centred(rows * norm.weight, norm.centred)  # noqa: E731
        return self._table("centred" if norm.centred else "rms"), fold

    def _written(self, layer: int, rows: Float[Tensor, "neuron d_model"]) -> Float[Tensor, "neuron d_model"]:
        """Through the post-norm's weight, where there is one, and the final norm's."""
        for name, at in (("ln2_post", layer), ("ln_final", None)):
            norm = norm_of(self.model, name, at, rows)
            rows = rows if norm is None else norm.scaled(rows)
        return rows

    def _table(self, name: str) -> _Table:
        if name not in self.made:
            self.made[name] = self._make(name)
        return self.made[name]

    def _make(self, name: str) -> _Table:
        if name == "out":
            W, factor = self.model.W_U.detach(), anatomy(self.model).logit_factor
            n, rows = W.shape[1], lambda a, b: W[:, a:b].t().float() * factor
        else:
            E = self.model.W_E.detach()
            scale = (self.scale or 1.0) if name == "plain" else 1.0  # a norm takes it off
            n, rows = len(E), lambda a, b: E[a:b].float() * scale
        step, scale = max(1, CELLS // int(self.model.cfg.d_model)), self.scale or 1.0
        eps = float(getattr(self.model.cfg, "eps", 0.0) or 0.0) / scale**2  # of the norm, which reads scale * E
        divisors, total = (
            [],
            torch.zeros(int(self.model.cfg.d_model), dtype=torch.float64, device=self.model.W_E.device),
        )
        for a in range(0, n, step):
            part = rows(a, min(a + step, n))
            if name in ("rms", "centred"):
                size = _centred(part, name == "centred").square().mean(-1)
                divisors.append((size + eps).sqrt().clamp_min(1e-20))
                part = part / divisors[-1][:, None]
            total += part.sum(0, dtype=torch.float64)
        return _Table(n, rows, torch.cat(divisors) if divisors else None, (total / n).float())


@torch.no_grad()
def embedding_scale(model: "TransformerBridge") -> float | None:
    """What the model multiplies token embeddings with (Gemma: the root of d_model), measured; None if it does more."""
    ids = torch.arange(min(8, model.cfg.d_vocab), device=model.W_E.device)
    stream, plain = capture(model, ids[:, None], ["embed"])["hook_embed"][:, 0].float(), model.W_E.detach()[ids].float()
    if stream.shape != plain.shape:
        return None
    scale = float((stream * plain).sum() / plain.square().sum().clamp_min(1e-30))
    return scale if float((stream - scale * plain).abs().max()) <= 1e-2 * float(stream.abs().max()) else None


def _centred(rows: Float[Tensor, "row d_model"], centred: bool) -> Float[Tensor, "row d_model"]:
    return rows - rows.mean(-1, keepdim=True) if centred else rows


def _control(
    rows: Float[Tensor, "neuron d_model"], how: str, draws: int, rng: torch.Generator
) -> Float[Tensor, "draw d_model"]:
    """Directions of no meaning: of the lengths of neurons drawn at random, or their numbers in another order."""
    which = torch.randint(len(rows), (draws,), generator=rng)
    own = rows[which.to(rows.device)].cpu()
    if how == "shuffled":
        order = torch.rand(own.shape, generator=rng).argsort(-1)
        return own.gather(-1, order).to(rows.device)
    made = torch.randn(own.shape, generator=rng)
    return (made * own.norm(dim=-1, keepdim=True) / made.norm(dim=-1, keepdim=True)).to(rows.device)


def _decode(
    table: _Table, directions: Float[Tensor, "neuron d_model"], k: int, step: Step = lambda amount=1: None
) -> Decoded:
    """Directions through a table, a block of each at a time."""
    parts = []
    for block in directions.split(_BLOCK):
        parts.append(_decode_block(table, block, k))
        step(len(block))
    return _joined(parts)


def _decode_block(table: _Table, block: Float[Tensor, "neuron d_model"], k: int) -> Decoded:
    width, shift = max(k, CELLS // len(block)), block @ table.mean
    moments = torch.zeros(2, len(block), dtype=torch.float64, device=block.device)
    best: list[tuple[Tensor, Tensor] | None] = [None, None]
    for low in range(0, table.n, width):
        high = min(low + width, table.n)
        score = block @ table.rows(low, high).to(block).t()
        if table.divisor is not None:
            score /= table.divisor[low:high]
        score -= shift[:, None]
        for side, largest in enumerate((True, False)):
            values, ids = score.topk(min(k, high - low), -1, largest=largest)
            best[side] = _merged(best[side], (values, ids + low), k, largest)
        score.square_()
        moments[0] += score.sum(-1, dtype=torch.float64)
        moments[1] += score.square_().sum(-1, dtype=torch.float64)
    (up, up_ids), (down, down_ids) = (one for one in best if one is not None)
    variance = moments[0] / table.n
    held = (up.double().square().sum(-1) + down.double().square().sum(-1)) / moments[0].clamp_min(1e-300)
    kurtosis = torch.where(variance > 0, moments[1] / table.n / variance.square().clamp_min(1e-300) - 3, 0.0)
    arrays = (up_ids.int(), up, down_ids.int(), down, kurtosis, variance, held.clamp_max(1.0))
    names = ("up", "up_score", "down", "down_score", "kurtosis", "variance", "top_mass")
    return Decoded(**{name: array.cpu().numpy() for name, array in zip(names, arrays, strict=True)})


def _merged(
    old: tuple[Tensor, Tensor] | None, new: tuple[Tensor, Tensor], k: int, largest: bool
) -> tuple[Tensor, Tensor]:
    """The k best of two lists of scores and ids."""
    if old is None:
        return new
    values, ids = (torch.cat(both, -1) for both in zip(old, new, strict=True))
    values, at = values.topk(min(k, values.shape[-1]), -1, largest=largest)
    return values, ids.gather(-1, at)


def _joined(parts: list[Decoded]) -> Decoded:
    names = ("up", "up_score", "down", "down_score", "kurtosis", "variance", "top_mass")
    return Decoded(**{name: np.concatenate([getattr(one, name) for one in parts]) for name in names})


@draws
def vocabulary_map_figure(
    found: "VocabularyMap", sort: Literal["out", "in", "gate"] = "out", height: int = 340
) -> "go.Figure":
    """Kurtosis by layer: the median neuron, the 90th and 99th of a hundred, and the 2.5th to 97.5th percentile of the control."""
    import plotly.graph_objects as go

    from probe.show.labels import _finish

    if sort not in found.decoded:
        raise BadInput(f"This map has {', '.join(found.decoded)}; not {sort!r}.")
    at = np.unique(found.layer)
    own, chance = found.decoded[sort].kurtosis, found.controls[sort].kurtosis
    low, high = ([float(np.percentile(chance[found.control_layer == i], p)) for i in at] for p in (2.5, 97.5))
    figure = go.Figure()
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "legendgroup": "control"}
    figure.add_scatter(x=at, y=_drawn(high), showlegend=False, **band)
    figure.add_scatter(
        x=at, y=_drawn(low), fill="tonexty", fillcolor="rgba(128,128,128,0.3)", name=f"{found.control}, 95%", **band
    )
    for share, colour in ((50, "#1c9a7a"), (90, "#0a6ebd"), (99, "#e69f00")):
        values = [float(np.percentile(own[found.layer == i], share)) for i in at]
        figure.add_scatter(
            x=at,
            y=_drawn(values),
            customdata=[f"{v:.3g}" for v in values],
            mode="lines+markers",
            name="median neuron" if share == 50 else f"{share} of 100 neurons below",
            line={"color": colour, "width": 2},
            marker={"size": 5},
            hovertemplate="layer %{x}: kurtosis %{customdata}<extra></extra>",
        )
    ticks = [-1, 0, 1, 10, 100, 1000, 10000]
    figure.update_xaxes(title="layer", dtick=1 if len(at) < 16 else 5)
    figure.update_yaxes(title="excess kurtosis", tickvals=_drawn(ticks), ticktext=[f"{t:,}" for t in ticks])
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    return _finish(figure, height)


def _drawn(values: list[float] | list[int]) -> list[float]:
    """Even steps near 0, orders of magnitude far from it."""
    return np.round(np.arcsinh(np.asarray(values, float)), 4).tolist()
