"""What the lens page does: draws the lens, and what is followed, as they arrive, and moves them with the selection."""

from typing import TYPE_CHECKING

from dash import ClientsideFunction, Dash, Input, Output, State, no_update
from dash.development.base_component import Component

from app.components import drawn
from app.components.slot import register_slot
from app.components.snippets import shell_for, snippets
from app.components.tokenpick import register_token_pick
from app.figures.lens_follow import MOST, WINDOW, followed_lines, followed_map, height, lens_map, part_of
from app.jobs import work
from app.jobs.work import instead_of
from app.library import memory, prompts, vocabulary
from app.pages.lens import tables
from app.pages.lens.work import follow_work
from app.selection import Selection, position
from probe.lens.figures import QUANTITIES
from probe.show.html import shown

if TYPE_CHECKING:
    from probe.lens.follow import TokenThroughLayers
    from probe.lens.logit import LensResult


def register(app: Dash) -> None:
    for name in ("lens-all", "lens-follow"):
        register_slot(app, name)
    for rows in ("rows", "next", "followed"):
        drawn.register_rows(app, f"lens-{rows}")
    drawn.register_strip(app, "lens-strip")
    register_token_pick(app, "lens-pick")
    register_browser(app)
    register_lens(app)
    register_cell(app)
    register_follow(app)


def register_browser(app: Dash) -> None:
    """What needs no server: the address, clicks on maps, the two buttons."""
    address = ClientsideFunction("openwork", "lensAddress")
    inputs = (Input(f"lens-{name}", "value") for name in ("by", "extent", "quantity"))
    app.clientside_callback(address, Output("lens-by", "data-address"), Input("selection", "data"), *inputs)
    click = ClientsideFunction("openwork", "lensClick")
    for figure in ("lens-map", "lens-follow-map", "lens-lines"):
        app.clientside_callback(
            click, Output(figure, "data-clicked"), Input(figure, "clickData"), prevent_initial_call=True
        )
    follow = ClientsideFunction("openwork", "lensFollow")
    for which in tables.OWN:
        app.clientside_callback(
            follow,
            Output(f"lens-own-{which}", "data-pressed"),
            Input(f"lens-own-{which}", "n_clicks"),
            prevent_initial_call=True,
        )


def lens_of(args: dict[str, str] | None) -> "LensResult | None":
    """The lens, if it is in memory."""
    return memory.known("lens", args["model"], prompts.load(args["id"]).text) if args else None


def followed(args: dict[str, str], selection: Selection | None) -> "tuple[TokenThroughLayers | None, int]":
    """What is followed, if it is in memory, and its place in the record."""
    follow = tables.chosen_follow((selection or {}).get("follow"))
    found = work.result(follow_work(args["model"], prompts.load(args["id"]), follow).key)
    return found, 1 if follow == "next" else 0


def extent_of(lens: "LensResult", at: int, extent: str) -> tuple[slice, int]:
    """The part of the prompt to show, and how many positions share a column."""
    return part_of(len(lens.tokens), at, extent == "all")


def extent_words(lens: "LensResult", part: slice, block: int) -> str:
    """What of a long prompt is shown."""
    n = len(lens.tokens)
    if n <= WINDOW:
        return ""
    if block > 1:
        return f" {n:,} tokens, {block} to a column (at most {MOST} columns); each column shows its extreme."
    return f" Positions {part.start} to {part.stop - 1} of {n:,}."


def register_lens(app: Dash) -> None:
    """The tokens, and the map over all layers and positions."""

    @app.callback(
        Output("lens-strip-data", "data"),
        Output("selection", "data", allow_duplicate=True),
        Output("lens-extent-box", "hidden"),
        Input("lens-all-done", "data"),
        State("lens-args", "data"),
        State("selection", "data"),
        prevent_initial_call="initial_duplicate",
    )
    def tokens(_: object, args: dict[str, str], selection: Selection | None):
        if (lens := lens_of(args)) is None:
            return no_update, no_update, True
        data = drawn.strip_data(lens.tokens, lens.token_ids, lens.loss, label="loss", unit="nats")
        at = {"token": position(selection, lens), "layer": tables.chosen_layer(selection, lens)}
        return data, {**(selection or {}), **at}, len(lens.tokens) <= WINDOW

    @app.callback(
        Output("lens-map", "figure"),
        Output("lens-map", "style"),
        Output("lens-map-note", "children"),
        Input("lens-all-done", "data"),
        Input("selection", "data"),
        Input("lens-by", "value"),
        Input("lens-extent", "value"),
        State("scheme", "data"),
        State("lens-args", "data"),
    )
    def show(_: object, selection: Selection | None, colour: str, extent: str, scheme: str, args: dict[str, str]):
        if (lens := lens_of(args)) is None:
            return no_update, no_update, "What each layer would predict next if the model stopped there."
        at = position(selection, lens)
        part, block = extent_of(lens, at, extent)
        figure = lens_map(lens, colour, part, block, (tables.chosen_layer(selection, lens), at), scheme)
        style = {"height": height(len(lens.layers), part.stop - part.start), "width": "100%"}
        note = "What each layer would predict next if the model stopped there. Click a cell."
        return figure, style, note + extent_words(lens, part, block)


