"""The form of a method, made from the kinds of its parameters: a box, a pick, a number within its bounds, a switch, a choice.

    form(at, about, model, arguments)        its parts, filled; `at` tells it from other forms of a page
    register(app)                            what they do, of every form
    given(about, *filled)                    from what stands in them (`states`) to a call's arguments

A field is empty where its parameter stands at its default, which it shows in grey.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app.components.inputs import Options, choose, choose_model, count, offered, write
from app.components.parts import Parts, marked
from app.components.promptbox import EXAMPLES
from app.library import prompts
from app.library.artifacts import corpora, library
from app.library.graphs import is_of_task
from app.library.models import model_of_stored
from app.methods import token_box
from app.methods.token_box import MODEL, TOKEN
from circuits.studies.catalogue import studies
from probe.methods import in_words as words
from probe.methods.form_fields import OTHER, arguments_of, parts_of, texts_of
from probe.methods.kinds import KINDS, STORED
from probe.methods.plain_kinds import Choice, Kind, Number
from probe.methods.read_declarations import Asks, Parameter
from probe.methods.result_kinds import ResultKind
from probe.methods.results import held_by, stored_in, words_of
from probe.tasks.catalogue import TASKS

_OFFERED: dict[Kind, Callable[[str], Options]] = {
    **{kind: lambda model, kind=kind, name=name: _stored(kind, name, model) for kind, name in STORED.items()},
    KINDS["CorpusName"]: lambda _: corpora(),
    KINDS["StudyName"]: lambda _: [one.name for one in studies()],
    KINDS["TaskName"]: lambda _: list(TASKS),
}
"""What to pick from, of kinds that are asked for by name, for a model where the page gives one."""
_HINTS = {
    "layers": "all, or like 3,5-7",
    "unit": "like L5H3 or L5N120",
    "token": "its text, or id:504",
    "prompt": "Write a prompt",
}
_RECENT, _WIDEST = 4, 90  # prompts offered below a box; characters of one
Filled = Mapping[str, Any]
FIELD, SWITCH, EXAMPLE, KEPT = "ask", "ask-switch", "ask-example", "ask-kept"
_LOADED = "It is loaded when it is first needed."
OF_TASK = " · components of a task"
"""Behind the name of a graph that has no prompt: few methods take one."""
_BRINGS = {"graph": "graph", "circuit": "result", "scores": "result"}
"""Parameters that name what is of a model, and the kind of what they name."""


def form(at: str, about: Asks, model: str, arguments: Filled, only: Sequence[str] | None = None) -> Parts:
    """What the method needs, the model, and below them what it may be told. only: fields of these parameters, where the page
    gives the others, and perhaps the model."""
    shown = [p for p in about.parameters if only is None or p.name in only]
    kept = {p.name: _kept(p, arguments[p.name]) for p in shown if _holds_more(p, arguments.get(p.name))}
    asks = about.of_model and (only is None or not model or "model" in only)
    model = model or next(filter(None, (model_of_stored(*one) for one in stored_in(about, arguments))), "")
    name = {"type": MODEL, "at": at}
    chosen = [choose_model(name, model, over=True, description=_LOADED) if asks else dcc.Store(id=name)]
    narrow = controls(at, [p for p in shown if not _wide(p)], arguments, "" if asks else model)
    wide = {p: _box(at, p, arguments.get(p.name)) for p in shown if _wide(p)}
    first = [p for p in wide if p.required or p.kind.control == "prompt"]
    return [
        dcc.Store(id={"type": KEPT, "at": at}, data=kept),
        *[part for p in first for part in wide[p]],
        html.Div([*chosen, *narrow], className="ow-asks" if asks or narrow else ""),
        *[part for p in wide if p not in first for part in wide[p]],
    ]


def controls(at: str, parameters: Sequence[Parameter], arguments: Filled, model: str = "") -> Parts:
    """The fields of some parameters, for a form whose other parts are elsewhere on the page. model: whose artifacts are offered,
    by default all."""
    return [part for p in parameters for part in _controls(at, p, arguments.get(p.name), model)]


def register(app: Dash) -> None:
    """Examples fill their box; what is written for a token is looked up in the vocabulary; a graph, a circuit or scores that
    are chosen bring their model."""
    token_box.register(app)
    for of, kind in _BRINGS.items():
        _register_model(app, of, kind)
    app.clientside_callback(
        ClientsideFunction("openwork", "example"),
        Output({"type": FIELD, "at": MATCH, "of": MATCH, "part": ""}, "value"),
        Input({"type": EXAMPLE, "at": MATCH, "of": MATCH, "index": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )


def _register_model(app: Dash, of: str, kind: str) -> None:
    @app.callback(
        Output({"type": MODEL, "at": MATCH}, "value", allow_duplicate=True),
        Input({"type": FIELD, "at": MATCH, "of": of, "part": ""}, "value"),
        prevent_initial_call=True,
    )
    def model_of(name: str | None):
        return model_of_stored(kind, name or "") or no_update


def states(at: Any = MATCH) -> list[State]:
    """What a callback of any form, or of one, needs to know what stands in it, for `given`."""
    field = {"type": FIELD, "at": at, "of": ALL, "part": ALL}
    token, switch = {**field, "type": TOKEN}, {"type": SWITCH, "at": at, "of": ALL}
    read = [(field, "value"), (field, "id"), (token, "value"), (token, "id"), (switch, "checked"), (switch, "id")]
    return [*(State(name, what) for name, what in read), State({"type": KEPT, "at": at}, "data")]


def given(
    about: Asks,
    values: Sequence[Any],
    ids: Sequence[Filled],
    tokens: Sequence[Any],
    token_ids: Sequence[Filled],
    checked: Sequence[bool],
    switches: Sequence[Filled],
    kept: Filled | None,
) -> dict[str, Any]:
    """The arguments that a form asks for. BadInput names the field that holds what it cannot."""
    filled = {
        (str(name["of"]), str(name["part"])): value for name, value in zip([*ids, *token_ids], [*values, *tokens])
    }
    as_it_was = {n: plain for n, (shown, plain) in (kept or {}).items() if filled.get((n, "")) == shown}
    rest = {key: value for key, value in filled.items() if key[0] not in as_it_was}
    on = {str(name["of"]): bool(value) for name, value in zip(switches, checked)}
    known = {p.name for p in about.parameters if p.kind.control == "switch" and not p.several}
    return {**arguments_of(about, rest), **as_it_was, **{n: v for n, v in on.items() if n in known}}


# -- what no field can hold --------------------------------------------------------------------------------------------------


def _holds_more(p: Parameter, plain: Any) -> bool:
    return plain is not None and texts_of(p, plain) is None


def _kept(p: Parameter, plain: Any) -> list[Any]:
    return [f"({words.value(p, plain)})", plain]


def _text(p: Parameter, plain: Any, part: str = "") -> str:
    texts = texts_of(p, plain)
    return _kept(p, plain)[0] if texts is None else texts.get(part, "")


# -- one control -------------------------------------------------------------------------------------------------------------


def _wide(p: Parameter) -> bool:
    """Does it want the whole width?"""
    return p.kind.control == "prompt" or (p.several and p.kind not in _OFFERED)


def _about(p: Parameter) -> dict[str, Any]:
    """Label, sentence, and the mark of what must be given."""
    said = p.doc or ("" if p.kind.control == "prompt" else f"{p.kind.words.rstrip(',')}.")
    label = {"name": words.label(p.name), "over": True, "required": p.required, "size": "sm"}
    return {**label, **({"description": marked(said[:1].upper() + said[1:])} if said else {})}


def _field(at: str, p: Parameter, part: str = "") -> dict[str, str]:
    return {"type": FIELD, "at": at, "of": p.name, "part": part}


def _default(p: Parameter) -> str:
    if p.required or p.default is None:
        return _HINTS.get(p.kind.control, "")
    return str(_text(p, p.default)).replace("\n", ", ")


def _box(at: str, p: Parameter, plain: Any) -> Parts:
    """A box of several lines; for a prompt with those that were read last below it."""
    hint = "One a line" if p.several else _default(p)
    box = write(_field(at, p), value=_text(p, plain), hint=hint, lines=2, **_about(p))
    if p.kind.control != "prompt" or p.several:
        return [box]
    recent = [one.text for one in prompts.recent(_RECENT) if len(one.text) <= _WIDEST] or EXAMPLES
    names = [{"type": EXAMPLE, "at": at, "of": p.name, "index": i} for i in range(len(recent))]
    buttons = [html.Button(text, id=name, type="button", dir="auto") for text, name in zip(recent, names)]
    return [box, html.Div(buttons, className="ow-examples")]


def _controls(at: str, p: Parameter, plain: Any, model: str) -> Parts:
    if p.kind.control == "switch":
        on = p.default is True if plain is None else plain is True
        label = {"label": words.label(p.name), "size": "sm", "description": _about(p).get("description")}
        return [dmc.Switch(id={"type": SWITCH, "at": at, "of": p.name}, checked=on, **label)]
    if isinstance(p.kind, Number):  # what is out of its bounds is told, not changed
        bounds = {n: v for n, v in (("least", p.kind.least), ("most", p.kind.most)) if abs(v) != float("inf")}
        rules = {"placeholder": _default(p), "allowDecimal": not p.kind.whole, "clampBehavior": "none", **bounds}
        return [count(_field(at, p), plain, **rules, **_about(p))]
    if isinstance(p.kind, Choice) or p.kind in _OFFERED:
        return [_select(at, p, plain, model)]
    if p.kind.control != "token" or p.several:
        return [write(_field(at, p), value=_text(p, plain), hint=_default(p), **_about(p))]
    other = {"name": f"{words.label(p.name)}, minus", "description": "The token it is held against."}
    abouts = {"": _about(p), OTHER: {**other, "over": True, "size": "sm"}}
    return [
        token_box.token_box(
            _field(at, p, part),
            about.pop("name"),
            _text(p, plain, part),
            "none" if part else _default(p),
            **about,
        )
        for part, about in abouts.items()
        if part in parts_of(p)
    ]


def _select(at: str, p: Parameter, plain: Any, model: str) -> Component:
    """One of some words, or of what is stored here."""
    data = offered(p.kind.options if isinstance(p.kind, Choice) else _OFFERED[p.kind](model))
    if p.several:
        about = {key: value for key, value in _about(p).items() if key not in ("name", "over")}
        return dmc.MultiSelect(
            id=_field(at, p),
            data=data,
            value=[str(one) for one in plain or []],
            searchable=True,
            clearable=True,
            label=words.label(p.name),
            **about,
        )
    value = _text(p, p.default if plain is None and not p.required else plain)
    options = {one["value"]: one["label"] for one in data}
    if value:
        options.setdefault(value, value)
    rules = {"clearable": not p.required and p.default is None, "searchable": len(options) > 8}
    hint = "" if options else "none is stored here"
    return choose(_field(at, p), options, value or None, placeholder=hint, **rules, **_about(p))


def _stored(kind: Kind, name: str, model: str) -> Options:
    """What is stored, newest first; with a model, what is not of another one; of results, those that hold such, with what they
    were asked beside a name that somebody gave them."""
    kept = [(f, m) for f, m in library(name).kinds[name] if not model or m.model is None or m.model.name == model]
    if isinstance(kind, ResultKind):
        return {folder.name: words_of(m) for folder, m in kept if held_by(m) in kind.records}
    return {folder.name: f"{folder.name}{OF_TASK if is_of_task(m) else ''}" for folder, m in kept}
