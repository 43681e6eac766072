"""Follow chosen tokens through the layers: their probability, rank and logit at every layer and position of the logit lens.

The lens itself (`probe.lens.logit`) keeps the likeliest tokens of each layer and drops the others. Here the same readout, the
model's own final norm, unembedding and soft-cap, is made again a few positions at a time, and of each full distribution only
what concerns the chosen tokens is kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.lens.places import QUANTITIES, chosen_map
from probe.methods import Doc, Token, method
from probe.model.readout import read_out
from probe.model.sites import resid_post, resid_pre
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Chosen, Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.show.values import quoted
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Difference, listed, one_target, token_id
from probe.text.tokens import display_tokens
from probe.words import figures

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge

TABLE = 1 << 26
"Logits made at once."
Followed = str | int
OWN = ("final", "next")
"""Tokens that are another one at each position: the whole model's likeliest next token, and the one that really follows."""


@dataclass(frozen=True, kw_only=True)
class TokenThroughLayers(Record, figure=True, page=True):
    """followed: names, the tokens' own texts or `final` and `next`. ids[i, pos]: which token that is at each position, -1 where
    there is none (nothing follows the last token). log_probs in nats; ranks count from 0; logits are as the model makes them.
    The first layer row is the embedding, the last is the model's own prediction.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    layers: list[str]
    followed: list[str]
    ids: Int[np.ndarray, "followed pos"]
    texts: list[list[str]]
    log_probs: Float[np.ndarray, "followed layer pos"]
    ranks: Int[np.ndarray, "followed layer pos"]
    logits: Float[np.ndarray, "followed layer pos"]

    if TYPE_CHECKING:

        def figure(self, pos: int = -1, quantity: str = "probability", height: int | None = None) -> go.Figure: ...

    def rows(self, pos: int = -1, which: int = 0) -> list[dict[str, Any]]:
        """One token at one position, layer by layer."""
        return [
            {
                "layer": label,
                "probability": float(np.exp(self.log_probs[which, i, pos])),
                "rank": int(self.ranks[which, i, pos]),
                "logit": float(self.logits[which, i, pos]),
            }
            for i, label in enumerate(self.layers)
        ]

    def panels(self) -> list[Panel]:
        """The first token's probability after each position, all of them through the layers after one, and the first one
        everywhere."""
        sizes = {"token": len(self.tokens), "layer": len(self.layers)}
        end = np.exp(self.log_probs[0, -1])
        return [
            Tokens(f"probability of {self._name(0)} in the end", self.tokens, end.tolist()),
            Chosen({"token": sizes["token"]}, self._through),
            chosen_map(f"{self._name(0)} everywhere", self.map, sizes["token"], quantity=QUANTITIES),
            Sentence(self.summary()),
        ]

    def _through(self, token: int) -> list[Panel]:
        said = f"After {self.tokens[token]!r} (position {token})"
        lines = Figure(f"{said}", partial(self._lines, token), {"quantity": QUANTITIES}, ("layer",))
        return [
            lines,
            Rows(f"{said}, {self._name(0)}", self.rows(token), [{"layer": i} for i in range(len(self.layers))]),
        ]

    def _lines(self, pos: int, quantity: str = "probability") -> "go.Figure":
        return self.figure(pos, quantity)

    def map(self, at: int = -1, **options: Any) -> "go.Figure":
        """The first token at every layer and position (`probe.lens.figures.follow_map`)."""
        from probe.lens.figures import follow_map

        return follow_map(self, at=at, **options)

    def _name(self, which: int) -> str:
        own = {"final": "the final prediction", "next": "what really follows"}
        return own.get(self.followed[which]) or repr(self.followed[which])

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        plain = {n: getattr(self, n) for n in ("prompt", "token_ids", "tokens", "layers", "followed", "texts")}
        there = np.broadcast_to(self.ids[:, None] >= 0, self.ranks.shape)
        numbers = {"log_probs": self.log_probs, "logits": self.logits, "ranks": self.ranks}
        return {
            **plain,
            "ids": self.ids.tolist(),
            **{n: np.where(there, v.astype(object), None).tolist() for n, v in numbers.items()},
        }

    def summary(self) -> str:
        """One sentence: which tokens are followed, and where the first one ends."""
        others = f" and {len(self.followed) - 1} more" if len(self.followed) > 1 else ""
        there = np.flatnonzero(self.ids[0] >= 0)  # nothing follows the last token
        at = int(there[-1]) if len(there) else -1
        end = ", read before the last token" if len(there) and at < len(self.tokens) - 1 else ""
        return (
            f"{self.texts[0][at]!r}{others} through the embedding and {len(self.layers) - 1} layers after "
            f"{quoted(self.prompt)}{end}: in the end "
            f"probability {figures(float(np.exp(self.log_probs[0, -1, at])))}, rank {int(self.ranks[0, -1, at])}."
        )


@method("follow-token", group="lens")
def follow_token(
    model: "TransformerBridge",
    prompt: Prompt,
    target: Annotated[Token | Sequence[Token] | None, Doc("Tokens, or `final` and `next`; `final` by default.")] = None,
    *,
    token_ids: Annotated[Sequence[Token] | None, Doc("The same by its older name.")] = None,
    progress: Progress = SILENT,
) -> TokenThroughLayers:
    """Follow tokens through all layers at all positions. target: one or several, as text (`" Paris"`), id, or `final` and `next`
    (see `OWN`; the first is the default). `token_ids` says the same.

    Raises BadInput for what is no token and for an empty or too long prompt.

    >>> one = ow.follow_token(model, "When Mary and John went to", " the")
    >>> one.ranks.shape  # token, layer, position; rank 0 is the prediction
    (1, 5, 8)
    """
    wanted = one_target(target, token_ids=token_ids)
    chosen_tokens = _chosen(model, listed("final" if wanted is None else wanted))
    prompt, ids = read_prompt(model, prompt)
    sites = [resid_pre(0), *(resid_post(i) for i in range(model.cfg.n_layers))]
    found = capture(model, torch.tensor([ids], device=model.W_E.device), sites)
    resid = torch.stack([found[s.name][0] for s in sites])
    parts = zip(*_read(model, resid, ids, chosen_tokens, progress), strict=True)
    chosen, log_probs, ranks, logits = (np.concatenate(x, -1) for x in parts)
    words = dict(
        zip(seen := sorted({*ids, *chosen.flatten().tolist()} - {-1}), display_tokens(model, seen), strict=True)
    )
    record = TokenThroughLayers(
        prompt=prompt,
        token_ids=ids,
        tokens=[words[i] for i in ids],
        layers=["embed", *(str(i) for i in range(model.cfg.n_layers))],
        followed=[t if isinstance(t, str) else words[t] for t in chosen_tokens],
        ids=chosen,
        texts=[[words.get(int(i), "") for i in row] for row in chosen],
        log_probs=log_probs,
        ranks=ranks,
        logits=logits,
    )
    return came_from(record, model)


def _chosen(model: "TransformerBridge", wanted: Sequence[Any]) -> list[int | str]:
    """Ids, or the names of `OWN`."""
    if not wanted:
        raise BadInput("There is no token to follow; give text like ' Paris', ids, or 'final' or 'next'.")
    if any(isinstance(one, Difference) for one in wanted):
        raise BadInput("A difference of two tokens has no probability and no rank; follow both: [' Mary', ' John'].")
    return [one if isinstance(one, str) and one in OWN else token_id(model, one) for one in wanted]


@torch.no_grad()
def _read(
    model: "TransformerBridge",
    resid: Float[Tensor, "layer pos d_model"],
    ids: list[int],
    token_ids: Sequence[int | str],
    progress: Progress,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Per chunk of positions: which tokens, their log-probabilities, ranks and logits."""
    chunk = max(1, TABLE // (resid.shape[0] * int(model.cfg.d_vocab)))
    following = torch.tensor([*ids[1:], -1], device=resid.device)
    with progress.stage("follow a token", total=resid.shape[1], unit="pos") as step:
        for start in range(0, resid.shape[1], chunk):
            logits = read_out(model, resid[:, start : start + chunk], return_type="logits")
            logits = logits if logits.dtype == torch.float64 else logits.float()
            total = logits.logsumexp(-1)
            own = {"final": logits[-1].argmax(-1), "next": following[start : start + chunk]}
            chosen = torch.stack(
                [own[t] if isinstance(t, str) else torch.full_like(own["final"], t) for t in token_ids]
            )
            at = torch.stack([logits.gather(-1, c.clamp_min(0).expand(total.shape)[..., None])[..., 0] for c in chosen])
            ranks = torch.stack([(logits > one[..., None]).sum(-1) for one in at])
            there = (chosen >= 0)[:, None]
            found = (
                torch.where(there, at - total, torch.nan),
                torch.where(there, ranks, -1),
                torch.where(there, at, torch.nan),
            )
            yield tuple(x.cpu().numpy() for x in (chosen, *found))
            step(total.shape[1])
