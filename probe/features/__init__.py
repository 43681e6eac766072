"""What each unit of a dictionary or an MLP does: examples, density, effects on the logits, neighbours; one table on disk."""

from importlib import import_module
from typing import Any

_HOMES = {
    "Example": "probe.features.unit",
    "FeatureConfig": "probe.features.config",
    "FeaturePlan": "probe.features.plan",
    "FeatureTable": "probe.features.table",
    "Found": "probe.features.search",
    "Label": "probe.features.labels",
    "Unit": "probe.features.unit",
    "UnitWeights": "probe.features.alone",
    "build_features": "probe.features.building",
    "import_labels": "probe.features.labels",
    "labels_of": "probe.features.labels",
    "open_features": "probe.features.table",
    "plan_features": "probe.features.plan",
    "set_label": "probe.features.labels",
    "unit_weights": "probe.features.alone",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used: pages read records without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'probe.features' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
