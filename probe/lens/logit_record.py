"""What the logit lens read: the likeliest tokens of each layer at each position."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from probe.artifacts.json import finite
from probe.errors import BadInput, brief
from probe.lens.places import COLOURS, chosen_map
from probe.show.panels import Chosen, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.words import counted, number

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, kw_only=True)
class LensResult(Record, figure=True, page=True):
    """Predictions by layer and position; the first layer row is the embedding, the last is the model's own prediction.

    layers: labels of the rows. top_ids, top_tokens, top_probs: the k likeliest next tokens. entropy: nats. kl: to the model's own
    prediction, nats. rank_of_final: rank (0 is first) of the token the whole model finds likeliest. loss: of the actual next
    token, nats, for each token of the prompt; NaN for the first, which nothing predicts. positions: those that were read, in the
    order of the arrays; None if all were.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    layers: list[str]
    top_ids: Int[np.ndarray, "layer pos k"]
    top_tokens: list[list[list[str]]]
    top_probs: Float[np.ndarray, "layer pos k"]
    entropy: Float[np.ndarray, "layer pos"]
    kl: Float[np.ndarray, "layer pos"]
    rank_of_final: Int[np.ndarray, "layer pos"]
    loss: Float[np.ndarray, " pos"]
    resid_norm: Float[np.ndarray, "layer pos"]
    positions: list[int] | None = None

    def rows(self, pos: int = -1) -> list[dict[str, Any]]:
        """One row per layer for one position."""
        pos = self._at(pos)
        return [
            {
                "layer": label,
                "prediction": self.top_tokens[i][pos][0],
                "probability": float(self.top_probs[i, pos, 0]),
                "rank of final": int(self.rank_of_final[i, pos]),
                "entropy (nats)": float(self.entropy[i, pos]),
                "KL (nats)": float(self.kl[i, pos]),
                "norm": float(self.resid_norm[i, pos]),
            }
            for i, label in enumerate(self.layers)
        ]

    def next_tokens(self, pos: int = -1, layer: int = -1) -> list[dict[str, Any]]:
        """The likeliest next tokens at one position: the model's own, or as a row of the layers has them."""
        pos = self._at(pos)
        return [
            {"token": t, "probability": float(p)}
            for t, p in zip(self.top_tokens[layer][pos], self.top_probs[layer, pos], strict=True)
        ]

    def _at(self, pos: int) -> int:
        """Where the arrays hold a position of the prompt. BadInput for one that was not read."""
        (pos,) = places_within([pos], len(self.tokens))
        if self.positions is None:
            return pos
        if pos not in self.positions:
            raise BadInput(
                f"Position {pos} was not read; {', '.join(map(str, self.positions))} were. Read the lens there."
            )
        return self.positions.index(pos)

    def as_read(self) -> "LensResult":
        """The same of the positions that were read alone, as pictures show it."""
        if self.positions is None:
            return self
        tokens, ids = ([column[p] for p in self.positions] for column in (self.tokens, self.token_ids))
        return replace(self, tokens=tokens, token_ids=ids, positions=None)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "prompt": self.prompt,
            "tokens": self.tokens,
            "token_ids": self.token_ids,
            "layers": self.layers,
            "top_tokens": self.top_tokens,
            "top_probs": self.top_probs.tolist(),
            "entropy": self.entropy.tolist(),
            "kl": self.kl.tolist(),
            "rank_of_final": self.rank_of_final.tolist(),
            "loss": [finite(x) for x in self.loss],
            "positions": self.positions,
        }

    def panels(self) -> list[Panel]:
        """The loss of each token, predictions by layer and position, and one place of them: its layers, its next tokens."""
        read = self.as_read()
        sizes = {"token": len(read.tokens), "layer": len(self.layers)}
        return [
            Tokens("loss, nats", read.tokens, read.loss.tolist()),
            chosen_map("Likeliest next token, layer by position", read.figure_at, sizes["token"], colour=COLOURS),
            Chosen(sizes, self.place),
            Sentence(self.summary()),
        ]

    def figure_at(self, at: int, **options: Any) -> "go.Figure":
        """The figure, of a long prompt that part of it which has this position."""
        return self.figure(at=at, **options)

    def place(self, token: int, layer: int) -> list[Panel]:
        """What there is to see after one token, and there at one layer."""
        at = token if self.positions is None else self.positions[token]
        said = f"After {self.tokens[at]!r} (position {at})"
        following = [{"follow": int(i)} for i in self.top_ids[layer, token]]
        return [
            Rows(f"{said}, layer by layer", self.rows(at), [{"layer": i} for i in range(len(self.layers))]),
            Rows(f"{said}, at {_where(self.layers[layer])}", self.next_tokens(at, layer), following),
            Sentence(self.said_of(token, layer)),
        ]

    def said_of(self, token: int, layer: int) -> str:
        """One place in a sentence."""
        at = (layer, token)
        return (
            f"Read at {_where(self.layers[layer])}: entropy {number(float(self.entropy[at]))} nats, KL to the final prediction "
            f"{number(float(self.kl[at]))} nats; the final prediction has rank {int(self.rank_of_final[at]):,}; the stream is "
            f"{number(float(self.resid_norm[at]))} long."
        )

    def settled(self, at: int) -> int:
        """The row from which on the token that the whole model finds likeliest after column `at` is likeliest."""
        first = (self.rank_of_final[:, at] == 0)[::-1]  # from the last layer down
        return len(self.layers) - 1 - max(int(np.logical_and.accumulate(first).sum()) - 1, 0)

    def summary(self) -> str:
        """One sentence: what the whole model says after the last token, and from which layer on."""
        shown = self.as_read()
        best, n, since = self.top_tokens[-1][-1][0], len(self.layers), self.layers[self.settled(-1)]
        return (
            f"After {shown.tokens[-1]!r} the model says {best!r} ({self.top_probs[-1, -1, 0]:.3f}), first in every layer from "
            f"{since} on; embedding and {counted(n - 1, 'layer')} by {counted(len(shown.tokens), 'token')}."
        )


def _where(label: str) -> str:
    return "the embedding" if label == "embed" else f"layer {label}"


def places_within(positions: Sequence[int], n: int) -> list[int]:
    """Positions counted from the front. BadInput for one outside the prompt, and for none."""
    if not all(isinstance(p, int | np.integer) and not isinstance(p, bool) for p in positions):
        raise BadInput(f"Positions are whole numbers, like [0, -1]; {brief(positions)} came.")
    if outside := [p for p in positions if not -n <= p < n]:
        raise BadInput(f"The prompt has tokens 0 to {n - 1}; there is no position {outside[0]}.")
    if not len(positions):
        raise BadInput("No position was named to be read; leave positions out for all.")
    return [p % n for p in positions]
