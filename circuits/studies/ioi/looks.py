"""Where every head looks in IOI prompts and what it writes for each name, as the roles of Wang et al. are described.

    to_io, to_s      attention from the last token to the indirect object; to both mentions of the subject together
    to_s2            attention from the last token to the second mention
    duplicate        attention from the second mention to the first         (duplicate token heads)
    induction        attention from the second mention to what followed the first         (induction heads)
    previous         attention from what followed the first mention to it         (previous token heads)
    for_io, for_s    what the head adds to each name's logit at the last token, less the mean logit, divisors held
    copies           whether, looking at the indirect object alone, it would put that name among its five highest logits
    opposes          the same among its five lowest

The paper's copying score reads names after the first MLP; here the head reads what stands at the name in the prompt itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float

from circuits.edge_attribution.components import components
from circuits.edge_attribution.writes import sites_read
from circuits.studies.component_circuits.direct import scale_site, toward
from circuits.studies.component_circuits.halves import ROWS, tokens
from circuits.studies.component_circuits.head_sets import ByHead, EachHead
from circuits.studies.ioi.prompts import Ids, Places
from probe.heads.weights import logits_of
from probe.interventions.forward import capture
from probe.model.sites import Site
from probe.model.writes import heads_write, wide
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_TOP = 5


@dataclass(frozen=True)
class Looks:
    """Attention between the places that the roles are about."""

    to_io: EachHead
    to_s: EachHead
    to_s2: EachHead
    duplicate: EachHead
    induction: EachHead
    previous: EachHead


@dataclass(frozen=True)
class Writes:
    """What heads write for names."""

    for_io: EachHead
    for_s: EachHead

    @property
    def lead(self) -> EachHead:
        """What each head adds to the lead of the indirect object."""
        return self.for_io - self.for_s


def looks_of(model: "TransformerBridge", pairs: Pairs, ids: Ids, at: Places) -> Looks:
    """Attention in these prompts, which are as long as the clean ones, at the clean ones' places."""
    asked = {
        "to_io": (None, at.io),
        "to_s1": (None, at.s1),
        "to_s2": (None, at.s2),
        "duplicate": (at.s2, at.s1),
        "induction": (at.s2, at.s1 + 1),
        "previous": (at.s1 + 1, at.s1),
    }
    sites = [Site("pattern", i) for i in range(int(model.cfg.n_layers))]
    found: dict[str, list] = {name: [None] * len(pairs) for name in asked}
    for some in pairs.groups(ROWS):
        run, rows = capture(model, tokens(model, ids, some), sites), np.arange(len(some))
        for name, (query, key) in asked.items():
            q = np.full(len(some), -1) if query is None else query[some]
            paid = torch.stack([run[s.name][rows, :, q, key[some]].float() for s in sites], 1)  # pair layer head
            for i, one in zip(some, paid.cpu().numpy(), strict=True):
                found[name][i] = one
    each = {name: np.stack(rows) for name, rows in found.items()}
    to_s1 = each.pop("to_s1")
    return Looks(to_s=to_s1 + each["to_s2"], **each)


@torch.no_grad()
def writes_of(model: "TransformerBridge", pairs: Pairs) -> Writes:
    """What every head writes in the clean prompts."""
    made = components(model)
    layers = range(made.layout.n_layers)
    sites = [*sites_read(model, made.layout), *scale_site(model)]
    names = ("for_io", "for_s")
    found = {name: np.zeros((len(pairs), len(layers), max(made.layout.heads)), np.float64) for name in names}
    for some in pairs.groups(ROWS):
        held = capture(model, tokens(model, pairs.clean, some), sites)
        ids = [torch.tensor([side[i][0] for i in some], device=model.W_E.device) for side in (pairs.right, pairs.wrong)]
        directions = [toward(model, held, one) for one in ids]
        for layer in layers:
            written = made.writers.heads(layer, held)[:, :, -1]
            for name, direction in zip(names, directions, strict=True):
                shares = einsum(written, direction, "pair head d_model, pair d_model -> pair head")
                found[name][some, layer] = shares.double().cpu().numpy()
    return Writes(**found)


@torch.no_grad()
def lead_of(model: "TransformerBridge", pairs: Pairs, donors: Ids) -> EachHead:
    """What every head would add to the lead in the clean prompts if it gave what it gives in other prompts as long, the clean
    run's divisors held."""
    made = components(model)
    found = np.zeros((len(pairs), made.layout.n_layers, max(made.layout.heads)))
    for some in pairs.groups(ROWS):
        clean = capture(model, tokens(model, pairs.clean, some), scale_site(model)) if scale_site(model) else {}
        held = capture(model, tokens(model, donors, some), sites_read(model, made.layout))
        right, wrong = (
            torch.tensor([side[i][0] for i in some], device=model.W_E.device) for side in (pairs.right, pairs.wrong)
        )
        direction = toward(model, clean, right) - toward(model, clean, wrong)
        for layer in range(made.layout.n_layers):
            written = made.writers.heads(layer, held)[:, :, -1]
            shares = einsum(written, direction, "pair head d_model, pair d_model -> pair head")
            found[some, layer] = shares.double().cpu().numpy()
    return found


@dataclass(frozen=True)
class Copies:
    """Whether each head of some layers, looking at the indirect object alone, would put that name among its five highest logits,
    or its five lowest; NaN in other layers."""

    copies: EachHead
    opposes: EachHead


@torch.no_grad()
def copies_of(model: "TransformerBridge", pairs: Pairs, at: Places, layers: Iterable[int]) -> Copies:
    """Of the clean prompts. Ties count against a head: what one that writes nothing promotes is no name."""
    made, asked = components(model), sorted(set(layers))
    found = np.full((2, len(pairs), made.layout.n_layers, max(made.layout.heads)), np.nan)
    for some in pairs.groups(ROWS):
        held = capture(model, tokens(model, pairs.clean, some), [Site("v", i) for i in asked])
        ids = torch.tensor([pairs.right[i][0] for i in some], device=model.W_E.device)
        for layer in asked:
            v, (W, _) = wide(held[Site("v", layer).name]), heads_write(model, layer)
            v = v[np.arange(len(some)), at.io[some]].repeat_interleave(W.shape[0] // v.shape[2], 1)
            written = einsum(v, W, "pair head d_head, head d_head d_model -> pair head d_model")
            logits = logits_of(model, layer, written.flatten(0, 1)).unflatten(0, written.shape[:2])
            own = logits.gather(2, ids[:, None, None].expand(-1, W.shape[0], 1))
            for i, ahead in enumerate((logits >= own, logits <= own)):
                found[i, some, layer, : W.shape[0]] = (ahead.sum(-1) <= _TOP).cpu().numpy()
    return Copies(*found)


def correlation(x: Float[np.ndarray, "point ..."], y: Float[np.ndarray, "point ..."]) -> Float[np.ndarray, "..."]:
    """Pearson's, along the first axis; 0 where a side does not vary."""
    x, y = x - x.mean(0), y - y.mean(0)
    size = np.sqrt((x * x).sum(0) * (y * y).sum(0))
    return np.asarray(np.divide((x * y).sum(0), size, out=np.zeros_like(size), where=size > 1e-12))


def follows(looks: Looks, writes: Writes, rows: np.ndarray | slice = slice(None)) -> ByHead:
    """How closely what each head writes for a name follows how much it looks at it: over both names of some prompts."""
    paid = np.concatenate([looks.to_io[rows], looks.to_s[rows]])
    written = np.concatenate([writes.for_io[rows], writes.for_s[rows]])
    return correlation(paid, written)
