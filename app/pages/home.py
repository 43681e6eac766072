"""Home: write a prompt, see what runs, open what is stored. It follows the jobs, so what one makes appears by itself."""

from dash import Dash, Input, Output, State, dcc, html, no_update

from app.components import demos, promptbox
from app.components.cards import artifact_card
from app.components.parts import Parts, card, error, panel, title
from app.components.slot import waiting
from app.frame.shell import Page
from app.jobs.table import job_table, turn
from app.library import prompts
from app.library.artifacts import Library, library
from app.library.models import in_memory, models, short_model
from probe.artifacts.json import Json
from probe.doctor.stored_words import KINDS
from probe.model.aliases import DEFAULT
from probe.model.models_folder import model_cache
from probe.model.sizes import ModelSize, model_size
from probe.words import counted
from probe.words import size as in_bytes

_MOST = 6  # cards of a shelf, until it is asked for by name
_FEW = 2  # so many cards fill half a row


def layout(query: dict[str, str]) -> Parts:
    """The prompt box, then what is here. `shelf` in the address shows one kind of artifact whole."""
    lead = "Write a prompt and look at what the model does with it: layer by layer, head by head, unit by unit, and as a circuit."
    shelf = query.get("shelf") if query.get("shelf") in KINDS else None
    return [
        title("See the movement", lead=lead),
        promptbox.box_panel(),
        html.Div(running(), id="home-running", className="ow-stack"),
        html.Div(stored(shelf), id="home-stored", className="ow-stack"),
        dcc.Store(id="home-shelf", data=shelf),
        dcc.Store(id="home-mark", data=_mark(None)),
    ]


def running() -> Parts:
    """The demo, where it is offered or under way, and other jobs that run or wait."""
    active = job_table().active()
    parts = [demos.offered(library().empty)]
    others = sorted((j for j in active if not j.key.startswith("demo:")), key=turn)
    if others:
        body = [html.Div([waiting(j, linked=True) for j in others[:4]])]
        more = f"{len(others) - 4} more wait" if len(others) > 4 else None
        parts.append(panel("In progress", body, note=more, tools=dcc.Link("All jobs", href="/jobs"), export=False))
    return [p for p in parts if p is not None]


def stored(shelf: str | None = None) -> Parts:
    """Recent prompts, the shelves of artifacts, the models."""
    found = library()
    kinds = [shelf] if shelf else list(KINDS)
    there = [kind for kind in kinds if found.kinds[kind]]
    wide = [_shelf(k, found, 60 if shelf else _MOST) for k in there if shelf or len(found.kinds[k]) > _FEW]
    few = [_shelf(k, found, _MOST) for k in there if not shelf and len(found.kinds[k]) <= _FEW]
    shelves = [*_damaged(found), *wide, html.Div(few, className="ow-grid even") if few else None]
    return [p for p in (shelves if shelf else [_recent(), *shelves, _models()]) if p is not None]


def _recent() -> html.Section | None:
    found = prompts.recent(_MOST)
    every = dcc.Link("All", href="/p")
    return panel("Recent prompts", promptbox.prompt_cards(found), tools=every, export=False) if found else None


def _shelf(kind: str, found: Library, most: int) -> html.Section:
    """The newest artifacts of a kind, and a link to the others."""
    name, note = KINDS[kind]
    every = found.kinds[kind]
    cards = [artifact_card(kind, folder, manifest) for folder, manifest in every[:most]]
    tools, cut = None, f", the newest {most} of {len(every)}" if len(every) > most else ""
    if cut and most < 60:
        href = "/circuits" if kind == "graph" else f"/?shelf={kind}"
        tools = dcc.Link(f"All {len(every)}", href=href, refresh=href.startswith("/?"))
    return panel(name, html.Div(cards, className="ow-cards"), note=f"{note}{cut}", tools=tools, export=False)


def _damaged(found: Library) -> Parts:
    if not found.damaged:
        return []
    n, names = len(found.damaged), "; ".join(f"{name}: {reason}" for name, reason in found.damaged[:5])
    heading = f"{counted(n, 'stored artifact')} cannot be read"
    return [error(names, heading=heading, fix="`openwork doctor` names them all and says how to mend them.")]


# -- models ----------------------------------------------------------------------------------------------------------


def _models() -> html.Section:
    """The models the pages offer, where they are at the moment and what they take."""
    sizes = {name: model_size(name) for name in models()[:24]}
    cards = [
        card(short_model(name), size.shape if size else "", _whereabouts(name, size), title=name)
        for name, size in sizes.items()
    ]
    note = "Loaded when a page first needs one; at most two stay in memory"
    return panel("Models", html.Div(cards, className="ow-cards"), note=note, export=False)


def _whereabouts(name: str, size: ModelSize | None) -> str:
    """In memory, on disk or to be fetched; and about how much memory its weights take."""
    if name in ("toy",):
        place = "random weights, made in a moment"
    elif name == DEFAULT and not (model_cache() / name / "openwork.json").is_file():
        place = "fetched once when first used (93 MB)"
    else:
        place = "on disk" if size else "loaded when first used"
    state = "in memory" if in_memory(name) is not None else place
    return f"{state} · weights take {in_bytes(size.bytes)} in float32" if size and size.bytes else state


def _mark(now: Json | None) -> str:
    """Changes when a job has ended or a model was loaded: then what is stored may be more."""
    return f"{now['ended']} {now['last']} {now['models']}" if now else ""


def register(app: Dash) -> None:
    promptbox.register(app)
    demos.register(app)

    @app.callback(
        Output("home-running", "children"),
        Output("home-stored", "children"),
        Output("home-mark", "data"),
        Input("jobs", "data"),
        Input("cancelled", "data"),
        State("home-mark", "data"),
        State("home-shelf", "data"),
        prevent_initial_call=True,
    )
    def follow(now: Json | None, _: object, before: str, shelf: str | None):
        mark = _mark(now)
        return running(), stored(shelf) if before and mark != before else no_update, mark


PAGE = Page(r"/", "Home", layout, register)
