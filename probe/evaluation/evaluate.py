"""Judge a dictionary on text it was not trained on: how much it reconstructs, how sparsely, and what the model makes of it.

Reconstruction is measured on the held-out documents of the cache, beside the best affine map fitted on the training documents:
a transcoder that does not beat it has found nothing nonlinear. Predictions are measured with the dictionary in the model
(see `splice_eval`) against zero and mean ablation. Every number says how many tokens are behind it, and its standard
error treats documents, not tokens, as independent. Several dictionaries of one cache share what they can (`evaluate_many`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries import AffineMap
from probe.dictionaries.store import AnyDictionary
from probe.evaluation.metrics import Firing, Likeness, ce_recovered, mean_and_error
from probe.evaluation.report import EvalReport
from probe.evaluation.splice import ByToken, choose_rows, in_inference, losses
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.training.pairs import Pairs, pairs_for

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache
    from probe.text.tokens import TokenSet

__all__ = ["EvalReport", "evaluate", "evaluate_many"]

_MEAN_ROWS = 1 << 14
_SHORT = {"clean": "ce", "spliced": "ce_spliced", "zero": "ce_zero", "mean": "ce_mean", "spliced_bos": "ce_spliced_bos"}
_REBUILDS = ("sae", "crosscoder")  # kinds that reconstruct what they read, so that an affine map would be the identity


@dataclass(frozen=True)
class EvalConfig(Settings):
    """On what a dictionary's cross-entropies are measured."""

    texts: "Mapping[str, TokenSet] | None" = None
    "Further texts by name, on which they are measured too."
    max_tokens: int = 4096
    "Tokens of each text."
    batch: int = 8
    "Rows a forward pass."
    seed: int = 0
    "Chooses the rows."


@takes_fields("config", EvalConfig)
def evaluate(
    model: "TransformerBridge",
    dictionary: AnyDictionary,
    cache: "Cache",
    tokens: "TokenSet | None" = None,
    *,
    config: EvalConfig = EvalConfig(),
    progress: Progress = SILENT,
) -> EvalReport:
    """Judge a dictionary (one that reads raw activations) on the cache's held-out documents.

    tokens: other text for the cross-entropies, all of it fair game; by default the held-out rows of the cache's own.
    config: its fields are keywords too. Raises BadInput where sites or widths do not fit, or no document was held out.

    >>> report = ow.evaluate(model, transcoder, cache)
    >>> 0 < report.fvu < 1  # of variance left unexplained: 0 is perfect, 1 is what a constant does
    True
    """
    return evaluate_many(model, [dictionary], cache, tokens, config=config, progress=progress)[0]


@takes_fields("config", EvalConfig)
def evaluate_many(
    model: "TransformerBridge",
    dictionaries: Sequence[AnyDictionary],
    cache: "Cache",
    tokens: "TokenSet | None" = None,
    *,
    config: EvalConfig = EvalConfig(),
    progress: Progress = SILENT,
) -> list[EvalReport]:
    """As `evaluate`, for several dictionaries of one cache at once, in the order given.

    They share one untouched pass over the text, the ablations and the affine map of equal sites, and one reading of the cache.

    >>> [report.l0 for report in ow.evaluate_many(model, [transcoder, transcoder], cache)]
    [8.0, 8.0]
    """
    if not dictionaries:
        return []
    start = time.perf_counter()
    reconstructed = _reconstructions(dictionaries, cache, progress)
    means = _training_means(cache, sorted({site for d in dictionaries for site in d.sites_out}))
    own = "given text" if tokens else "held-out text of the cache"
    documents = None if tokens else cache.manifest.facts["held_out_documents"]
    chosen = {own: (tokens or cache.tokens(), documents), **{n: (t, None) for n, t in (config.texts or {}).items()}}
    by_text: dict[str, list[dict[str, Any]]] = {}
    for name, (text, some) in chosen.items():
        rows = choose_rows(text, some, config.max_tokens, config.seed)
        found = losses(
            model, dictionaries, text.tokens[rows], text.special[rows], means, batch=config.batch, progress=progress
        )
        by_text[name] = [cross_entropies(one, text.doc[rows].numpy()) for one in found]
    seconds = (time.perf_counter() - start) / max(len(dictionaries), 1)
    each = [{name: found[i] for name, found in by_text.items()} for i in range(len(dictionaries))]
    return [_report(d, r, j, seconds) for d, r, j in zip(dictionaries, reconstructed, each, strict=True)]


