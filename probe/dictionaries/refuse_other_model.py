"""A stored dictionary is refused where it belongs to another model, or to a layer or a width that this model does not have."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.artifacts.manifest import Manifest
from probe.artifacts.refuse_other_model import check_model
from probe.errors import BadInput
from probe.model.sites import parse_site, width

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def check_fit(folder: Path, manifest: Manifest, model: "TransformerBridge") -> None:
    """Refuse a dictionary of another model, or of a layer or width this model does not have."""
    from probe.model.load import stamp

    check_model(manifest, stamp(model), folder)
    for side in ("in", "out"):
        for name, have in zip(*ends_of(manifest.facts, side), strict=True):
            site = parse_site(name, model)
            if have != (want := width(site, model)):
                raise BadInput(f"{folder} has d_{side} {have}, but {site.short} is {want} wide in this model.")


def ends_of(facts: dict[str, Any], side: str) -> tuple[list[str], list[int]]:
    """Sites and widths of one side. Dictionaries stored before there were kinds with several sites name the only one."""
    if f"sites_{side}" in facts:
        return facts[f"sites_{side}"], facts[f"widths_{side}"]
    return [facts[f"site_{side}"]], [facts[f"d_{side}"]]
