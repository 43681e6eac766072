"""What the model's predictions lose when a dictionary stands in for a part of it.

The next token's cross-entropy on the same held-out text: untouched, with the dictionary's output in place of its site, with zeros
there, and with the site's mean there; and for each change the KL divergence from the untouched prediction. At special tokens (BOS
and padding) the site is left as it is, and predictions at or of them are not counted: dictionaries are not trained on them, and
BOS alone would decide the score. What happens if BOS is spliced too is the condition `spliced_bos`.

A dictionary that writes several sites replaces all of them at once, from what it read in the untouched run. Every text is run
once untouched; the changed runs begin at the first changed layer (`probe.interventions.prefix`), and dictionaries of the same
sites share them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput
from probe.evaluation.metrics import Predictions, log_normaliser, next_token_losses
from probe.interventions.forward import per_token
from probe.interventions.prefix import first_layer, is_exact, recorded, replayed
from probe.interventions.running import intervene
from probe.interventions.values import like
from probe.model.anatomy import spot
from probe.model.sites import hook_name, parse_site
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.text.tokens import TokenSet

CONDITIONS = ("clean", "spliced", "zero", "mean", "spliced_bos")


class Ablation:
    """Replace a site by one value at every position that is not special."""

    def __init__(self, at: str, value: Tensor | float, special: Bool[Tensor, "batch pos"]):
        self.at, self.value, self.special = at, value, special

    def change(self, value: Tensor) -> Tensor:
        other = like(self.value, value)
        special = self.special.to(value.device)
        return torch.where(special.view(*special.shape, *(1,) * (value.ndim - 2)), value, other)


def choose_rows(tokens: "TokenSet", documents: Any | None, max_tokens: int, seed: int = 0) -> Int[Tensor, " row"]:
    """Random rows, of the given documents only, until they hold `max_tokens` tokens of text. BadInput if there are none."""
    fits = torch.ones(len(tokens.doc), dtype=torch.bool)
    if documents is not None:
        fits = torch.isin(tokens.doc, torch.as_tensor(np.asarray(documents), dtype=tokens.doc.dtype))
    rows = torch.nonzero(fits).flatten()
    if not len(rows):
        raise BadInput("No held-out text is left to judge on: the cache needs at least two documents.")
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    text = (~tokens.special[rows]).sum(1).cumsum(0)
    return rows[: max(1, int((text <= max_tokens).sum()))]


@dataclass(frozen=True)
class ByToken:
    """Cross-entropy `ce` and KL divergence `kl` of each next token under each condition, in nats; NaN where it does not count.

    `spliced_bos` is missing where no row begins with a special token; `kl` has no `clean`, which would be 0.
    """

    ce: dict[str, Float[np.ndarray, "row pos_minus_1"]] = field(default_factory=dict)
    kl: dict[str, Float[np.ndarray, "row pos_minus_1"]] = field(default_factory=dict)


def losses(
    model: "TransformerBridge",
    dictionaries: Sequence[AnyDictionary],
    tokens: Int[Tensor, "row pos"],
    special: Bool[Tensor, "row pos"],
    means: dict[str, Float[Tensor, " width"]],
    *,
    batch: int = 8,
    progress: Progress = SILENT,
) -> list[ByToken]:
    """What every next token costs under each condition, for each dictionary. means: of every site they write."""
    with torch.no_grad(), in_inference(dictionaries):
        run = _Runs(model, dictionaries, means, tokens[:1])
        parts: list[list[_Measured]] = [[] for _ in dictionaries]
        with progress.stage("cross-entropy", tokens.numel() * run.passes, "tok") as step:
            for ids, marks in zip(tokens.split(batch), special.split(batch), strict=True):
                for found, one in zip(parts, run.batch(ids, marks, step), strict=True):
                    found.append(one)
    counted = ~(special[:, :-1] | special[:, 1:])
    return [_together(found, counted) for found in parts]


_Measured = dict[str, tuple[Tensor, Tensor]]
"""Condition -> (cross-entropy, KL divergence), each [row, pos - 1]."""


@contextmanager
def in_inference(dictionaries: Sequence[AnyDictionary]) -> Iterator[None]:
    """Dictionaries by their rule of inference, whatever mode they were left in."""
    before = [d.training for d in dictionaries]
    try:
        for d in dictionaries:
            d.eval()
        yield
    finally:
        for d, mode in zip(dictionaries, before, strict=True):
            d.train(mode)


def _together(parts: list[_Measured], counted: Bool[Tensor, "row pos_minus_1"]) -> ByToken:
    def joined(name: str, which: int) -> np.ndarray:
        return torch.cat([part[name][which] for part in parts]).masked_fill(~counted, torch.nan).numpy()

    shared = [name for name in CONDITIONS if all(name in part for part in parts)]
    return ByToken({n: joined(n, 0) for n in shared}, {n: joined(n, 1) for n in shared if n != "clean"})


class _Runs:
    """The passes over one batch of rows: one untouched, two ablations for each set of sites written, two for each dictionary."""

    def __init__(
        self, model: "TransformerBridge", dictionaries: Sequence[AnyDictionary], means: dict[str, Tensor], probe: Tensor
    ):
        self.model, self.dictionaries, self.means = model, dictionaries, means
        self.written = {
            d.sites_out: first_layer([parse_site(s, model) for s in d.sites_out], model) for d in dictionaries
        }
        self.read = {s: parse_site(s, model) for d in dictionaries for s in d.sites_in}
        self.passes = 1 + 2 * len(self.written) + 2 * len(dictionaries)
        row = probe.to(model.cfg.device)
        # A model whose upper layers read more than the residual stream is run whole.
        self.written = {k: n if is_exact(model, n, row) else 0 for k, n in self.written.items()}

    def batch(self, ids: Int[Tensor, "row pos"], special: Bool[Tensor, "row pos"], step: Callable) -> list[_Measured]:
        """What each dictionary's conditions cost on these rows."""
        self.ids, self.step = ids.to(self.model.cfg.device), step
        inputs, clean = self._clean()
        ce = next_token_losses(clean.logits, self.ids, clean.lse)
        untouched = {"clean": (ce.cpu(), torch.zeros(len(ids), ids.shape[1] - 1))}
        ablated = {sites: self._ablated(sites, special, clean) for sites in self.written}
        found = [
            {**untouched, **ablated[d.sites_out], **self._spliced(d, inputs, special, clean)} for d in self.dictionaries
        ]
        self.kept.clear()
        return found

    def _clean(self) -> tuple[dict[str, Tensor], Predictions]:
        """The untouched pass: what the dictionaries read, and what it predicts."""
        found: dict[str, Tensor] = {}

        def reader(name: str) -> Callable:
            at = spot(self.read[name], self.model)
            return lambda value, hook: found.__setitem__(name, per_token(at.read(value, len(self.ids))))

        hooks = [(str(hook_name(site, self.model)), reader(name)) for name, site in self.read.items()]
        with self.model.hooks(fwd_hooks=hooks), recorded(self.model, *self.written.values()) as self.kept:
            logits = self.model(self.ids)
        self.step(self.ids.numel())
        return found, Predictions(logits)

    def _ablated(self, sites: tuple[str, ...], special: Tensor, clean: Predictions) -> _Measured:
        zero = self._changed(sites, [Ablation(s, 0.0, special) for s in sites], clean)
        return {"zero": zero, "mean": self._changed(sites, [Ablation(s, self.means[s], special) for s in sites], clean)}

    def _spliced(self, d: AnyDictionary, inputs: dict[str, Tensor], special: Tensor, clean: Predictions) -> _Measured:
        x = torch.cat([inputs[s] for s in d.sites_in], -1).to(d.W_enc)
        recons = d.run(x.flatten(0, 1)).recons.view(*x.shape[:2], -1).split(d.widths_out, -1)
        pairs = list(zip(d.sites_out, recons, strict=True))
        found = {"spliced": self._changed(d.sites_out, [Ablation(s, r, special) for s, r in pairs], clean)}
        if special[:, 0].all():
            all_of_it = torch.zeros_like(special)
            found["spliced_bos"] = self._changed(d.sites_out, [Ablation(s, r, all_of_it) for s, r in pairs], clean)
        return found

    def _changed(self, sites: tuple[str, ...], changes: list["Ablation"], clean: Predictions) -> tuple[Tensor, Tensor]:
        with replayed(self.model, self.written[sites], self.kept), intervene(self.model, changes):
            logits = self.model(self.ids)
        self.step(self.ids.numel())
        lse = log_normaliser(logits)
        return next_token_losses(logits, self.ids, lse).cpu(), clean.kl_to(logits, lse)[:, :-1].cpu()
