"""A method tried on the toy model, with an argument for every parameter that it needs: what its page shows of it.

What asks for something stored (a dictionary, a graph) is not tried; its page says so.
"""

from typing import Any

from probe.errors import OpenworkError
from probe.methods.call import Call
from probe.methods.reading import Method
from probe.show.panels import Figure, Tokens
from scripts.documenting.small_svg import small_svg

PROMPT = "The capital of France is"
GIVEN: dict[str, Any] = {
    "prompt": PROMPT,
    "token": " Paris",
    "unit": "L1H0",
    "layers": "all",
    "switch": True,
}
"""By how a form would ask (`Kind.control`)."""
BY_NAME = {
    "clean": "When Mary and John went to the store, John gave a drink to",
    "corrupted": "When Mary and John went to the store, Mary gave a drink to",
    "changes": "zero:L1H0",
    "prompt_a": PROMPT,
    "prompt_b": "The capital of Italy is",
    "a": PROMPT,
    "b": "The capital of Italy is",
    "name": "two-circuits",
}


def example(about: Method, model: str) -> Call | None:
    """A call with what it needs and nothing else; None where something stored would be needed."""
    given = {}
    for p in about.parameters:
        if p.required:
            value = BY_NAME.get(p.name, GIVEN.get(p.kind.control))
            if value is None:
                return None
            given[p.name] = [value] if p.several else value
    return Call.checked(about.name, model, given)


def tried(about: Method) -> tuple[Any, str]:
    """The record of the example on the toy model, or None and why there is none."""
    call = example(about, "toy")
    if call is None:
        return None, "It reads something stored, so there is no picture of it here."
    try:
        from probe.model.load import load_model

        return call.run(load_model("toy") if about.of_model else None), ""
    except OpenworkError as error:
        return None, f"On the toy model it says: {error}"


def picture(record: Any) -> str:
    """The first picture of a record as small SVG; "" where it has none."""
    for panel in record.panels():
        if isinstance(panel, Figure) and (drawn := small_svg(panel.draw())):
            return drawn
        if isinstance(panel, Tokens):
            return strip(panel)
    return ""


def strip(panel: Tokens) -> str:
    """A strip of tokens as bars."""
    import plotly.graph_objects as go

    return small_svg(go.Figure(go.Bar(y=list(panel.values), marker={"color": "#e08a1e"})))
