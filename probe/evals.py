"""Judge a dictionary on text it was not trained on: how much it reconstructs, how sparsely, and what the model makes of it.

Reconstruction is measured on the held-out documents of the cache, beside the best affine map fitted on the training documents:
a transcoder that does not beat it has found nothing nonlinear. Predictions are measured with the dictionary in the model
(see `splice_eval`) against zero and mean ablation. Every number says how many tokens are behind it, and its standard
error treats documents, not tokens, as independent.
"""

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from probe.dictionaries import AffineMap, Dictionary
from probe.html import table_html
from probe.metrics import Firing, ce_recovered, mean_and_error
from probe.pairs import Pairs, pairs_for
from probe.progress import SILENT, Progress
from probe.splice_eval import CONDITIONS, choose_rows, losses

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.cache import Cache
    from probe.tokens import TokenSet

CONVENTION = {
    "fvu": "squared error over squared deviation from the held-out mean, all dimensions together",
    "fvu_affine": "ridge regression on the training documents, judged on the same held-out tokens",
    "l0": "latents above 0 per token",
    "dead_share": "latents silent on all held-out tokens",
    "ce": "nats per next token; BOS and padding are neither replaced nor counted",
    "ce_recovered": "(ablated - spliced) / (ablated - clean)",
    "mean": "mean ablation and the standardiser use all ordinary tokens of the cache, its held-out documents included",
    "error": "standard error between documents (ratio estimator)",
}


@dataclass(frozen=True)
class EvalReport:
    """How good a dictionary is. errors and counts: standard error and tokens behind the measure of that name."""

    kind: str
    site_in: str
    site_out: str
    fvu: float
    fvu_affine: float
    l0: float
    dead_share: float
    ce: float
    ce_spliced: float
    ce_zero: float
    ce_mean: float
    ce_recovered_zero: float
    ce_recovered_mean: float
    n_tokens: int
    n_documents: int
    n_ce_tokens: int
    n_ce_documents: int
    errors: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    convention: dict[str, str] = field(default_factory=lambda: dict(CONVENTION))

    @property
    def beats_affine(self) -> bool:
        """Whether it explains more than the best affine map; False for an SAE, which has none to beat."""
        return self.fvu < self.fvu_affine

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; a number that could not be computed is None."""
        plain = {**asdict(self), "beats_affine": self.beats_affine}
        plain["errors"] = {k: v if np.isfinite(v) else None for k, v in self.errors.items()}
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in plain.items()}

    def rows(self) -> list[dict[str, Any]]:
        """One row per measure: value, standard error, tokens."""
        own = ("fvu", "fvu_affine", "l0", "dead_share")
        model = ("ce", "ce_spliced", "ce_zero", "ce_mean", "ce_recovered_zero", "ce_recovered_mean")
        counts = dict.fromkeys(own, self.n_tokens) | dict.fromkeys(model, self.n_ce_tokens)
        return [
            {"measure": k, "value": getattr(self, k), "standard error": self.errors.get(k), "tokens": n}
            for k, n in counts.items()
            if np.isfinite(getattr(self, k))
        ]

    def table(self) -> str:
        """The rows as aligned text."""
        lines = [f"{self.kind} {self.site_in} -> {self.site_out}"]
        for row in self.rows():
            error = row["standard error"]
            shown = f"± {error:.4f}" if error is not None and np.isfinite(error) else ""
            lines.append(f"{row['measure']:<18} {row['value']:>9.4f} {shown:<10} {row['tokens']:>9,} tokens")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return table_html(self.rows(), f"{self.kind} {self.site_in} → {self.site_out}")

    def figure(self) -> Any:
        """FVU beside the affine map's, and cross-entropy beside both ablations."""
        from probe.figures_dictionaries import eval_figure

        return eval_figure(self)