def _reconstructions(dictionaries: Sequence[AnyDictionary], cache: "Cache", progress: Progress) -> list[dict[str, Any]]:
    """`reconstruction` of each dictionary; those of equal sites are judged in one reading of the cache."""
    groups: dict[tuple[Any, Any], list[int]] = {}
    for index, d in enumerate(dictionaries):
        groups.setdefault((d.sites_in, d.sites_out), []).append(index)
    found: dict[int, dict[str, Any]] = {}
    for members in groups.values():
        some = [dictionaries[i] for i in members]
        pairs, *_ = [pairs_for(cache, d) for d in some]
        affine = None if some[0].kind in _REBUILDS else fit_affine(pairs, progress)
        found |= dict(zip(members, reconstruction(some, affine, pairs, progress), strict=True))
    return [found[i] for i in range(len(dictionaries))]


def _training_means(cache: "Cache", sites: Sequence[str]) -> dict[str, Float[Tensor, " width"]]:
    """Means over ordinary tokens of the training documents: what a mean ablation may know of the text it is judged on. A live
    stream's are of its first block of training text."""
    if not hasattr(cache, "gather"):
        return {site: cache.mean(site) for site in sites}
    chosen = cache.eligible("train")
    sums = [torch.zeros(cache.width(site), dtype=torch.float64) for site in sites]
    for first in range(0, len(chosen), _MEAN_ROWS):
        found = cache.gather([cache.site(s) for s in sites], chosen[first : first + _MEAN_ROWS], torch.float32)
        for total, values in zip(sums, found, strict=True):
            total += values.sum(0, dtype=torch.float64)
    return {site: total / max(len(chosen), 1) for site, total in zip(sites, sums, strict=True)}


def fit_affine(pairs: Pairs, progress: Progress = SILENT) -> AffineMap:
    """The best affine map on the training documents."""

    def told(step: Any) -> Any:
        for pair in pairs.batches(8192):
            yield pair.inputs, pair.targets
            step(len(pair.inputs))

    with progress.stage("affine baseline", pairs.n_tokens, "tok") as step:
        return AffineMap().fit(told(step))


@torch.no_grad()
def reconstruction(
    dictionaries: Sequence[AnyDictionary], affine: AffineMap | None, pairs: Pairs, progress: Progress = SILENT
) -> list[dict[str, Any]]:
    """FVU, likeness, L0, dead share and densities on the held-out split, with the affine map's FVU and errors by document.

    Without an affine map (an SAE's would be the identity) its FVU is NaN.
    """
    n, sums = len(dictionaries), _DocumentSums(len(dictionaries) + 1)
    firing, likeness = [Firing.of(d.d_dict) for d in dictionaries], [Likeness() for _ in dictionaries]
    with in_inference(dictionaries), progress.stage("reconstruction", unit="tok") as step:
        for pair in pairs.batches(4096, split="held_out"):
            guesses = []
            for i, d in enumerate(dictionaries):
                recons, code = d.run(pair.inputs.to(d.W_enc))
                guesses.append(recons.to(pair.targets))
                firing[i].add(code.firings().cpu(), code.l0())
                likeness[i].update(pair.targets, guesses[i])
            baseline = affine.predict(pair.inputs) if affine else torch.full_like(pair.targets, torch.nan)
            sums.update(pair.targets, (*guesses, baseline), pair.documents)
            step(len(pair.inputs))
    fvus = [sums.fvu(i) for i in range(n + 1)]
    return [_reconstructed(fvus[i], fvus[n], firing[i], likeness[i], len(sums.parts)) for i in range(n)]


def _reconstructed(
    fvu: tuple[float, float], affine: tuple[float, float], firing: Firing, likeness: Likeness, documents: int
) -> dict[str, Any]:
    return {
        "fvu": fvu[0],
        "explained_variance": 1 - fvu[0],
        "fvu_affine": affine[0],
        "l0": firing.l0,
        "dead_share": firing.dead_share,
        **likeness.value,
        "density": firing.histogram(),
        "n_tokens": firing.n,
        "n_documents": documents,
        "errors": {"fvu": fvu[1], "explained_variance": fvu[1], "fvu_affine": affine[1]},
    }


