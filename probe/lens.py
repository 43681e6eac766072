"""The logit lens: what each layer would predict if the model stopped there (nostalgebraist, 2020).

Reads every residual stream through the model's own final norm, unembedding and soft-cap (transformer-lens's
`logit_readout`, which refuses models whose readout is something else), a few positions at a time, so the full
(layer, pos, d_vocab) array never exists.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.forward import capture
from probe.opening import Opens, came_from
from probe.progress import SILENT, Progress
from probe.prompts import Prompt, read_prompt
from probe.record import Table
from probe.sites import resid_post, resid_pre
from probe.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class LensResult(Table, Opens):
    """Predictions by layer and position; the first layer row is the embedding, the last is the model's own prediction.

    layers: labels of the rows. top_ids, top_tokens, top_probs: the k likeliest next tokens. entropy: nats. kl: to the model's own
    prediction, nats. rank_of_final: rank (0 is first) of the token the whole model finds likeliest. loss: of the actual next
    token, nats, for each token of the prompt; NaN for the first, which nothing predicts.
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

    def rows(self, pos: int = -1) -> list[dict[str, Any]]:
        """One row per layer for one position."""
        return [
            {
                "layer": label,
                "prediction": self.top_tokens[i][pos][0],
                "probability": float(self.top_probs[i, pos, 0]),
                "rank of final": int(self.rank_of_final[i, pos]),
                "entropy (nats)": float(self.entropy[i, pos]),
            }
            for i, label in enumerate(self.layers)
        ]

    def next_tokens(self, pos: int = -1) -> list[dict[str, Any]]:
        """The model's own likeliest next tokens at one position."""
        return [
            {"token": t, "probability": float(p)}
            for t, p in zip(self.top_tokens[-1][pos], self.top_probs[-1, pos], strict=True)
        ]

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
            "loss": [None if np.isnan(x) else float(x) for x in self.loss],
        }

    def figure(self, **options: Any) -> Any:
        """Heat map of layer by position, each cell the likeliest token."""
        from probe.figures import lens_figure

        return lens_figure(self, **options)

    def summary(self) -> str:
        """One sentence: what the whole model says after the last token, and from which layer on."""
        best, n = self.top_tokens[-1][-1][0], len(self.layers)
        since = next((i for i in range(n) if (self.rank_of_final[i:, -1] == 0).all()), n - 1)
        return (
            f"After {self.tokens[-1]!r} the model says {best!r} ({self.top_probs[-1, -1, 0]:.3f}), first in every layer from "
            f"{self.layers[since]} on; {n} layers by {len(self.tokens)} tokens."
        )

    def _repr_html_(self) -> str:
        from probe.html_readings import lens_html

        return lens_html(self)


def logit_lens(
    model: "TransformerBridge", prompt: Prompt, *, top_k: int = 10, progress: Progress = SILENT
) -> LensResult:
    """The logit lens of a prompt at every layer and position. Raises BadInput for an empty or too long prompt or top_k < 1."""
    if not 1 <= top_k <= model.cfg.d_vocab:
        raise BadInput(f"top_k is {top_k}; it must be between 1 and the vocabulary's {model.cfg.d_vocab}.")
    prompt, ids = read_prompt(model, prompt)
    tokens = torch.tensor([ids], device=model.W_E.device)
    sites = [resid_pre(0), *(resid_post(i) for i in range(model.cfg.n_layers))]
    found = capture(model, tokens, sites)
    resid = torch.stack([found[s.name][0] for s in sites])
    top, probs, entropy, kl, rank = (
        np.concatenate(x, 1) for x in zip(*_read(model, resid, top_k, progress), strict=True)
    )
    texts = display_tokens(model, top.reshape(-1).tolist())
    shape = top.shape
    nested = [[texts[(i * shape[1] + p) * top_k :][:top_k] for p in range(shape[1])] for i in range(shape[0])]
    loss = _next_token_loss(model, resid[-1], ids)
    labels = ["embed", *(str(i) for i in range(model.cfg.n_layers))]
    norm = resid.float().norm(dim=-1).cpu().numpy()
    read = display_tokens(model, ids)
    found = LensResult(prompt, ids, read, labels, top, nested, probs, entropy, kl, rank, loss, norm)
    return came_from(found, model)


def _read(model: "TransformerBridge", resid: Float[Tensor, "layer pos d_model"], top_k: int, progress: Progress):
    """Per chunk of positions: top ids, probabilities, entropy, KL to the last layer, rank of the last layer's first."""
    from transformer_lens.tools.analysis.logit_lens import logit_readout

    chunk = max(1, (1 << 26) // (resid.shape[0] * int(model.cfg.d_vocab)))
    with progress.stage("logit lens", total=resid.shape[1], unit="pos") as step:
        for part in resid.split(chunk, 1):
            logp = logit_readout(model, part, return_type="log_probs").values.float()
            top = logp.topk(top_k)
            final, p = logp[-1], logp.exp()
            first = final.argmax(-1)
            at = logp.gather(-1, first.expand(logp.shape[:2])[..., None])
            kl = (final.exp() * (final - logp)).sum(-1)
            rank = (logp > at).sum(-1)
            entropy = -(p * logp.clamp_min(-1e4)).sum(-1)
            yield tuple(x.cpu().numpy() for x in (top.indices, top.values.exp(), entropy, kl, rank))
            step(part.shape[1])


def _next_token_loss(model: "TransformerBridge", last: Float[Tensor, "pos d_model"], ids: list[int]) -> np.ndarray:
    """Cross entropy of each token given those before it, nats, read off the last layer; NaN for the first."""
    from transformer_lens.tools.analysis.logit_lens import logit_readout

    if len(ids) < 2:
        return np.full(len(ids), np.nan)
    following = torch.tensor(ids[1:], device=last.device)
    logp = logit_readout(model, last[:-1], targets=following, return_type="log_probs").values[:, 0]
    return np.concatenate([[np.nan], -logp.float().cpu().numpy()])
