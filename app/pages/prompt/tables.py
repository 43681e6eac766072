"""The numbers and rows of the prompt hub: plain data from records, no components."""

from typing import TYPE_CHECKING

from app.components.drawn import Drawn
from app.components.plain_rows import row_data
from app.methods.result_links import unit_links
from app.selection import Selection, chosen_head, position

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns
    from probe.lens.logit import LensResult
    from probe.neurons.strongest import TopUnits


def complete(selection: Selection, lens: "LensResult", heads: "HeadPatterns") -> Selection:
    """A selection with nothing missing and nothing out of range."""
    layer = selection.get("layer")
    chosen = {**selection, "token": position(selection, lens)}
    if not (isinstance(layer, int) and 0 <= layer < len(lens.layers)):
        chosen["layer"] = len(lens.layers) - 1
    if heads is not None:
        chosen["head"] = "{}.{}".format(*chosen_head(selection, heads))
    return chosen


def next_rows(lens: "LensResult", at: int, layer: int | None) -> tuple[Drawn, str]:
    """The likeliest next tokens at one layer and position, and the sentence that says which."""
    row = layer if isinstance(layer, int) and 0 <= layer < len(lens.layers) else len(lens.layers) - 1
    label = lens.layers[row]
    where = f"as read at {'the embedding' if label == 'embed' else f'layer {label}'}"
    said = "by the whole model (last layer)" if row == len(lens.layers) - 1 else where
    return row_data("Next tokens", lens.next_tokens(at, row)), f"After position {at}, {said}."


def unit_rows(units: "TopUnits", at: int, model: str = "", prompt: str = "") -> Drawn:
    """Units at one position, strongest first; each opens its page, with the prompt and the token kept."""
    rows = sorted(units.rows(at), key=lambda row: -row["write"])
    link = unit_links(model, prompt, token=at) if model else None
    return {**row_data("Strongest units", rows, link), "note": "" if rows else "No unit writes anything here."}
