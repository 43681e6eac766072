"""Attention patterns of every head on one prompt, with numbers that say what a head does there."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.artifacts.json import plain
from probe.errors import BadInput
from probe.heads.first_chosen import first_head
from probe.heads.looking import MARGINS, looks
from probe.heads.pattern_scores import METRICS, head_metrics
from probe.interventions.forward import capture
from probe.memory import require
from probe.methods.kinds import Layers, chosen_layers
from probe.model.anatomy import spot
from probe.model.sites import Site, layers_with
from probe.model.unit_names import unit_name
from probe.show.opening import came_from
from probe.show.panels import Chosen, Figure, Panel, Sentence
from probe.show.record import Record
from probe.text.prompts import Prompt, read_prompt
from probe.text.tokens import display_tokens
from probe.words import counted, number

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge

LARGEST = 1.5e9
"Bytes that the patterns of one prompt may take."
_SLACK = 32 << 20
"Bytes of buffers that no formula counts."
SHOWN = ("previous_token", "induction", "self")
"""Metrics whose most pronounced head is shown."""
_LOOKS = {
    "first_token": "the first token",
    "previous_token": "the token before",
    "self": "the token itself",
    "induction": "what followed earlier copies of the token",
}


@dataclass(frozen=True)
class HeadPatterns(Record, figure=True, page=True):
    """patterns: rows are queries and sum to 1. metrics by name, each (layer, head), averaged over queries after the first:

    entropy (nats); first_token, previous_token, self: attention paid to the prompt's first token, the token before, the
    token itself; induction: attention paid to the tokens that followed earlier occurrences of the query's token, NaN
    where the prompt repeats no token.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    patterns: Float[np.ndarray, "layer head q_pos k_pos"]
    metrics: dict[str, Float[np.ndarray, "layer head"]]

    if TYPE_CHECKING:

        def figure(self, layer: int, head: int, height: int = 420, margins: bool = False) -> go.Figure: ...

    def rows(self, metric: str = "previous_token", k: int | None = 10) -> list[dict[str, Any]]:
        """The k heads with the largest value of a metric."""
        values = np.nan_to_num(self.metrics[metric], nan=-1.0)
        order = np.argsort(-values, axis=None)[:k]
        heads = [np.unravel_index(i, values.shape) for i in order]
        return [
            {"head": unit_name("head", int(i), int(h)), **{m: float(self.metrics[m][i, h]) for m in METRICS}}
            for i, h in heads
        ]

    def to_dict(self) -> dict[str, Any]:
        """Metrics ready for JSON; patterns are left out for their size."""
        metrics = {m: plain(v.tolist()) for m, v in self.metrics.items()}
        return {"prompt": self.prompt, "tokens": self.tokens, "metrics": metrics}

    def pronounced(self) -> list[tuple[str, int, int]]:
        """The head (layer, head) that looks most at the token before, at what followed earlier, at the token itself; where any
        does at all."""
        found = []
        for metric in SHOWN:
            values = np.nan_to_num(self.metrics[metric], nan=-1.0)
            if values.size and values.max() > 0:
                layer, head = np.unravel_index(int(values.argmax()), values.shape)
                found.append((metric, int(layer), int(head)))
        return found

    def panels(self) -> list[Panel]:
        """One head, at first the one that most looks at the token before."""
        layers, heads = self.patterns.shape[:2]
        layer, head = first_head(self.metrics)
        return [
            Chosen({"layer": layers, "head": heads}, self.one, {"layer": layer, "head": head}),
            Sentence(self.summary()),
        ]

    def one(self, layer: int, head: int) -> list[Panel]:
        """Where one head looks: all queries and keys, both directions token by token, and its scores."""
        draw = partial(self.figure, layer, head, 560, True)
        pattern = Figure(f"Attention of {unit_name('head', layer, head)}: {MARGINS}", draw, axes=("source", "token"))
        return [Sentence(self.scored(layer, head)), pattern, looks(self.tokens, np.tril(self.patterns[layer, head]))]

    def scored(self, layer: int, head: int) -> str:
        """What its scores say of one head."""
        by = {name: float(values[layer, head]) for name, values in self.metrics.items()}
        said = ", ".join(f"{number(by[name])} to {words}" for name, words in _LOOKS.items() if np.isfinite(by[name]))
        return f"{unit_name('head', layer, head)} pays {said}, averaged over queries; entropy {number(by['entropy'])} nats."

    def summary(self) -> str:
        """One sentence: how many patterns, and who looks most at the token before and at earlier copies."""
        layers, heads = self.patterns.shape[:2]
        known = [m for m in ("previous_token", "induction") if np.isfinite(self.metrics[m]).any()]
        said = [f"{self.rows(m, 1)[0]['head']} {m.replace('_', ' ')}" for m in known]
        most = f"; most pronounced: {', '.join(said)}" if said else ""
        return f"{layers} × {heads} heads, {counted(len(self.tokens), 'token')}{most}."