class _DocumentSums:
    """Squared errors and squared deviations, document by document."""

    def __init__(self, n_models: int):
        self.n_models = n_models
        self.origin: Tensor | None = None
        self.parts: dict[int, list[Any]] = {}

    def update(self, targets: Tensor, recons: tuple[Tensor, ...], documents: np.ndarray) -> None:
        """Add tokens."""
        wanted = targets.double()
        if self.origin is None:  # centred before squaring, so that a large mean costs no precision
            self.origin = wanted.mean(0)
        about = wanted - self.origin
        errors = torch.stack([(wanted - r.double()).square().sum(1) for r in recons], 1)
        for document in np.unique(documents):
            rows = torch.from_numpy(documents == document)
            new = [int(rows.sum()), about[rows].sum(0), float(about[rows].square().sum()), errors[rows].sum(0)]
            old = self.parts.get(int(document))
            self.parts[int(document)] = new if old is None else [a + b for a, b in zip(old, new, strict=True)]

    def fvu(self, index: int) -> tuple[float, float]:
        """FVU of one model about the mean of everything seen, and its standard error."""
        n = np.array([p[0] for p in self.parts.values()])
        sums = torch.stack([p[1] for p in self.parts.values()])
        mean = sums.sum(0) / n.sum()
        squares = torch.tensor([p[2] for p in self.parts.values()], dtype=torch.float64)
        deviation = squares - 2 * sums @ mean + torch.from_numpy(n) * mean.square().sum()
        errors = np.array([float(p[3][index]) for p in self.parts.values()])
        return mean_and_error(errors, deviation.numpy())


def cross_entropies(by_token: ByToken, documents: np.ndarray) -> dict[str, Any]:
    """Mean cross-entropy and KL of each condition and the recovered shares, with standard errors by document, and by position."""
    groups = np.unique(documents)

    def per_document(values: np.ndarray) -> np.ndarray:
        return np.array([np.nansum(values[documents == g].astype(np.float64)) for g in groups])

    counts = per_document(np.isfinite(by_token.ce["clean"]).astype(float))
    keep = counts > 0
    sums = {name: per_document(values)[keep] for name, values in by_token.ce.items()}
    found: dict[str, Any] = {"errors": {}, "n_ce_tokens": int(counts.sum()), "n_ce_documents": int(keep.sum())}
    for name, total in sums.items():
        found[_SHORT[name]], found["errors"][_SHORT[name]] = mean_and_error(total, counts[keep])
    for name in ("zero", "mean"):
        key = f"ce_recovered_{name}"
        found[key] = ce_recovered(found["ce"], found["ce_spliced"], found[f"ce_{name}"])
        found["errors"][key] = mean_and_error(sums[name] - sums["spliced"], sums[name] - sums["clean"])[1]
    for name, values in by_token.kl.items():
        found[f"kl_{name}"], found["errors"][f"kl_{name}"] = mean_and_error(per_document(values)[keep], counts[keep])
    return found | {"by_position": by_position(by_token)}


def by_position(by_token: ByToken) -> dict[str, list[float | None]]:
    """Mean of each measure at each position (that of the token predicted from: 0 is the row's first); None where none counts."""
    columns = {_SHORT[n]: v for n, v in by_token.ce.items()} | {f"kl_{n}": v for n, v in by_token.kl.items()}
    seen = np.isfinite(by_token.ce["clean"]).sum(0)
    curves: dict[str, list[float | None]] = {"n": seen.tolist()}
    for name, values in columns.items():
        means = np.nansum(values.astype(np.float64), 0) / np.maximum(seen, 1)
        curves[name] = [float(m) if n else None for m, n in zip(means, seen, strict=True)]
    return curves


def _report(
    dictionary: AnyDictionary, recon: dict[str, Any], texts: dict[str, dict[str, Any]], seconds: float
) -> EvalReport:
    """texts: cross-entropies by name, the main one first."""
    (main, model), *others = texts.items()
    errors = {**recon.pop("errors"), **model.pop("errors")}
    return EvalReport(
        name=dictionary.name,
        kind=dictionary.kind,
        site_in=" + ".join(dictionary.sites_in),
        site_out=" + ".join(dictionary.sites_out),
        text=main,
        texts=dict(others),
        errors=errors,
        seconds=seconds,
        **recon,
        **model,
    )
