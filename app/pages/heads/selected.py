"""The selected head: its pattern and tokens, what it moves and reads, and what it adds to the prediction."""

from typing import TYPE_CHECKING

from dash import Dash, Input, Output, State, no_update
from dash.development.base_component import Component

from app.components import drawn
from app.components.parts import stat
from app.components.snippets import shell_for, snippets
from app.figures.heads import pattern_marked
from app.jobs import work
from app.jobs.work import instead_of
from app.library import memory, prompts
from app.pages.heads import tables
from app.pages.heads.work import reading_work, scores_work
from app.selection import Selection, chosen_head, position
from probe.artifacts.json import Json
from probe.model.unit_names import unit_name
from probe.show.html import shown
from probe.words import number

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns
    from probe.heads.reading import HeadReading


def patterns(args: dict[str, str] | None) -> "HeadPatterns | None":
    """All patterns, if they are in memory."""
    return memory.known("heads", args["model"], prompts.load(args["id"]).text) if args else None


def scores(args: dict[str, str], selection: Selection | None) -> Json | None:
    """Direct effects and copying scores, if they are in memory."""
    wanted = scores_work(args["model"], prompts.load(args["id"]), tables.chosen_target(selection))
    return work.result(wanted.key)


def reading(args: dict[str, str], selection: Selection | None, heads: "HeadPatterns") -> "HeadReading | None":
    """The selected head, if it was read."""
    head = chosen_head(selection, heads)
    prompt = prompts.load(args["id"])
    return work.result(reading_work(args["model"], prompt, *head, tables.chosen_target(selection)).key)


def register_one(app: Dash) -> None:
    @app.callback(
        {
            "name": Output("heads-name", "children"),
            "pattern": Output("heads-pattern", "figure"),
            "keys": Output("heads-keys-data", "data"),
            "queries": Output("heads-queries-data", "data"),
            "keys_title": Output("heads-keys-title", "children"),
            "queries_title": Output("heads-queries-title", "children"),
            "wanted": Output("heads-one-key", "data"),
            "code": Output("heads-code-one", "children"),
        },
        Input("selection", "data"),
        Input("heads-all-done", "data"),
        State("scheme", "data"),
        State("heads-args", "data"),
        State("heads-one-key", "data"),
    )
    def one(selection: Selection | None, _: object, scheme: str, args: dict[str, str], before: str | None):
        if (heads := patterns(args)) is None:
            return no_update
        (layer, head), at = chosen_head(selection, heads), position(selection, heads)
        pattern = heads.patterns[layer, head]
        source = tables.chosen_source(selection, pattern, at)
        prompt, target = prompts.load(args["id"]), tables.chosen_target(selection)
        key = instead_of(before, reading_work(args["model"], prompt, layer, head, target))
        words = heads.tokens
        keys = drawn.strip_data(words, heads.token_ids, pattern[at], label="is looked at", key="source")
        queries = drawn.strip_data(words, heads.token_ids, pattern[:, source], label="looks")
        return {
            "name": unit_name("head", layer, head),
            "pattern": pattern_marked(heads, layer, head, at, source, scheme),
            "keys": keys,
            "queries": queries,
            "keys_title": f"What {shown(words[at])} (query {at}) looks at",
            "queries_title": f"Who looks at {shown(words[source])} (key {source})",
            "wanted": key,
            "code": code_one(args["model"], heads.prompt, layer, head),
        }

    @app.callback(
        Output("heads-hover", "data"),
        Input("selection", "data"),
        Input("heads-all-done", "data"),
        State("heads-args", "data"),
        State("heads-hover", "data"),
    )
    def hover(selection: Selection | None, _: object, args: dict[str, str], before: Json | None):
        if (heads := patterns(args)) is None:
            return no_update
        layer, head = chosen_head(selection, heads)
        if before and before["head"] == f"{layer}.{head}":
            return no_update
        return {"head": f"{layer}.{head}", **tables.pattern_bytes(heads.patterns[layer, head])}


def code_one(model: str, prompt: str, layer: int, head: int) -> Component:
    python = (
        "from probe import load_model, read_head\n\n"
        f"model = load_model({model!r})\n"
        f"record = read_head(model, {prompt!r}, {layer}, {head})\n"
        "record.figure()"
    )
    return snippets(python, shell_for("heads", model, prompt, "--head", unit_name("head", layer, head)))


def register_reading(app: Dash) -> None:
    @app.callback(
        {
            "facts": Output("heads-facts", "children"),
            "attended_title": Output("heads-attended-title", "children"),
            "attended": Output("heads-attended-data", "data"),
            "here": Output("heads-ov-here-data", "data"),
            "here_title": Output("heads-ov-here-title", "children"),
            "word": Output("heads-ov-word-data", "data"),
            "word_title": Output("heads-ov-word-title", "children"),
            "qk": Output("heads-qk-data", "data"),
            "qk_title": Output("heads-qk-title", "children"),
            "directions": Output("heads-directions-data", "data"),
            "direct": Output("heads-direct", "children"),
            "parts": Output("heads-parts-data", "data"),
        },
        Input("selection", "data"),
        Input("heads-all-done", "data"),
        Input("heads-one-done", "data"),
        Input("heads-scores-done", "data"),
        State("heads-args", "data"),
    )
    def read(selection: Selection | None, _: object, __: object, ___: object, args: dict[str, str]):
        if (heads := patterns(args)) is None:
            return no_update
        (layer, head), at = chosen_head(selection, heads), position(selection, heads)
        source = tables.chosen_source(selection, heads.patterns[layer, head], at)
        found = reading(args, selection, heads)
        return {
            "facts": [stat(*fact) for fact in tables.facts(heads, layer, head, found, at)],
            "attended_title": f"What {shown(heads.tokens[at])} (query {at}) looks at most",
            "attended": tables.attended_rows(found, heads, layer, head, at, source),
            **(being_read() if found is None else moved(found, at, source)),
            "direct": direct_words(found, at) if found is not None else "",
            "parts": tables.part_rows(
                (scores(args, selection) or {}).get("direct"), at, unit_name("head", layer, head)
            ),
        }


def being_read() -> Json:
    """What stands where `moved` will."""
    rows = {name: {"columns": [], "rows": [], "note": "Being read."} for name in ("here", "word", "qk", "directions")}
    return {**rows, "here_title": "In this prompt", "word_title": "By its embedding", "qk_title": "Keys"}


def moved(found: "HeadReading", at: int, source: int) -> Json:
    """OV and QK of the selected tokens, with their headings."""
    key, query = found.token_ids[source], found.token_ids[at]
    words, paid = (shown(found.tokens[source]), shown(found.tokens[at])), float(found.pattern[at, source])
    writes = ("promotes", "suppresses")
    return {
        "here": tables.pair_rows(found.in_prompt[source], writes, paid * float(found.reach[at])),
        "here_title": f"{words[0]} (key {source}) as it stands here, logits at query {at} with attention {paid:.2f}",
        "word": tables.pair_rows(found.by_embedding[key], writes),
        "word_title": f"Any {words[0]}, by its embedding alone",
        "qk": tables.pair_rows(found.qk[query], ("prefers", "avoids")),
        "qk_title": f"Keys that the query {words[1]} prefers (score before the softmax)",
        "directions": tables.direction_rows(found),
    }


def direct_words(found: "HeadReading", at: int) -> str:
    """The head's share in one sentence."""
    return (
        f"At token {at} {shown(found.tokens[at])}, {found.name} adds {number(float(found.direct[at]))} to the logit of "
        f"{shown(found.target_tokens[at])}, which is {number(float(found.logit[at]))} above the mean logit."
    )