def head_patterns(model: "TransformerBridge", prompt: Prompt) -> HeadPatterns:
    """Patterns and metrics of all heads on a prompt, NaN in a hybrid's layers without attention. Raises BadInput for an empty or
    too long prompt, and for a model without attention.

    >>> heads = ow.head_patterns(model, "When Mary and John went to")
    >>> heads.patterns.shape  # layer, head, query, key
    (4, 4, 8, 8)
    """
    prompt, ids = read_prompt(model, prompt)
    require_room(model, len(ids))
    there = layers_with("pattern", model)
    sites = [Site("pattern", i) for i in there or [0]]  # of none, the first says why
    held = capture(model, torch.tensor([ids], device=model.W_E.device), sites)
    patterns = _stacked(int(model.cfg.n_layers), there, [held.pop(s.name)[0] for s in sites])
    found = HeadPatterns(prompt, ids, display_tokens(model, ids), patterns, head_metrics(patterns, ids))
    return came_from(found, model)


def _stacked(
    n_layers: int, there: list[int], held: list[Float[Tensor, "head q_pos k_pos"]]
) -> Float[np.ndarray, "layer head q_pos k_pos"]:
    """One array of all layers, NaN where there is none; each layer's tensor is let go once it is copied."""
    patterns = np.empty((n_layers, *held[0].shape), np.float32)
    for layer in range(n_layers):
        patterns[layer] = held.pop(0).float().cpu().numpy() if layer in there else np.nan
    return patterns


def attending_layers(model: "TransformerBridge", n_tokens: int, layers: Layers = None) -> tuple[list[int], list[int]]:
    """The layers that are asked about, and those of them that have attention; at least one has, or BadInput says why none. Before
    they are read it is made sure that patterns of so many tokens fit."""
    require_room(model, n_tokens)
    chosen = chosen_layers(int(model.cfg.n_layers), layers)
    there = [i for i in layers_with("pattern", model) if i in chosen]
    if not there:
        spot(Site("pattern", chosen[0]), model)  # says why
        raise BadInput(f"None of the layers {chosen} has attention.")
    return chosen, there


def pattern_bytes(model: "TransformerBridge", n_tokens: int) -> int:
    """What reading all patterns of a prompt takes at its peak, beside the model: of all layers once in its precision or in
    float32, and of a few layers what the pass or the metrics make of them."""
    layer = model.cfg.n_heads * n_tokens**2
    wide = 16 * n_tokens * max(int(model.cfg.d_model), int(model.cfg.d_mlp or 0), int(model.cfg.d_vocab))
    return _SLACK + 4 * (layer * (model.cfg.n_layers + 5) + wide)


def require_room(model: "TransformerBridge", n_tokens: int) -> None:
    """All patterns of all heads grow with the square of the prompt; refuse before they fill the memory."""
    heads = model.cfg.n_layers * model.cfg.n_heads
    needed, most = 4 * heads * n_tokens**2, int((LARGEST / (4 * heads)) ** 0.5)
    require(pattern_bytes(model, n_tokens), f"Reading all heads of {n_tokens} tokens", model.W_E.device)
    if needed > LARGEST:
        raise BadInput(
            f"The patterns of {heads} heads over {n_tokens} tokens take {needed / 1e9:.1f} GB, more than the "
            f"{LARGEST / 1e9:g} GB allowed. Shorten the prompt to {most} tokens, or capture single layers."
        )
