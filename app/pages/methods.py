"""Every declared method: found by its words, in its group, with what it asks for, its paper and a small picture of its result."""

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from app import links
from app.components.inputs import write
from app.components.parts import Parts, empty, icon, marked, title
from app.components.still import still
from app.frame.shell import Page
from probe.methods import catalogue
from probe.methods.in_words import label, needs
from probe.methods.panel_sorts import sorts_of
from probe.methods.read_declarations import Method

_LONGEST = 200  # characters of a question


def layout(query: dict[str, str]) -> Parts:
    """The box that finds them, and all in their groups."""
    question = query.get("q", "")[:_LONGEST]
    lead = "Each of them is one function in Python, one command in the shell, and one form here; what any of them finds is kept."
    look = {"hint": "Find a method by a word of it, or by its paper", "leftSection": icon("search", small=True)}
    box = write("methods-q", "Find a method", question, debounce=200, size="sm", **look)
    key = dcc.Store(id="methods-address-key", data="q")
    return [title("Methods", lead=lead), key, box, html.Div(found(question), id="methods-found", className="ow-stack")]


def found(question: str) -> Parts:
    """The groups that have a method which holds every word of the question."""
    words = question.casefold().split()
    groups = {g: [m for m in many if all(w in _text(m) for w in words)] for g, many in catalogue.groups().items()}
    nothing = [empty("Nothing found", "No method holds these words. Fewer of them find more.")]
    return [_group(name, many) for name, many in groups.items() if many] or nothing


def _text(about: Method) -> str:
    return f"{about.name} {about.name.replace('-', ' ')} {about.group} {about.summary} {about.paper} {about.function}".casefold()


def _group(name: str, many: list[Method]) -> Component:
    cards = html.Div([_card(one) for one in many], className="ow-cards")
    return html.Section([html.H2(label(name), className="ow-group"), cards])


def _card(about: Method) -> dcc.Link:
    words = [
        html.Div(label(about.name), className="name"),
        html.P(marked(about.summary)),
        html.Div(about.paper, className="meta") if about.paper else None,
        html.Div(needs(about), className="meta"),
    ]
    shapes = [html.I(className=sort.lower()) for sort in (sorts_of(about) or ("Rows",))[:3]]
    picture = html.Div(shapes, className="ow-mini", **{"aria-hidden": "true"})  # drawn with style alone
    return dcc.Link([picture, html.Div(words)], href=links.method_page(about.name), className="ow-card ow-method")


def register(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "inAddress"),
        Output("methods-found", "data-asked"),
        Input("methods-q", "value"),
        State("methods-address-key", "data"),
        prevent_initial_call=True,
    )

    @app.callback(Output("methods-found", "children"), Input("methods-q", "value"), prevent_initial_call=True)
    def find(question: str | None):
        return still(found((question or "")[:_LONGEST]))


PAGE = Page(r"/methods", "Methods", layout, register)
