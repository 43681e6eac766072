"""The public names of `probe.features`, with their types; see `probe.public`."""

from probe.features.by_weights import UnitWeights as UnitWeights
from probe.features.by_weights import unit_weights as unit_weights
from probe.features.labels import Label as Label
from probe.features.labels import import_labels as import_labels
from probe.features.labels import labels_of as labels_of
from probe.features.labels import set_label as set_label
from probe.features.measuring.build import build_features as build_features
from probe.features.measuring.config import FeatureConfig as FeatureConfig
from probe.features.measuring.plan import FeaturePlan as FeaturePlan
from probe.features.measuring.plan import plan_features as plan_features
from probe.features.search import Found as Found
from probe.features.table import FeatureTable as FeatureTable
from probe.features.table import open_features as open_features
from probe.features.unit import Example as Example
from probe.features.unit import Unit as Unit
