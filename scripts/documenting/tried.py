"""A method tried on the toy model, with an argument for every parameter that it needs: what its page shows of it.

What asks for something stored is tried on what `stored` has.
"""

from collections.abc import Iterator
from typing import Any

from probe.errors import OpenworkError
from probe.methods.call import Call
from probe.methods.kinds import KINDS
from probe.methods.plain_kinds import Number
from probe.methods.read_declarations import Method, Parameter
from probe.show.panels import Figure, Tokens, unfolded
from scripts.documenting.small_svg import small_svg
from scripts.documenting.stored import SMALL

PROMPT = "The capital of France is"
GIVEN: dict[str, Any] = {
    "prompt": PROMPT,
    "token": " Paris",
    "unit": "L1N7",
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
    "head": "L1H0",
    "graphs": ["france", "italy"],
}


def example(about: Method, model: str, node: str = "L5N120@3") -> Call | None:
    """A call with what it needs and nothing else; None where it cannot be told what that is. node: of the graph `france`."""
    given = {}
    for p in about.parameters:
        if p.required:
            value = next((one for one in _values(p, node) if _fits(p, one)), None)
            if value is None:
                return None
            given[p.name] = [value] if p.several and not isinstance(value, list) else value
    return Call.checked(about, model, given)


def _values(p: Parameter, node: str) -> Iterator[Any]:
    """What might be given, the likeliest first."""
    if p.kind == KINDS["GraphName"] and not p.several:
        yield "italy" if p.name == "b" else "france"
    if p.kind.control == "stored" and not p.several:
        yield SMALL
    yield BY_NAME.get(p.name)
    yield GIVEN.get(p.kind.control)
    if isinstance(p.kind, Number):
        yield p.kind.example
    if p.name in ("node", "target"):
        yield node


def _fits(p: Parameter, value: Any) -> bool:
    """Whether a value, or each of several, is of a parameter's kind."""
    try:
        for one in value if p.several and isinstance(value, list) else [value]:
            p.kind.check(one)
    except (ValueError, TypeError, KeyError):
        return False
    return value is not None


def tried(about: Method, node: str = "") -> tuple[Any, str]:
    """The record of the example on the toy model, or None and why there is none."""
    call = example(about, "toy", node)
    if call is None:
        return None, "There is no small example of it, so there is no picture of it here."
    try:
        from probe.model.load import load_model

        return call.run(load_model("toy") if about.of_model else None), ""
    except OpenworkError as error:
        return None, f"On the toy model it says: {error}"


def picture(record: Any) -> str:
    """The first picture of a record as small SVG; "" where it has none."""
    panels = unfolded(record.panels())
    for panel in panels:
        if isinstance(panel, Figure) and (drawn := small_svg(panel.draw())):
            return drawn
    return next((strip(panel) for panel in panels if isinstance(panel, Tokens)), "")


def strip(panel: Tokens) -> str:
    """A strip of tokens as bars."""
    import plotly.graph_objects as go

    return small_svg(go.Figure(go.Bar(y=list(panel.values), marker={"color": "#e08a1e"})))
