"""Parts of a page that never change: the same words in fewer components, and nothing that a callback touches among them."""

import re

import dash_mantine_components as dmc
import pytest
from dash import dcc, html
from dash.development.base_component import Component
from records import store_graph

from app.components.parts import copyable, panel, stat, store
from app.components.snippets import snippets
from app.components.still import still
from app.frame import shell
from app.pages import PAGES

HOSTILE = '</script><img src="x" onerror="boom()">'


def components(part) -> int:
    """How many components the browser has to keep."""
    if isinstance(part, (list, tuple)):
        return sum(components(one) for one in part)
    if isinstance(part, dict):
        return 1
    if not isinstance(part, Component):
        return 0
    return 1 + sum(components(getattr(part, name, None)) for name in part._prop_names)


def texts(part) -> list[str]:
    """All that stands between tags, in order."""
    if isinstance(part, dict):
        return texts_of_tree(part["props"]["tree"])
    if isinstance(part, (list, tuple)):
        return [text for one in part for text in texts(one)]
    if isinstance(part, Component):
        return [
            text
            for name in part._prop_names
            if name in ("children", "leftSection")
            for text in texts(getattr(part, name, None))
        ]
    return [] if part is None else [str(part)]


def texts_of_tree(tree) -> list[str]:
    if isinstance(tree, list):
        return [text for child in tree[2:] for text in texts_of_tree(child)]
    return [str(tree)]


def ids(part) -> set[str]:
    if isinstance(part, (list, tuple)):
        return {name for one in part for name in ids(one)}
    if not isinstance(part, Component):
        return set()
    own = {str(part.id)} if getattr(part, "id", None) is not None else set()
    return own | {name for prop in part._prop_names for name in ids(getattr(part, prop, None))}


def test_words_become_one_component():
    part = snippets("print('a')", "openwork lens")
    found = still(part)
    assert components(part) == 13 and components(found) == 1
    tree = found["props"]["tree"]
    assert tree[:2] == ["details", {"className": "ow-code"}] and texts(found) == texts(part)


def test_texts_stay_texts_and_properties_stay():
    found = still(html.Div([html.B(HOSTILE, title=HOSTILE), 3, None, [html.I("x"), "y"]], style={"marginTop": 4}))
    assert found["props"]["tree"] == [
        "div",
        {"style": {"marginTop": 4}},
        ["b", {"title": HOSTILE}, HOSTILE],
        3,
        ["i", {}, "x"],
        "y",
    ]


def test_what_a_callback_may_touch_stays_a_component():
    part = panel(
        "Title",
        [html.Div([html.P("one"), html.P("two")]), html.Div(html.Span("three"), id="mine"), store("mine-data")],
        tools=dmc.Button("Go", id="go"),
        foot=snippets("x = 1"),
    )
    before = components(part)
    found = still(part)
    assert ids(found) == ids(part) == {"mine", "mine-data", "go"} and texts(found) == texts(part)
    assert components(found) < components(part) == before, "the given one is left as it is"


@pytest.mark.parametrize("part", [html.Div(html.Span("a"), id="x"), html.Button(html.I("a"), n_clicks=0)])
def test_who_is_listened_to_is_no_still_part(part):
    found = still(part)
    assert type(found) is type(part) and texts(found) == texts(part)


def test_children_of_other_components_stay_what_they_are():
    """A tooltip needs the element it stands at."""
    found = still(dmc.Tooltip(html.Span([html.B("a"), html.I("b")]), label="c"))
    assert isinstance(found.children, html.Span) and texts(found) == ["a", "b"]
    inner = still(dmc.Paper([html.Div(html.P(html.B("a")))]))
    assert isinstance(inner.children[0], html.Div) and isinstance(inner.children[0].children, dict)


def test_links_are_kept():
    again = dcc.Link("again", href="/?all=1", refresh=True)
    found = still(html.P([stat("a", 1), dcc.Link("there", href="/units", refresh=False), again, copyable("ls")]))
    assert ["link", {"href": "/units"}, "there"] in found["props"]["tree"]
    assert ["a", {"href": "/?all=1"}, "again"] in found["props"]["tree"]


@pytest.mark.parametrize("path", ["/", "/circuits", "/circuits/small", "/units", "/jobs", "/training", "/p"])
def test_pages_say_the_same_in_fewer_components(path, home):
    store_graph("small")
    page, _ = shell.route(PAGES, path, "")
    kind = next(p for p in PAGES if re.fullmatch(p.pattern, path))
    laid = kind.layout(**re.fullmatch(kind.pattern, path).groupdict(), query={})
    assert ids(page) == ids(laid) and texts(page) == texts(laid)
    assert components(page.children) < components(laid) * (0.7 if path == "/circuits/small" else 1)


def test_a_store_without_data_announces_nothing():
    assert "data" not in store("a").to_plotly_json()["props"] and store("a", []).data == []
