"""One declared method: what it is, its form, what it found, how that was made, and what it found before.

The address holds the call (`app.methods.addresses`): whoever opens it finds the form filled, and the result if it is stored. The
page runs nothing by itself.
"""

from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app.components import drawn
from app.components.parts import Parts, error, icon, link_button, marked, panel, title
from app.components.slot import register_slot, slot
from app.frame.shell import Page
from app.jobs import work as jobs
from app.library.models import require_offered
from app.links import METHODS
from app.methods import addresses, drawing, form, view, work
from app.methods.addresses import BESIDE, LIKE
from app.methods.words import label
from probe.errors import BadInput, OpenworkError
from probe.methods.call import Call
from probe.methods.catalogue import method_named
from probe.methods.reading import Method

_NAME = "method"


def layout(name: str, query: dict[str, str]) -> Parts:
    """The form above, the result below."""
    about = method_named(name)
    said, key = "", None
    try:
        model, arguments = asked(about, query)
        call = addresses.call_of(about, model, arguments)
        key = jobs.given(work.key_for(call), work.WHAT) if call else None
    except OpenworkError as problem:
        model, arguments, said = "", {}, str(problem)
    every = link_button("All methods", METHODS, "methods", small=True)
    return [
        title(label(about.name), eyebrow=f"Methods · {about.group}", lead=marked(about.summary), actions=[every]),
        html.Div([_form(about, model, arguments, said), _about(about)], className="ow-grid two"),
        dcc.Store(id="method-asked"),
        slot(_NAME, key),
        view.result_view(_NAME, about, query.get(BESIDE, "")[:200], comes=key is not None),
        _earlier(about),
    ]


def asked(about: Method, query: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Model and arguments of the address, or of the stored result that it names. BadInput for what cannot be asked."""
    model, arguments = addresses.asked_in(about, query)
    if LIKE not in query:
        return model, arguments
    call = work.found(query[LIKE][:200]).call
    if call is None or call.method != about.name:
        raise BadInput(f"That result was not made by {about.name}, so its form cannot be filled from it.")
    return model or call.model, {**call.arguments, **arguments}


def _form(about: Method, model: str, arguments: dict[str, Any], said: str) -> Component:
    run = dmc.Button("Run", id="method-run", leftSection=icon("play", small=True))
    wrong = html.Div(error(said, heading="This cannot be asked") if said else None, id="method-wrong")
    hint = html.Span("Equal questions are asked once: what is stored is shown at once.", className="ow-sub")
    parts = [*form.form(about, model, arguments), wrong, html.Div([run, hint], className="ow-actions")]
    return panel("Ask", html.Div(parts, className="ow-stack ow-ask"), export=False)


def _about(about: Method) -> Component:
    """The rest of its docstring, and where it comes from."""
    more = [" ".join(part.split()) for part in about.about.split("\n\n")[1:]]
    paper = [html.P([html.Span("From ", className="ow-sub"), about.paper])] if about.paper else []
    names = html.Dl([p for k, v in _names(about) for p in (html.Dt(k), html.Dd(v))], className="ow-facts")
    return panel("What it is", [*[html.P(marked(one)) for one in more], *paper, names], export=False)


def _names(about: Method) -> list[tuple[str, Any]]:
    return [
        ("in Python", html.Code(f"ow.{about.function}(...)")),
        ("in the shell", html.Code(f"openwork {about.group} {about.name}")),
    ]


def _earlier(about: Method) -> html.Div:
    data = view.earlier(about)
    note = "Whoever made them: this page, Python, or the command line."
    shown = panel("Earlier results", drawn.rows("method-earlier", 420, data), note=note)
    return html.Div(shown, id="method-kept", hidden=not data["rows"])


def register(app: Dash) -> None:
    register_slot(app, _NAME)
    form.register(app)
    drawing.register(app)
    view.register(app, _NAME)
    drawn.register_rows(app, "method-earlier")
    app.clientside_callback(
        ClientsideFunction("openwork", "callInAddress"),
        Output("method-asked", "data-written"),
        Input("method-asked", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("method-key", "data", allow_duplicate=True),
        Output("method-wrong", "children"),
        Output("method-asked", "data"),
        Input("method-run", "n_clicks"),
        State("method-about", "data"),
        State(form.MODEL, "value"),
        *form.states(),
        prevent_initial_call=True,
    )
    def run(clicks: int | None, name: str, model: str | None, *filled: Any):
        if not clicks:
            return no_update, no_update, no_update
        try:
            about = method_named(name)
            call = asked_by(about, model, *filled)
            key = jobs.submit(work.work_of(call))
        except OpenworkError as problem:
            return no_update, error(str(problem), heading="This cannot be asked"), no_update
        query = addresses.query_of(call)
        return key, None, {k: query.get(k) for k in (*addresses.keys_of(about), LIKE)}

    @app.callback(
        Output("method-earlier-data", "data"),
        Output("method-kept", "hidden"),
        Input("method-done", "data"),
        State("method-about", "data"),
        prevent_initial_call=True,
    )
    def listed(done: str | None, name: str):
        data = view.earlier(method_named(name))
        return data, not data["rows"]


def asked_by(about: Method, model: str | None, *filled: Any) -> Call:
    """The call of what stands in the form."""
    return Call.checked(about.name, require_offered(model) if about.of_model else "", form.given(about, *filled))


PAGE = Page(r"/methods/(?P<name>[^/]+)", "Method", layout, register)
