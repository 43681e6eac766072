"""Massive activations taken away: what a prediction loses without them, beside random dimensions changed at the same tokens.

Each massive activation is changed once, in the stream where it first appears, all of them in one run: set to 0, or to the mean of
its dimension over the prompt's other tokens. Sun et al. (2024) take the mean of the massive values over many texts, which keeps
them; ours takes them away. Controls, at the same layer and token: as many other dimensions set to 0, and moved up or down by as
much as the massive ones were, which is the harder one, since an ordinary dimension has little to lose. KL from the unchanged
prediction and rise of the loss, nats, means over the tokens from the first change on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.heads.massive.sinks_record import Activation, Removal
from probe.interventions.running import intervene
from probe.interventions.values import Function
from probe.model.sites import resid_post, resid_pre
from probe.progress import Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_LOGITS = 1 << 25  # numbers of logits at once


def removed(
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
