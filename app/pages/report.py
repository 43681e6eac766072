"""One stored result: its numbers, its tables, how it was made. Whatever wrote it, its JSON is shown as it is; of what a
method found, whichever door asked it, the panels.

Numbers and words become facts, lists of records become tables, deeper parts become sections of their own; all of it bounded.
"""

from pathlib import Path
from typing import Any

from dash import Dash, dcc, html

from app.components import drawn, snippets
from app.components.cards import outdated
from app.components.parts import Parts, copyable, empty, fact_list, link_button, panel, title
from app.components.plain_rows import row_data, shown_of
from app.frame.shell import Page
from app.jobs.results import page_of
from app.library.artifacts import registered
from app.library.models import short_model
from app.links import method_page
from app.methods import view
from app.methods.addresses import BESIDE, LIKE, RAW
from app.selection import selection_from
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest, read_manifest, require_files
from probe.artifacts.records import RECORD
from probe.artifacts.untrusted import plain_file, read_json
from probe.errors import Unavailable
from probe.methods.call import Call
from probe.methods.in_words import asked, label
from probe.methods.results import stored_call
from probe.words import minus

LARGEST, TABLES, FACTS = 20_000_000, 8, 60


def layout(name: str, query: dict[str, str]) -> Parts:
    """Facts, tables, provenance."""
    folder = registered("result", name)
    manifest = read_manifest(folder, "result")
    if (call := stored_call(manifest)) is not None and (folder / RECORD).is_file() and RAW not in query:
        return _of_method(name, manifest, call, query)
    report = stored_report(folder)
    page = page_of(manifest)
    head = title(
        str(manifest.facts.get("title") or manifest.name)[:200],
        actions=[link_button("Open it where it was made", page)] if page else [],
        eyebrow=["Result · ", short_model(manifest.model.name) if manifest.model else "", " ", outdated(manifest)],
    )
    found = tables(report)
    shown = [
        panel(words, drawn.rows(f"report-{i}", 420, row_data(words, rows)), note=shown_of(rows))
        for i, (words, rows) in enumerate(found[:TABLES])
    ]
    facts = panel("Numbers", _facts(numbers(report))) if numbers(report) else None
    none = None if shown or facts else empty("Nothing to show", "This result holds no numbers.")
    return [head, *filter(None, [facts, none]), *shown, _made(name, manifest)]


def _of_method(name: str, manifest: Manifest, call: Call, query: dict[str, str]) -> Parts:
    """What a method found, whichever door asked it: its panels, and the way to its form."""
    again = link_button("Change and run again", method_page(call.method, {LIKE: name}), "redo")
    eyebrow = ["Result · ", short_model(call.model), " ", outdated(manifest)]
    return [
        title(label(call.method), eyebrow=eyebrow, lead=asked(call) or call.about.summary, actions=[again]),
        dcc.Store(id="selection", data=selection_from(query)),
        *view.result_view("result", {"method": call.method}, name, beside=query.get(BESIDE, "")[:200]),
    ]


def stored_report(folder: Path) -> Any:
    """The JSON files of a result, one or by name. Unavailable where one cannot be read."""
    found, manifest = {}, read_manifest(folder, "result")
    listed = [name for name in manifest.files if name.endswith(".json") and "/" not in name and name != RECORD]
    if any((folder / name).is_symlink() for name in listed):
        raise Unavailable(f"In {folder} a link lies where a file was stored. Make it again.")
    for path in sorted({*folder.glob("*.json"), *(folder / name for name in listed)}):
        if path.name in ("manifest.json", RECORD) or path.is_symlink():  # a link may lead to any file of the machine
            continue
        plain_file(path, LARGEST)
        if manifest.files:
            require_files(folder, manifest, [path.name])
        found[path.stem] = read_json(path, LARGEST)
    return next(iter(found.values())) if len(found) == 1 else found


def numbers(report: object, prefix: str = "", depth: int = 3) -> list[tuple[str, object]]:
    """What is one value, by its place: `errors fvu`."""
    if not isinstance(report, dict) or depth == 0:
        return []
    plain = [(f"{prefix}{key}", value) for key, value in report.items() if isinstance(value, str | int | float | bool)]
    return plain + [pair for key, value in report.items() for pair in numbers(value, f"{prefix}{key} ", depth - 1)]


def tables(report: object, prefix: str = "", depth: int = 4) -> list[tuple[str, list[Json]]]:
    """Lists of records, by their place."""
    if isinstance(report, list) and report and all(isinstance(row, dict) for row in report):
        return [(prefix.strip() or "rows", report)]
    if not isinstance(report, dict) or depth == 0:
        return []
    return [found for key, value in report.items() for found in tables(value, f"{prefix}{key} ", depth - 1)]


def _facts(pairs: list[tuple[str, object]]) -> html.Div:
    more = html.P(f"{len(pairs) - FACTS} more in the file.", className="ow-sub") if len(pairs) > FACTS else None
    return html.Div([fact_list([(k, _words(v)) for k, v in pairs[:FACTS]]), more])


def _words(value: object) -> str:
    return minus(f"{value:.5g}") if isinstance(value, float) else str(value)[:300]


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


def register(app: Dash) -> None:
    for i in range(TABLES):
        drawn.register_rows(app, f"report-{i}")


PAGE = Page(r"/results/(?P<name>[^/]+)", "Result", layout, register)
