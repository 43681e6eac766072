"""Parts of a page that never change, drawn as one component.

Every Dash component listens to the whole page's state, so each one makes each change of the page slower. Most of them are
words that no callback touches. `still` gathers each such part into one component, which `assets/01-still.js` draws with React
as it would have been: half as many components on a page, and a third fewer calls in Dash's renderer until it stands.
"""

from copy import copy
from typing import cast

from dash import dcc
from dash.development.base_component import Component

from app.components.parts import Part, Parts

_HTML = "dash_html_components"
_CHANGED = {"n_clicks", "n_clicks_timestamp", "disable_n_clicks", "key"}  # asked for by who listens
_PLAIN = (str, int, float)


def still(part: Part | Parts) -> Part | list[Part]:
    """The same part of a page, with what cannot change in fewer components. The given one is left as it is."""
    if isinstance(part, (list, tuple)):
        return [cast(Part, still(one)) for one in part]
    if not isinstance(part, Component):
        return cast(Part, part)
    if _fixed(part) and _holds_components(part):
        return cast(Component, {"namespace": "openwork_still", "type": "Still", "props": {"tree": _tree(part)}})
    return _within(part)


def _within(part: Component) -> Component:
    """The part with its children made still. Those of a component that is no plain HTML stay: it may count on what they are."""
    children = getattr(part, "children", None)
    if children is None or isinstance(children, _PLAIN):
        return part
    able = still if part._namespace == _HTML else _grandchildren
    found = copy(part)
    found.children = able(children)
    return found


def _grandchildren(children: object) -> object:
    if isinstance(children, (list, tuple)):
        return [_grandchildren(one) for one in children]
    return _within(children) if isinstance(children, Component) else children


def _fixed(part: object) -> bool:
    """Can nothing but a new page change this? Plain HTML and links without an id."""
    if part is None or isinstance(part, _PLAIN):
        return True
    if isinstance(part, (list, tuple)):
        return all(_fixed(one) for one in part)
    if not isinstance(part, Component) or not (part._namespace == _HTML or isinstance(part, dcc.Link)):
        return False
    given = part.to_plotly_json()["props"]
    return "id" not in given and not _CHANGED & set(given) and _fixed(given.get("children"))


def _holds_components(part: Component) -> bool:
    return any(isinstance(one, Component) for one in _flat(getattr(part, "children", None)))


def _tree(part: object) -> object:
    """`[tag, properties, child, ...]`, texts as they are."""
    if not isinstance(part, Component):
        return part
    given = dict(part.to_plotly_json()["props"])
    children = _flat(given.pop("children", None))
    loads = given.pop("refresh", False)  # a link that loads its page anew is a plain one
    tag = ("a" if loads else "link") if isinstance(part, dcc.Link) else part._type.lower()
    return [tag, given, *(_tree(one) for one in children)]


def _flat(children: object) -> list[object]:
    """Children one by one, however they are nested; without those that are None."""
    if isinstance(children, (list, tuple)):
        return [found for one in children for found in _flat(one)]
    return [] if children is None else [children]
