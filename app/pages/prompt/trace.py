"""Tracing from the prompt hub: what the nodes are, how many, and what it will take, said before it starts."""

from collections.abc import Sequence

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from app.components.inputs import choose, count, write
from app.components.parts import icon, segmented
from app.library import memory, prompts, vocabulary
from app.library.models import require_offered
from app.library.trace_asked import MAX_NODES, TraceAsked, meant
from app.pages.prompt.trace_plan import MOST_NODES, chosen, newest, trace_plan, usable
from app.pages.prompt.work import start_trace
from probe.artifacts.manifest import Manifest
from probe.busy import on_this_machine
from probe.errors import BadInput
from probe.words import counted, duration, percent, prose, size


def trace_menu(model: str) -> html.Details:
    """The form that opens below 'Trace this prompt'."""
    there, learned = usable(model), newest(model)
    bases = [("neurons", "neurons")] + [("newest", "newest dictionaries"), ("chosen", "choose")] * bool(there)
    bases.append(("components", "MLPs and heads"))
    names = dmc.MultiSelect(
        id="trace-names",
        data=[{"value": one.name, "label": one.label} for one in there],
        placeholder="Dictionaries, one a layer",
        searchable=True,
        size="sm",
        comboboxProps={"withinPortal": False},
        style={"display": "none"},
        **{"aria-label": "Dictionaries to trace with"},
    )
    rules = {"step": 500, "size": "sm", "w": 130, "clampBehavior": "strict"}
    nodes = count("trace-nodes", MAX_NODES, "Nodes", least=1, most=MOST_NODES, over=True, **rules)
    hint = "none; all, or 3,5-7"
    heads = write("trace-heads", "Heads as nodes, of layers", hint=hint, over=True, size="sm")
    body = [
        html.H3("Trace its circuit"),
        html.Div(
            [
                _token("trace-target", "Explain", "what it predicts"),
                _token("trace-minus", "rather than", "(nothing)"),
            ],
            className="ow-fields",
        ),
        html.P(_words(there, learned), className="ow-sub"),
        segmented("trace-basis", bases, "neurons"),
        names,
        html.Div([nodes, heads], className="ow-fields"),
        html.Div(id="trace-plan", className="ow-partial", role="status"),
        html.Div(
            dmc.Button("Start tracing", id="trace", size="xs", leftSection=icon("play", small=True)),
            className="ow-actions",
        ),
    ]
    summary = html.Summary([icon("circuit", small=True), "Trace this prompt"])
    return html.Details([summary, html.Div(body, className="ow-popout-body")], className="ow-popout primary")


def _token(id: str, label: str, placeholder: str) -> dmc.Select:
    """A menu of the predictions, in which any other token is found by writing it."""
    rules = {"searchable": True, "clearable": True, "size": "sm", "w": 182, "comboboxProps": {"withinPortal": False}}
    return choose(id, (), None, label, over=True, placeholder=placeholder, nothingFoundMessage="Write a token", **rules)


def _words(there: Sequence[tuple[str, Manifest]], learned: list[str]) -> str:
    if not there:
        return "In the neuron basis: no stored dictionary of this model can stand in a graph."
    newest_ones = ", ".join(learned[:3]) or "none of them a transcoder"
    many = "One stored dictionary" if len(there) == 1 else f"{len(there)} stored dictionaries"
    return f"{many} can stand in a graph; the newest: {newest_ones}."


def predictions(model: str, text: str) -> list[tuple[int, str, float]]:
    """Ids, texts and probabilities of the likeliest next tokens, as far as the prompt was read."""
    lens = memory.known("lens", model, text)
    if lens is None:
        return []
    top = zip(lens.top_ids[-1, -1].tolist(), lens.top_tokens[-1][-1], lens.top_probs[-1, -1].tolist(), strict=True)
    return [(int(i), word, float(p)) for i, word, p in top]


def offered(model: str, text: str, typed: object, value: object = None) -> list[dict[str, str]]:
    """What a menu of tokens offers: the predictions with probabilities, what is chosen, and what answers to what was typed."""
    found = predictions(model, text)
    rows = {f"#{i}": f"{prose(word)} ({percent(p)})" for i, word, p in found}
    typed = typed[:80] if isinstance(typed, str) else ""
    if isinstance(value, str) and value and value not in rows:
        number = int(value[1:]) if value[:1] == "#" and value[1:].isdecimal() else None
        rows[value] = f"the token “{prose(vocabulary.token_text(model, number) or value)}”"
    if typed.strip() and typed not in rows.values():
        hits = vocabulary.found(model, typed, 8)
        more = {
            f"#{i}": f"the token “{prose(word)}”{'' if word[:1] == ' ' else ' without a space'}"
            for i, word in hits or []
        }
        rows |= {k: v for k, v in more.items() if k not in rows} or {typed: f"the token “{typed}”"}
    return [{"value": k, "label": v} for k, v in rows.items()]