def register_cell(app: Dash) -> None:
    """One cell of the map, and its position at every layer."""

    @app.callback(
        Output("lens-rows-title", "children"),
        Output("lens-rows-data", "data"),
        Output("lens-cell-title", "children"),
        Output("lens-cell", "children"),
        Output("lens-next-data", "data"),
        Input("lens-all-done", "data"),
        Input("selection", "data"),
        State("lens-args", "data"),
    )
    def cell(_: object, selection: Selection | None, args: dict[str, str]):
        if (lens := lens_of(args)) is None:
            return "Layer by layer", no_update, "One cell", "", no_update
        at, layer = position(selection, lens), tables.chosen_layer(selection, lens)
        name, label = f"{shown(lens.tokens[at])} (position {at})", lens.layers[layer]
        where = "the embedding" if label == "embed" else f"layer {label}"
        words = tables.cell_words(lens, at, layer)
        return (
            f"After {name}, layer by layer",
            tables.layer_rows(lens, at, layer),
            f"After {name}, at {where}",
            words,
            tables.next_rows(lens, at, layer),
        )


def register_follow(app: Dash) -> None:
    @app.callback(
        Output("lens-follow-key", "data"),
        Input("selection", "data"),
        State("lens-args", "data"),
        State("lens-follow-key", "data"),
        prevent_initial_call=True,
    )
    def ask(selection: Selection | None, args: dict[str, str], before: str | None):
        follow = tables.chosen_follow((selection or {}).get("follow"))
        wanted = follow_work(args["model"], prompts.load(args["id"]), follow)
        return no_update if wanted.key == before else instead_of(before, wanted)

    @app.callback(
        {
            "title": Output("lens-follow-title", "children"),
            "lines_title": Output("lens-lines-title", "children"),
            "lines": Output("lens-lines", "figure"),
            "rows": Output("lens-followed-data", "data"),
            "map_title": Output("lens-follow-map-title", "children"),
            "map": Output("lens-follow-map", "figure"),
            "map_style": Output("lens-follow-map", "style"),
            "code": Output("lens-code", "children"),
        },
        Input("lens-follow-done", "data"),
        Input("lens-all-done", "data"),
        Input("selection", "data"),
        Input("lens-quantity", "value"),
        Input("lens-extent", "value"),
        State("scheme", "data"),
        State("lens-args", "data"),
    )
    def draw(
        _: object,
        __: object,
        selection: Selection | None,
        quantity: str,
        extent: str,
        scheme: str,
        args: dict[str, str],
    ):
        found, which = followed(args, selection)
        follow = tables.chosen_follow((selection or {}).get("follow"))
        name = followed_name(args["model"], follow)
        if found is None:
            waiting = "Being read; until then what was followed before stays below."
            kept = dict.fromkeys(("lines", "rows", "map_title", "map", "map_style", "code"), no_update)
            return {"title": f"Follow {name}", "lines_title": waiting, **kept}
        at, layer = position(selection, found), tables.chosen_layer(selection, found)
        part, block = extent_of(found, at, extent)
        return {
            "title": f"Follow {name}",
            "lines_title": f"After {shown(found.tokens[at])} (position {at})",
            "lines": followed_lines(found, at, quantity, layer, scheme),
            "rows": tables.follow_rows(found, which, at, layer),
            "map_title": f"{QUANTITIES[quantity].capitalize()} of {name} everywhere.{extent_words(found, part, block)}",
            "map": followed_map(found, which, quantity, part, block, (layer, at), scheme),
            "map_style": {"height": height(len(found.layers), 9999), "width": "100%"},
            "code": code(args["model"], found.prompt, follow, quantity, at),
        }


def followed_name(model: str, follow: int | str) -> str:
    """The followed token for people."""
    if isinstance(follow, str):
        return {"final": "the final prediction of each position", "next": "what really follows each position"}[follow]
    text = vocabulary.token_text(model, follow)
    return f"token {follow}" if text is None else f"{shown(text)} (token {follow})"


def code(model: str, prompt: str, follow: int | str, quantity: str, at: int) -> Component:
    """The same in Python and in the shell."""
    python = (
        "from probe import follow_token, load_model\n\n"
        f"model = load_model({model!r})\n"
        f"record = follow_token(model, {prompt!r}, [{follow!r}])\n"
        f"record.figure({at}, {quantity!r})"
    )
    token = f"id:{follow}" if isinstance(follow, int) else follow
    return snippets(python, shell_for("follow", model, prompt, "--target", token, "--position", str(at)))
