"""One declared method: what it is, its form, what it found, how that was made, and what it found before.

It is a block (`app.methods.block`) that asks for everything. The address holds the call (`app.methods.addresses`): whoever
opens it finds the form filled, and the result if it is stored. It runs nothing by itself, unless the address says so.
"""

from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app.components.parts import Parts, fact_list, link_button, marked, panel, title
from app.frame.shell import Page
from app.jobs import work as jobs
from app.links import METHODS
from app.methods import addresses, method_jobs
from app.methods.addresses import LIKE, RUN
from app.methods.block import Block
from app.selection import selection_from
from probe.errors import BadInput, OpenworkError
from probe.methods.catalogue import method_named
from probe.methods.in_words import label
from probe.methods.read_declarations import Method


def layout(name: str, query: dict[str, str]) -> Parts:
    """The form above, the result below, and last what the method's file says of it."""
    about = method_named(name)
    try:
        (model, arguments), wrong = asked(about, query), ""
        call = addresses.call_of(about, model, arguments)
        if call and RUN in query:
            jobs.submit(method_jobs.work_of(call))
    except OpenworkError as problem:
        model, arguments, wrong = "", {}, str(problem)
    selected = {
        name: value for name, value in selection_from(query).items() if name != "node"
    }  # `n` may be a parameter
    every = link_button("All methods", METHODS, "methods", small=True)
    return [
        title(label(about.name), eyebrow=f"Methods · {about.group}", lead=marked(about.summary), actions=[every]),
        dcc.Store(id="selection", data=selected),
        Block("method", name, key=None, title="Ask", note="").layout(model, arguments, query, wrong, _about(about)),
        _definitions(about),
    ]


def asked(about: Method, query: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """Model and arguments of the address, or of the stored result that it names. BadInput for what cannot be asked."""
    model, arguments = addresses.asked_in(about, query)
    if LIKE not in query:
        return model, arguments
    call = method_jobs.found(query[LIKE][:200]).call
    if call is None or call.method != about.name:
        raise BadInput(f"That result was not made by {about.name}, so its form cannot be filled from it.")
    return model or call.model, {**call.arguments, **arguments}


def _about(about: Method) -> Component:
    """The rest of its docstring, and where it comes from."""
    more = [" ".join(part.split()) for part in about.about.split("\n\n")[1:]]
    paper = [html.P([html.Span("From ", className="ow-sub"), about.paper])] if about.paper else []
    return panel("What it is", [*[html.P(marked(one)) for one in more], *paper, fact_list(_names(about))], export=False)


def _definitions(about: Method) -> Component:
    """In the lines of its file, since formulas and lists stand in columns."""
    return html.Details([html.Summary("Definitions"), html.Pre(about.definitions)], className="ow-code")


def _names(about: Method) -> list[tuple[str, Any]]:
    return [
        ("in Python", html.Code(f"ow.{about.function}(...)")),
        ("in the shell", html.Code(f"openwork {about.group} {about.name}")),
    ]


PAGE = Page(r"/methods/(?P<name>[^/]+)", "Method", layout)
