"""The logit lens: what each layer would predict if the model stopped there (nostalgebraist, 2020).

Reads every residual stream through the model's own final norm, unembedding and soft-cap (transformer-lens's
`logit_readout`, which refuses models whose readout is something else), a few positions at a time, so the full
(layer, pos, d_vocab) array never exists.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.artifacts.json import finite
from probe.errors import BadInput, brief
from probe.interventions.forward import capture, require_finite
from probe.lens.places import COLOURS, chosen_map
from probe.memory import require
from probe.methods import Doc, method
from probe.model.readout import read_out
from probe.model.sites import resid_post, resid_pre
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.panels import Chosen, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.text.prompts import Prompt, read_prompt
from probe.text.tokens import display_tokens
from probe.words import counted, number

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge


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
        (pos,) = _within([pos], len(self.tokens))
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
        best, n, since = (
            self.top_tokens[-1][-1][0],
            len(self.layers),
            self.layers[self.settled(-1)].replace("embed", "the embedding"),
        )
        return (
            f"After {shown.tokens[-1]!r} the model says {best!r} ({self.top_probs[-1, -1, 0]:.3f}), first in every layer from "
            f"{since} on; embedding and {counted(n - 1, 'layer')} by {counted(len(shown.tokens), 'token')}."
        )


def _where(label: str) -> str:
    return "the embedding" if label == "embed" else f"layer {label}"


@method(
    "logit-lens",
    group="lens",
    paper="interpreting GPT: the logit lens (nostalgebraist 2020)",
    plan="plan_logit_lens",
)
def logit_lens(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    top_k: Annotated[int, Doc("Predictions kept per layer and position.", least=1)] = 10,
    positions: Annotated[Sequence[int] | None, Doc("Read these tokens alone; -1 is the last. By default all.")] = None,
    progress: Progress = SILENT,
) -> LensResult:
    """The logit lens of a prompt at every layer and position.

    positions: read these alone (-1 is the last), which is what a long prompt costs less by. Raises BadInput for an empty or too
    long prompt, positions outside of it, top_k < 1, and where memory does not suffice.

    >>> lens = ow.logit_lens(model, "When Mary and John went to")
    >>> lens.layers
    ['embed', '0', '1', '2', '3']
    """
    if not 1 <= top_k <= model.cfg.d_vocab:
        raise BadInput(f"top_k is {top_k}; it must be between 1 and the vocabulary's {model.cfg.d_vocab}.")
    prompt, ids = read_prompt(model, prompt)
    chosen = None if positions is None else _within(positions, len(ids))
    at = list(range(len(ids))) if chosen is None else chosen
    plan = plan_lens(model, len(ids), len(at))
    require(plan.bytes, f"The lens of {len(ids)} tokens", model.W_E.device)
    tokens = torch.tensor([ids], device=model.W_E.device)
    sites = [resid_pre(0), *(resid_post(i) for i in range(model.cfg.n_layers))]
    found = capture(model, tokens, sites)
    last = require_finite(found[sites[-1].name])[0]
    resid = torch.stack([found[s.name][0][at] for s in sites])
    top, probs, entropy, kl, rank = (
        np.concatenate(x, 1) for x in zip(*_read(model, resid, top_k, progress), strict=True)
    )
    texts = display_tokens(model, top.reshape(-1).tolist())
    shape = top.shape
    nested = [[texts[(i * shape[1] + p) * top_k :][:top_k] for p in range(shape[1])] for i in range(shape[0])]
    loss = next_token_loss(model, last, ids, at)
    labels = ["embed", *(str(i) for i in range(model.cfg.n_layers))]
    norm = resid.float().norm(dim=-1).cpu().numpy()
    read = display_tokens(model, ids)
    found = LensResult(
        prompt=prompt,
        token_ids=ids,
        tokens=read,
        layers=labels,
        top_ids=top,
        top_tokens=nested,
        top_probs=probs,
        entropy=entropy,
        kl=kl,
        rank_of_final=rank,
        loss=loss,
        resid_norm=norm,
        positions=chosen,
    )
    return came_from(found, model)


def plan_logit_lens(
    model: "TransformerBridge",
    prompt: Prompt,
    *,
    top_k: int = 10,
    positions: Sequence[int] | None = None,
) -> "LensPlan":
    """What a lens would take, from what it would be asked."""
    n = len(read_prompt(model, prompt)[1])
    return plan_lens(model, n, n if positions is None else len(_within(positions, n)))


def _within(positions: Sequence[int], n: int) -> list[int]:
    """Positions counted from the front. BadInput for one outside the prompt, and for none."""
    if not all(isinstance(p, int | np.integer) and not isinstance(p, bool) for p in positions):
        raise BadInput(f"Positions are whole numbers, like [0, -1]; {brief(positions)} came.")
    if outside := [p for p in positions if not -n <= p < n]:
        raise BadInput(f"The prompt has tokens 0 to {n - 1}; there is no position {outside[0]}.")
    if not len(positions):
        raise BadInput("No position was named to be read; leave positions out for all.")
    return [p % n for p in positions]


@dataclass(frozen=True)
class LensPlan(Record):
    """bytes: at the peak, beside the model; seconds: at 3e10 operations a second, two CPU cores."""

    n_tokens: int
    n_positions: int
    bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


_CHUNK = 1 << 24
"""Numbers in one tensor of logits; up to nine of them are alive at once."""
_SLACK = 80 << 20
"""Bytes of buffers that no formula counts."""


def plan_lens(model: "TransformerBridge", n_tokens: int, n_positions: int | None = None) -> LensPlan:
    """Memory and time of a lens: the pass over the prompt, and the readout of every layer at the positions that are read."""
    cfg, n = model.cfg, n_tokens if n_positions is None else n_positions
    layers, d, vocabulary = cfg.n_layers + 1, int(cfg.d_model), int(cfg.d_vocab)
    chunk = max(_CHUNK, layers * vocabulary)
    forward = 3 * int(cfg.n_heads or 0) * n_tokens**2 + 8 * n_tokens * max(d, int(cfg.d_mlp or 0))
    numbers = layers * d * (n_tokens + 2 * n) + max(forward, 9 * min(chunk, n * layers * vocabulary))
    flops = 2 * sum(w.numel() for w in model.parameters()) * n_tokens + 2 * layers * n * d * vocabulary
    return LensPlan(n_tokens, n, _SLACK + 4 * numbers, flops / 3e10)


def _read(model: "TransformerBridge", resid: Float[Tensor, "layer pos d_model"], top_k: int, progress: Progress):
    """Per chunk of positions: top ids, probabilities, entropy, KL to the last layer, rank of the last layer's first."""
    chunk = max(1, _CHUNK // (resid.shape[0] * int(model.cfg.d_vocab)))
    with progress.stage("logit lens", total=resid.shape[1], unit="pos") as step:
        for part in resid.split(chunk, 1):
            logp = read_out(model, part, return_type="log_probs").float()
            top = logp.topk(top_k)
            final, p = logp[-1], logp.exp()
            first = final.argmax(-1)
            at = logp.gather(-1, first.expand(logp.shape[:2])[..., None])
            kl = (final.exp() * (final - logp)).sum(-1)
            rank = (logp > at).sum(-1)
            entropy = -(p * logp.clamp_min(-1e4)).sum(-1)
            yield tuple(x.cpu().numpy() for x in (top.indices, top.values.exp(), entropy, kl, rank))
            step(part.shape[1])


def next_token_loss(
    model: "TransformerBridge", last: Float[Tensor, "pos d_model"], ids: list[int], at: list[int]
) -> np.ndarray:
    """Cross entropy of each token at `at` given those before it, nats, read off the last layer; NaN for the first."""
    loss, chunk = np.full(len(at), np.nan), max(1, _CHUNK // int(model.cfg.d_vocab))
    later = [i for i, p in enumerate(at) if p > 0]
    for start in range(0, len(later), chunk):
        some = later[start : start + chunk]
        before, following = [at[i] - 1 for i in some], torch.tensor([ids[at[i]] for i in some], device=last.device)
        logp = read_out(model, last[before], targets=following, return_type="log_probs")[:, 0]
        loss[some] = -logp.float().cpu().numpy()
    return loss
