"""A cache and a plan of a harvest in a notebook."""

from probe.activations.cache import Cache
from probe.activations.plan import HarvestPlan
from probe.show.beside import shows
from probe.show.html import plan_html, table_html


@shows
def cache_html(cache: Cache) -> str:
    """What it holds of each site, and how large its activations are."""
    what = f"{cache.n_tokens:,} tokens of {cache.model_name}, {cache.layout.dtype}"
    return table_html(cache.site_rows(), f"{cache.folder.name}: {what}")


@shows
def harvest_plan_html(plan: HarvestPlan) -> str:
    """Time and space, before they are taken."""
    return plan_html(plan.to_dict(), "Harvest plan")