def evaluate(
    model: "TransformerBridge",
    dictionary: Dictionary,
    cache: "Cache",
    tokens: "TokenSet | None" = None,
    *,
    max_tokens: int = 4096,
    batch: int = 8,
    seed: int = 0,
    progress: Progress = SILENT,
) -> EvalReport:
    """Judge a dictionary (one that reads raw activations) on the cache's held-out documents.

    tokens: other text for the cross-entropies, all of it fair game; by default the held-out rows of the cache's own.
    max_tokens: tokens of text behind the cross-entropies (four forward passes each). batch: rows a forward pass.
    Raises BadInput where sites or widths do not fit, or no document was held out.
    """
    start = time.perf_counter()
    pairs = pairs_for(cache, dictionary)
    affine = None if dictionary.kind == "sae" else fit_affine(pairs, progress)
    found = reconstruction(dictionary, affine, pairs, progress)
    chosen = tokens or cache.tokens()
    rows = choose_rows(chosen, None if tokens else cache.manifest.facts["held_out_documents"], max_tokens, seed)
    by_token = losses(
        model,
        dictionary,
        chosen.tokens[rows],
        chosen.special[rows],
        cache.mean(dictionary.site_out),
        batch=batch,
        progress=progress,
    )
    return _report(dictionary, found, cross_entropies(by_token, chosen.doc[rows].numpy()), time.perf_counter() - start)


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
    dictionary: Dictionary, affine: AffineMap | None, pairs: Pairs, progress: Progress = SILENT
) -> dict[str, Any]:
    """FVU of dictionary and affine map, L0 and dead share on the held-out split, with standard errors by document.

    Without an affine map (an SAE's would be the identity) its FVU is NaN.
    """
    sums, firing = _DocumentSums(2), Firing.of(dictionary.d_dict)
    with progress.stage("reconstruction", unit="tok") as step:
        for pair in pairs.batches(4096, split="held_out"):
            x = pair.inputs.to(dictionary.W_enc)
            recons, code = dictionary.run(x)
            baseline = affine.predict(pair.inputs) if affine else torch.full_like(pair.targets, torch.nan)
            sums.update(pair.targets, (recons.to(pair.targets), baseline), pair.documents)
            firing.add(code.firings().cpu(), code.l0())
            step(len(x))
    (fvu, error), (fvu_affine, affine_error) = (sums.fvu(i) for i in range(2))
    return {
        "fvu": fvu,
        "fvu_affine": fvu_affine,
        "l0": firing.l0,
        "dead_share": firing.dead_share,
        "n_tokens": firing.n,
        "n_documents": len(sums.parts),
        "errors": {"fvu": error, "fvu_affine": affine_error},
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


def cross_entropies(by_token: dict[str, np.ndarray], documents: np.ndarray) -> dict[str, Any]:
    """Mean cross-entropy of each condition and the recovered shares, with standard errors by document."""
    groups = np.unique(documents)

    def per_document(values: np.ndarray) -> np.ndarray:
        return np.array([np.nansum(values[documents == g]) for g in groups])

    counts = per_document(np.isfinite(by_token["clean"]).astype(float))
    sums = {name: per_document(values.astype(np.float64)) for name, values in by_token.items()}
    keep = counts > 0
    found: dict[str, Any] = {"errors": {}, "n_ce_tokens": int(counts.sum()), "n_ce_documents": int(keep.sum())}
    for name in CONDITIONS:
        key = "ce" if name == "clean" else f"ce_{name}"
        found[key], found["errors"][key] = mean_and_error(sums[name][keep], counts[keep])
    for name in ("zero", "mean"):
        key = f"ce_recovered_{name}"
        found[key] = ce_recovered(found["ce"], found["ce_spliced"], found[f"ce_{name}"])
        harm = sums[name] - sums["clean"]
        found["errors"][key] = mean_and_error((sums[name] - sums["spliced"])[keep], harm[keep])[1]
    return found


def _report(dictionary: Dictionary, recon: dict[str, Any], model: dict[str, Any], seconds: float) -> EvalReport:
    errors = {**recon.pop("errors"), **model.pop("errors")}
    return EvalReport(
        kind=dictionary.kind,
        site_in=dictionary.site_in,
        site_out=dictionary.site_out,
        errors=errors,
        seconds=seconds,
        **recon,
        **model,
    )
