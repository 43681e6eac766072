"""How much a dictionary reconstructs on held-out documents, beside the best affine map fitted on the training documents.

A transcoder that does not beat that map has found nothing nonlinear. Standard errors treat documents, not tokens, as independent.
"""

from collections.abc import Sequence
from typing import Any

import torch

from probe.dictionaries import AffineMap
from probe.dictionaries.store import AnyDictionary
from probe.evaluation.fvu import FVUByDocument
from probe.evaluation.metrics import Firing, Likeness
from probe.evaluation.splice import in_inference
from probe.progress import SILENT, Progress
from probe.training.pairs import Pairs


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
    n, sums = len(dictionaries), FVUByDocument(len(dictionaries) + 1)
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
