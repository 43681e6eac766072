"""The scores by which a search or an evaluation chooses, by the names of the methods that make them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from circuits.edge_attribution.attribute import (
    clean_corrupted,
    eap,
    eap_ig,
    eap_ig_activations,
    plan_clean_corrupted,
    plan_eap,
    plan_eap_ig,
    plan_eap_ig_activations,
)
from circuits.edge_attribution.plan import EdgePlan
from circuits.edge_attribution.relp import plan_relp, relp
from circuits.edge_attribution.scores import EdgeScores
from probe.errors import BadInput, brief
from probe.progress import SILENT, Progress
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

By = Literal["eap", "eap-ig", "eap-ig-activations", "clean-corrupted", "relp"]
_MAKE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "eap": (eap, plan_eap),
    "eap-ig": (eap_ig, plan_eap_ig),
    "eap-ig-activations": (eap_ig_activations, plan_eap_ig_activations),
    "clean-corrupted": (clean_corrupted, plan_clean_corrupted),
    "relp": (relp, plan_relp),
}


def edge_scores(model: "TransformerBridge", pairs: Pairs, by: str, progress: Progress = SILENT) -> EdgeScores:
    """Scores of every edge on these pairs."""
    return _made(by)[0](model, pairs, progress=progress)


def plan_scores(model: "TransformerBridge", pairs: Pairs, by: str) -> EdgePlan:
    """What they take."""
    return _made(by)[1](model, pairs)


def _made(by: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if by not in _MAKE:
        raise BadInput(
            f"There are no scores by {brief(by)}; choose {', '.join(_MAKE)}, or give stored ones as `scores`."
        )
    return _MAKE[by]
