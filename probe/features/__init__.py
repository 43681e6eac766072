"""What each unit of a dictionary or an MLP does: examples, density, effects on the logits, neighbours; one table on disk."""

from probe.features.alone import UnitWeights, unit_weights
from probe.features.building import build_features
from probe.features.config import FeatureConfig
from probe.features.labels import Label, import_labels, labels_of, set_label
from probe.features.plan import FeaturePlan, plan_features
from probe.features.search import Found
from probe.features.table import FeatureTable, open_features
from probe.features.unit import Example, Unit

__all__ = [
    "Example",
    "FeatureConfig",
    "FeaturePlan",
    "FeatureTable",
    "Found",
    "Label",
    "Unit",
    "UnitWeights",
    "build_features",
    "import_labels",
    "labels_of",
    "open_features",
    "plan_features",
    "set_label",
    "unit_weights",
]
