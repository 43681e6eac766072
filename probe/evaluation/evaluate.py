"""Judge a dictionary on text it was not trained on: how much it reconstructs, how sparsely, and what the model makes of it.

Reconstruction is measured on the held-out documents of the cache, beside the best affine map fitted on the training documents:
a transcoder that does not beat it has found nothing nonlinear. Predictions are measured with the dictionary in the model
(see `splice_eval`) against zero and mean ablation. Every number says how many tokens are behind it, and its standard
error treats documents, not tokens, as independent. Several dictionaries of one cache share what they can (`evaluate_many`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.activations.cache import open_cache
from probe.dictionaries import load_dictionary
from probe.dictionaries.store import AnyDictionary
from probe.doc import Doc
from probe.evaluation.metrics import ce_recovered
from probe.evaluation.plan import EvalPlan, plan_evaluation
from probe.evaluation.reconstruction import fit_affine, reconstruction
from probe.evaluation.report import EvalReport
from probe.evaluation.splice import ByToken, choose_rows, losses
from probe.methods import CacheName, DictionaryName, method
from probe.plain_values import Settings, look_at_config, takes_fields
from probe.progress import SILENT, Progress
from probe.statistics import mean_and_error
from probe.text.documents import corpus
from probe.text.tokens import TokenSet, tokenize
from probe.training.pairs import pairs_for

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache
    from probe.methods import CorpusName

__all__ = ["EvalReport", "evaluate", "evaluate_many"]

_MEAN_ROWS = 1 << 14
_SHORT = {"clean": "ce", "spliced": "ce_spliced", "zero": "ce_zero", "mean": "ce_mean", "spliced_bos": "ce_spliced_bos"}
_REBUILDS = ("sae", "crosscoder")  # kinds that reconstruct what they read, so that an affine map would be the identity


@dataclass(frozen=True)
class EvalConfig(Settings):
    """On what a dictionary's cross-entropies are measured."""

    texts: "CorpusName | Sequence[CorpusName] | Mapping[str, TokenSet] | None" = None
    "Further texts on which they are measured too, like sample:NAME; Python may give rows of tokens by name."
    max_tokens: Annotated[int, Doc(least=1)] = 4096
    "Tokens of each text behind the cross-entropies."
    batch: Annotated[int, Doc(least=1)] = 8
    "Rows a forward pass."
    seed: Annotated[int, Doc(least=0)] = 0
    "Which rows of a text."

    def __post_init__(self) -> None:
        look_at_config(self)


def plan_evaluate(
    model: "TransformerBridge",
    dictionary: DictionaryName,
    cache: CacheName,
    tokens: TokenSet | None = None,
    *,
    texts: "Sequence[CorpusName]" = (),
    max_tokens: int = EvalConfig.max_tokens,
    batch: int = EvalConfig.batch,
    **rest: Any,
) -> EvalPlan:
    """What `evaluate` would take."""
    learned, n = opened(dictionary, cache, model), 1 + len(texts)
    return plan_evaluation(model, [learned[0]], learned[1], n_texts=n, max_tokens=max_tokens, batch=batch)


@method("evaluate", group="dictionaries", plan="plan_evaluate")
@takes_fields("config", EvalConfig)
def evaluate(
    model: "TransformerBridge",
    dictionary: Annotated[DictionaryName, Doc("The dictionary to judge; it reads raw activations.")],
    cache: Annotated[CacheName, Doc("The cache whose held-out documents judge it.")],
    tokens: Annotated[TokenSet | None, Doc("Other text for the cross-entropies.", in_python=True)] = None,
    *,
    config: EvalConfig = EvalConfig(),
    progress: Progress = SILENT,
) -> EvalReport:
    """How good a dictionary is: FVU, L0 and dead share on documents it was not trained on, and the model's loss with it in place.

    Beside FVU stands the best affine map's, beside the loss that of both ablations, and every number has its standard error. The
    cross-entropies are those of the cache's held-out rows; in Python, tokens are other rows for them, all of them fair game.
    Raises BadInput where sites or widths do not fit, or no document was held out.

    >>> report = ow.evaluate(model, transcoder, cache)
    >>> 0 < report.fvu < 1  # of variance left unexplained: 0 is perfect, 1 is what a constant does
    True
    """
    learned, source = opened(dictionary, cache, model)
    return evaluate_many(model, [learned], source, tokens, config=config, progress=progress)[0]


def opened(dictionary: DictionaryName, cache: CacheName, model: "TransformerBridge") -> "tuple[AnyDictionary, Cache]":
    """A dictionary and a cache, each given or named."""
    learned = load_dictionary(dictionary, model) if isinstance(dictionary, str) else dictionary
    return learned, open_cache(cache, model) if isinstance(cache, str) else cache


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
    others = further_texts(model, config.texts, cache, config.max_tokens)
    chosen = {own: (tokens or cache.tokens(), documents), **{n: (t, None) for n, t in others.items()}}
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


def further_texts(
    model: "TransformerBridge",
    texts: "CorpusName | Sequence[CorpusName] | Mapping[str, TokenSet] | None",
    cache: "Cache",
    max_tokens: int,
) -> dict[str, TokenSet]:
    """Texts by name; of those that were only named some rows, as wide as the cache's."""
    if isinstance(texts, Mapping):
        return dict(texts)
    context = cache.layout.context
    size = {"context": context, "max_tokens": max(4 * max_tokens, context)}
    named = [texts] if isinstance(texts, str) else texts or ()
    return {spec: tokenize(model, corpus(spec, seed=0), **size) for spec in named}


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
