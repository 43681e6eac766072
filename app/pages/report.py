"""One stored result: of what a method found, whichever door asked it, the panels; of any other its JSON as it is; and how it was
made."""

from typing import Any

from dash import dcc, html

from app.components import snippets
from app.components.cards import outdated
from app.components.parts import Parts, copyable, fact_list, link_button, panel, title
from app.figures.dress import worn
from app.frame.shell import Page
from app.jobs.results import page_of
from app.library.artifacts import registered
from app.library.models import short_model
from app.links import method_page
from app.methods import result_view
from app.methods.addresses import BESIDE, LIKE, RAW
from app.methods.drawing import Look, drawn_panels
from app.selection import selection_from
from probe.artifacts.manifest import Manifest, read_manifest
from probe.artifacts.records import RECORD
from probe.methods.call import Call
from probe.methods.in_words import asked, label
from probe.methods.results import stored_call
from probe.methods.stored_report import stored_report


def layout(name: str, query: dict[str, str]) -> Parts:
    """Its panels, or what its files say, and how it was made."""
    folder = registered("result", name)
    manifest = read_manifest(folder, "result")
    if (call := stored_call(manifest)) is not None and (folder / RECORD).is_file() and RAW not in query:
        return _of_method(name, manifest, call, query)
    page = page_of(manifest)
    head = title(
        str(manifest.facts.get("title") or manifest.name)[:200],
        actions=[link_button("Open it where it was made", page)] if page else [],
        eyebrow=["Result · ", short_model(manifest.model.name) if manifest.model else "", " ", outdated(manifest)],
    )
    return [head, *drawn_panels(stored_report(folder), "", Look(worn()), at="report"), _made(name, manifest)]


def _of_method(name: str, manifest: Manifest, call: Call, query: dict[str, str]) -> Parts:
    """What a method found, whichever door asked it: its panels, and the way to its form."""
    again = link_button("Change and run again", method_page(call.method, {LIKE: name}), "redo")
    eyebrow = ["Result · ", short_model(call.model), " ", outdated(manifest)]
    return [
        title(label(call.method), eyebrow=eyebrow, lead=asked(call) or call.about.summary, actions=[again]),
        dcc.Store(id="selection", data=selection_from(query)),
        *result_view.result_view("result", {"method": call.method}, name, beside=query.get(BESIDE, "")[:200]),
    ]


def _made(name: str, manifest: Manifest) -> html.Section:
    """Where it comes from, and the same in Python."""
    parents = [html.Span(f"{parent} ") for parent in manifest.parents] or ["nothing stored"]
    pairs: list[tuple[str, Any]] = [
        ("made", manifest.created[:16].replace("T", " ")),
        ("from", html.Span(parents)),
        ("of", ", ".join(manifest.sites) or "the whole model"),
        ("by", copyable(manifest.command) if manifest.command else "unknown"),
    ]
    code = (
        "import json\nfrom probe import home\n\n"
        f'folder = home() / "results" / {name!r}\n'
        'reports = {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}'
    )
    return panel("How it was made", fact_list(pairs), foot=snippets.snippets(code), export=False)


PAGE = Page(r"/results/(?P<name>[^/]+)", "Result", layout)
