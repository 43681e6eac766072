"""Where a result leads: from the units that its tables name to their pages; of two prompts to theirs, to the same question with
them changed about, and to patching one into the other."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from dash import dcc

from app import links
from app.components.parts import Parts, icon
from app.components.plain_rows import Link
from app.library import prompts
from app.library.artifacts import is_registered
from app.library.graphs import COMPONENTS, graph_of
from app.library.labels import label_of
from app.library.models import models
from app.library.units import latent_number
from app.methods import addresses
from app.methods.addresses import RUN
from app.methods.method_jobs import kept_as
from probe.errors import OpenworkError
from probe.methods.call import Call
from probe.methods.results import artifacts_of
from probe.model.unit_names import UnitName

OPENS = {
    "graph": ("circuit", "Open the circuit"),
    "features": ("units", "Open the table"),
    "dictionary": ("training", "Open the training"),
}
"""Icon and words of what leads to an artifact that a call made."""


def stored_prompts(call: Call) -> dict[str, str]:
    """Ids of the prompts that a call was asked of, by parameter: those that are texts and stored here."""
    named = [p.name for p in call.about.parameters if p.kind.control == "prompt" and not p.several]
    texts = {name: call.arguments.get(name) for name in named}
    ids = {name: prompts.prompt_id(text) for name, text in texts.items() if isinstance(text, str)}
    return {name: found for name, found in ids.items() if prompts.is_stored(found)}


def link_of(call: Call | None, chosen: Mapping[str, Any] = {}) -> Link | None:
    """From the nodes and units of a call's tables to their pages: to those of the graphs it names, or with its model and the
    first of its prompts, or else the prompt and the token that are chosen on the page."""
    if call is None:
        return None
    if not call.about.of_model:
        graphs = [name for kind, name in artifacts_of(call) if kind == "graph"]
        return node_links(graphs) if graphs else None
    if call.model not in models():
        return None
    asked = next(iter(stored_prompts(call).values()), None)
    kept = {} if asked or not chosen.get("prompt") else {"token": chosen.get("token")}
    of = str(call.arguments.get("dictionary") or "")
    return unit_links(call.model, asked or chosen.get("prompt"), of, **kept)


def node_links(graphs: Sequence[str]) -> Link:
    """From a node's name to its place on the page of the first of these graphs that has it."""

    def link(text: Any, row: Mapping[str, Any]) -> tuple[str | None, str]:
        for name in graphs:
            with suppress(OpenworkError):
                return links.circuit_page(name, node=graph_of(name).find(str(text))[0]), ""
        return None, ""

    return link


def unit_links(model: str, prompt: str | None = None, of: str = "", **chosen: object) -> Link:
    """From a unit's name, and the row it stands in, to its page and its label. of: the dictionary of latents, where rows name
    none."""

    def link(text: Any, row: Mapping[str, Any]) -> tuple[str | None, str]:
        unit = UnitName.parse(
            str(text).partition(" ")[0], "head", "neuron", "latent"
        )  # behind it a graph writes the token
        if unit is None:
            return None, ""
        if unit.kind == "head":
            return links.heads_page(model, prompt, head=f"{unit.layer}.{unit.unit}", **chosen), ""
        if unit.kind == "neuron":
            href = links.neuron_page(model, unit.layer, unit.unit, prompt=prompt, **chosen)
            return href, label_of("neuron", model, unit.layer, unit.unit)
        owner = str(row.get("of") or of)
        called = label_of("latent", owner, unit.layer, unit.unit)
        if not is_registered("dictionary", owner):
            return None, called
        return links.latent_page(owner, latent_number(owner, unit), model=model, prompt=prompt, **chosen), called

    return link


def ways(call: Call | None, record: object = None, reference: str = "") -> Parts:
    """Of a call that made an artifact with a page, a chip to that; of a circuit of components, to its graph; of one that is asked
    of two prompts, to their pages, to the same with them changed about, and to patching."""
    if call is not None and (kept := kept_as(call)):
        kind = call.about.artifact
        return (
            [_chip(*OPENS[kind], links.artifact_page(kind, kept))]
            if kind in OPENS and is_registered(kind, kept)
            else []
        )
    if (
        reference and type(record).__name__ in COMPONENTS and getattr(record, "names", True)
    ):  # one without edges is no graph
        return [_chip(*OPENS["graph"], links.circuit_of_result(reference))]
    found = stored_prompts(call) if call is not None and call.model else {}
    if call is None or len(found) != 2:
        return []
    (a, one), (b, other) = found.items()
    swapped = replace(call, arguments={**call.arguments, a: call.arguments[b], b: call.arguments[a]})
    places = [
        ("prompt", f"Prompt {a}", links.prompt_page(one, call.model)),
        ("prompt", f"Prompt {b}", links.prompt_page(other, call.model)),
        ("redo", "Swap", addresses.address_of(swapped, **{RUN: "1"})),
        ("patching", f"Patch {b} into {a}", links.patching_page(call.model, one, other)),
    ]
    return [_chip(*place) for place in places]


def _chip(symbol: str, word: str, href: str) -> dcc.Link:
    return dcc.Link([icon(symbol, small=True), word], href=href, className="ow-chip")
