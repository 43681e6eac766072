"""The address of two prompts side by side: it asks the method that compares them and goes to the method's page."""

from app.components.parts import Parts, moved
from app.frame.shell import Page
from app.library import prompts
from app.library.artifacts import read_by
from app.library.models import require_offered
from app.links import KEYS
from app.methods import addresses
from probe.methods.call import Call


def layout(identity: str, other: str, query: dict[str, str]) -> Parts:
    """What was selected goes along."""
    a, b = prompts.load(identity), prompts.load(other)
    model = require_offered(query.get("m") or a.model)
    asked = {"a": a.text, "b": b.text, "dictionaries": read_by(model)}
    call = Call.checked("compare-prompts", model, asked)
    chosen = {key: query[key][:80] for key in KEYS.values() if key in query and key not in ("m", "p")}
    return moved(addresses.address_of(call, run="1", **chosen))


PAGE = Page(r"/p/(?P<identity>[^/]+)/beside/(?P<other>[^/]+)", "Two prompts", layout)
