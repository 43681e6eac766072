"""The record of an evaluation: every number with its standard error, its tokens and its convention."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from probe.artifacts.json import plain
from probe.model.sites import short_name
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import percent

CONVENTION = {
    "fvu": "squared error over squared deviation from the held-out mean, all dimensions together",
    "explained_variance": "1 - fvu",
    "fvu_affine": "ridge regression on the training documents, judged on the same held-out tokens",
    "shrinkage": "least-squares slope of reconstructions on targets, both about their means; below 1 they are too small",
    "norm_ratio": "mean over tokens of the length of the reconstruction over that of the target",
    "cosine": "mean over tokens",
    "relative_bias": "mean |recons|^2 / mean recons.target; 1 if no rescaling helps",
    "l0": "latents above 0 per token",
    "dead_share": "latents silent on all held-out tokens (n_tokens of them)",
    "density": "latents by log10 of the share of held-out tokens they fire on",
    "ce": "nats per next token; BOS and padding are neither replaced nor counted",
    "ce_spliced_bos": "the same with the first position (BOS, where there is one) replaced too",
    "ce_recovered": "(ablated - spliced) / (ablated - clean)",
    "kl": "KL divergence in nats of the changed prediction from the untouched one",
    "several_sites": "all sites written are replaced at once, from what was read in the untouched run",
    "mean": "mean ablation uses ordinary tokens of the training documents; the standardiser those of all the cache",
    "error": "standard error between documents (ratio estimator)",
}
OWN = (
    "fvu",
    "explained_variance",
    "fvu_affine",
    "l0",
    "dead_share",
    "shrinkage",
    "norm_ratio",
    "cosine",
    "relative_bias",
)
IN_MODEL = (
    "ce",
    "ce_spliced",
    "ce_zero",
    "ce_mean",
    "ce_spliced_bos",
    "ce_recovered_zero",
    "ce_recovered_mean",
    "kl_spliced",
    "kl_zero",
    "kl_mean",
    "kl_spliced_bos",
)

BULKY = ("by_position", "density", "texts", "convention", "probing", "letters", "tasks")
"""Fields of a report that a list of many leaves out."""


def without_bulky(plain: dict[str, Any]) -> dict[str, Any]:
    """A report's numbers without its long tables, as lists of reports show it."""
    return {name: value for name, value in plain.items() if name not in BULKY}


def meaning(measure: str) -> str:
    """What a measure is, in the words of its convention: `ce_recovered_zero on sotu` is a `ce_recovered`."""
    name = measure.partition(" ")[0]
    return next((CONVENTION[n] for n in (name, name.rpartition("_")[0], name.partition("_")[0]) if n in CONVENTION), "")


@dataclass(frozen=True)
class EvalReport(Record, figure=True, page=True):
    """How good a dictionary is. errors and counts: standard error and tokens behind the measure of that name.

    text: what the cross-entropies were measured on; texts: the same measures on further texts, by name.
    """

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
    name: str = ""
    explained_variance: float = float("nan")
    shrinkage: float = float("nan")
    norm_ratio: float = float("nan")
    cosine: float = float("nan")
    relative_bias: float = float("nan")
    ce_spliced_bos: float = float("nan")
    kl_spliced: float = float("nan")
    kl_zero: float = float("nan")
    kl_mean: float = float("nan")
    kl_spliced_bos: float = float("nan")
    density: dict[str, Any] = field(default_factory=dict)
    by_position: dict[str, list[float | None]] = field(default_factory=dict)
    text: str = ""
    texts: dict[str, dict[str, Any]] = field(default_factory=dict)
    convention: dict[str, str] = field(default_factory=lambda: dict(CONVENTION))

    @property
    def beats_affine(self) -> bool:
        """Whether it explains more than the best affine map; False for an SAE, which has none to beat."""
        return self.fvu < self.fvu_affine

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; a number that could not be computed is None."""
        return plain({**asdict(self), "beats_affine": self.beats_affine})

    def in_lists(self) -> dict[str, Any]:
        """All but the long tables: what each position cost, the density of every latent."""
        return without_bulky(self.to_dict())

    def panels(self) -> list[Panel]:
        """Reconstruction and loss beside what they are compared with; every measure; how often latents fire; loss by place."""
        measures = [{**row, "what it is": meaning(row["measure"])} for row in self.rows()]
        found: list[Panel] = [Figure("Beside what it is compared with", self.figure), Rows("Measures", measures)]
        if self.density:
            found.append(Figure("How often latents fire", self.density_figure))
        if self.by_position:
            found.append(Figure("Cross-entropy by position", self.position_figure))
        return [*found, Sentence(self.summary())]

    def rows(self) -> list[dict[str, Any]]:
        """One row per measure: value, standard error, tokens; measures on further texts say which."""
        own = self._rows(OWN, vars(self), self.n_tokens)
        found = [*own, *self._rows(IN_MODEL, vars(self), self.n_ce_tokens)]
        for name, other in self.texts.items():
            found += self._rows(IN_MODEL, other, other["n_ce_tokens"], f" on {name}")
        return found

    @staticmethod
    def _rows(
        names: tuple[str, ...], values: dict[str, Any], tokens: int, suffix: str = ""
    ) -> Iterator[dict[str, Any]]:
        for name in names:
            if np.isfinite(value := values.get(name, float("nan"))):
                error = values["errors"].get(name)
                yield {"measure": name + suffix, "value": value, "standard error": error, "tokens": tokens}

    def table(self) -> str:
        """The rows as aligned text."""
        lines = [f"{self.kind} {self.site_in} -> {self.site_out}"]
        for row in self.rows():
            error = row["standard error"]
            shown = f"± {error:.4f}" if error is not None and np.isfinite(error) else ""
            lines.append(f"{row['measure']:<18} {row['value']:>9.4f} {shown:<10} {row['tokens']:>9,} tokens")
        return "\n".join(lines)

    def summary(self) -> str:
        """One sentence: how faithful, how sparse, how much of the model's loss comes back."""
        back = (
            ""
            if np.isnan(self.ce_recovered_zero)
            else f", CE recovered {percent(self.ce_recovered_zero)} (against zero)"
        )
        ends = (
            f"{short_name(self.site_in)} → {short_name(self.site_out)}"
            if self.site_out != self.site_in
            else short_name(self.site_in)
        )
        return (
            f"{self.kind} at {ends}: FVU {self.fvu:.4f}, L0 {self.l0:.4g}, {percent(self.dead_share)} dead{back}; "
            f"{self.n_tokens:,} tokens."
        )

    def density_figure(self) -> Any:
        """How many latents fire how often."""
        from probe.evaluation.curves_figures import density_figure

        return density_figure(self)

    def position_figure(self) -> Any:
        """Cross-entropy of each condition by position."""
        from probe.evaluation.curves_figures import position_figure

        return position_figure(self)
