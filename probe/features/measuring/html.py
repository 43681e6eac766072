"""A plan of a feature table in a notebook."""

from probe.features.measuring.plan import FeaturePlan
from probe.show.beside import shows
from probe.show.html import plan_html


@shows
def feature_plan_html(plan: FeaturePlan) -> str:
    """Time and space, before they are taken."""
    return plan_html(plan.to_dict(), "Feature plan")
