"""What else the page of patching asks, each by its own method: where a subject's facts are held, which positions may not be
looked at, and what single components say to others."""

from dash import Dash, Input, Output, State, html, no_update

from app.components.parts import Parts
from app.jobs import work
from app.methods.block import Block
from app.pages.patching.address import SIDES, Asked
from app.pages.patching.callbacks import MEASURED
from probe.artifacts.json import Json
from probe.methods.results import call_that_made

TRACED = Block(
    "patching-traced",
    "causal-tracing",
    fields=("subject", "target", "over", "window", "noise", "draws"),
    key="traced",
    title="Causal tracing",
    note="Of the clean prompt alone: noise on its subject, and one clean piece at a time put back.",
    of=("prompt",),
)
BLOCKED = Block(
    "patching-knockout",
    "knockout",
    fields=("sources", "readers", "target", "window", "random"),
    key="knockout",
    title="Attention knockout",
    note="Of the clean prompt alone: positions that may not be looked at, in a window of layers.",
    of=("prompt",),
)
PATHS = Block(
    "patching-paths",
    "path-patching",
    fields=("task", "n", "senders", "receivers", "direction", "free"),
    key="paths",
    title="Paths",
    note="On pairs of a task: what one component says to others, with what lies between held or free.",
    of=(),
)
OF_PROMPT = (TRACED, BLOCKED)


def beyond(asked: Asked, query: dict[str, str]) -> Parts:
    """A block each; those of the clean prompt follow it."""
    given = of_clean(asked.pair)
    of_prompt = [block.layout(asked.model, given, query) for block in OF_PROMPT]
    about = html.Div(of_prompt, id="patching-of-clean", className="ow-stack", hidden=not given)
    return [about, PATHS.layout(asked.model, {}, query)]


def of_clean(pair: Json) -> Json:
    """What the pair gives them."""
    return {"prompt": pair[SIDES[0]]} if SIDES[0] in pair else {}


def register(app: Dash) -> None:
    @app.callback(
        Output("patching-of-clean", "hidden"),
        *(Output(block.part("fixed"), "data") for block in OF_PROMPT),
        *(Output(block.part("about"), "data", allow_duplicate=True) for block in (*OF_PROMPT, PATHS)),
        Input(MEASURED.part("done"), "data"),
        *(State(block.part("about"), "data") for block in (*OF_PROMPT, PATHS)),
        prevent_initial_call=True,
    )
    def measured(done: str | None, *about: Json):
        """They are asked of what the two runs were asked of."""
        if done is None or (call := call_that_made(work.result(done))) is None:
            return (no_update,) * 6
        given = of_clean(call.arguments)
        return False, *([given] * len(OF_PROMPT)), *({**one, "model": call.model} for one in about)