def asked(model: str, text: str, form: Sequence[object]) -> TraceAsked:
    """What the form asks for. form: basis, names, nodes, heads, target, minus. BadInput for what cannot be."""
    basis, names, nodes, heads, target, minus = form
    most = MAX_NODES if nodes in (None, "") else nodes
    if isinstance(most, bool) or not isinstance(most, int) or not 0 < most <= MOST_NODES:
        raise BadInput(f"Give a whole number of nodes, from 1 to {MOST_NODES:,}.")
    wanted = chosen(model, basis, names)
    if basis in ("newest", "chosen") and not wanted:
        raise BadInput(
            "Choose at least one dictionary." if basis == "chosen" else "None of them is a transcoder; choose one."
        )
    known = [(i, word) for i, word, _ in predictions(model, text)]
    first, other = meant(target, known), meant(minus, known)
    if other is not None and first is None and known:
        first = known[0][0]  # the likeliest: `rather than Rome` asks why it is not Rome
    if other is not None and first == other:
        raise BadInput("Both tokens are the same; a difference is of two.")
    whole = "components" if basis == "components" else "auto"
    found = TraceAsked(most, wanted, whole, "" if basis == "components" else (heads or "").strip(), first, other)
    found.head_layers()
    return found


def plan_words(model: str, text: str, question: TraceAsked) -> tuple[str, bool]:
    """What the trace will take, and whether it may start."""
    lens = memory.known("lens", model, text)
    if lens is None:
        return "What it will take is known when the prompt has been read.", True
    try:
        plan = trace_plan(model, len(lens.tokens), question)
    except BadInput as error:
        return str(error), False
    if plan is None:
        return "What it will take is known when the model is loaded.", True
    return (
        f"{counted(plan.n_tokens, 'token')}, up to {counted(plan.n_units, 'unit')} and {plan.n_targets:,} × "
        f"{plan.n_columns:,} edges: {size(plan.bytes)} of memory, {took(plan.seconds)} {on_this_machine()}.",
        True,
    )


def took(seconds: float) -> str:
    """`about 5 s`, `under a second`."""
    return "under a second" if seconds < 1 else f"about {duration(seconds)}"


FORM = ("basis", "names", "nodes", "heads", "target", "minus")


def register(app: Dash) -> None:
    @app.callback(Output("trace-names", "style"), Output("trace-heads", "disabled"), Input("trace-basis", "value"))
    def choose(basis: str):
        return {} if basis == "chosen" else {"display": "none"}, basis == "components"

    @app.callback(
        Output("trace-plan", "children"),
        Output("trace", "disabled"),
        *[Input(f"trace-{name}", "value") for name in FORM],
        Input("ready", "data"),
        State("prompt-args", "data"),
    )
    def announce(*given: object):
        *form, _, args = given
        text = prompts.load(args["id"]).text
        try:
            words, may = plan_words(args["model"], text, asked(args["model"], text, form))
        except BadInput as error:
            words, may = str(error), False
        return words, not may

    for name in ("target", "minus"):

        @app.callback(
            Output(f"trace-{name}", "data"),
            Input("ready", "data"),
            Input(f"trace-{name}", "searchValue"),
            State(f"trace-{name}", "value"),
            State("prompt-args", "data"),
        )
        def offer(_: object, typed: str | None, value: str | None, args: dict[str, str]):
            return offered(args["model"], prompts.load(args["id"]).text, typed, value)

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("trace", "n_clicks"),
        *[State(f"trace-{name}", "value") for name in FORM],
        State("prompt-args", "data"),
        prevent_initial_call=True,
    )
    def trace(clicks: int | None, *given: object):
        *form, args = given
        return started(args, *form) if clicks else no_update


def started(
    args: dict[str, str],
    basis: str,
    names: list[str] | None,
    nodes: object,
    heads: object = "",
    target: object = "",
    minus: object = "",
) -> str:
    """Queue the trace; the page that shows it. BadInput where the plan beside the button says why not."""
    model, text = require_offered(args["model"]), prompts.load(args["id"]).text
    question = asked(model, text, (basis, names, nodes, heads, target, minus))
    words, may = plan_words(model, text, question)
    if not may:
        raise BadInput(words)
    return start_trace(model, text, question)
