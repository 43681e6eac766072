"""An artifact on a card: what it is in a few words, a link to the page that shows it, and whether it still fits its model."""

from pathlib import Path

from dash import html
from dash.development.base_component import Component

from app.components.parts import card, icon
from app.jobs.results import page_of
from app.library.artifacts import registered
from app.library.models import stale
from app.links import artifact_page
from probe.artifacts.folder import home
from probe.artifacts.manifest import Manifest, read_manifest
from probe.doctor.stored_words import details, headline
from probe.errors import OpenworkError

SHOWN = {"graph": "circuit", "features": "units", "dictionary": "training", "result": "training"}
"""Kinds that have a page of their own, and its icon."""


def artifact_card(kind: str, folder: Path, manifest: Manifest) -> Component:
    """An artifact in a few words; of a kind with a page, it opens it."""
    name = [part for part in (headline(kind, manifest), outdated(manifest)) if part]
    said = " · ".join(x for x in details(kind, manifest) if x)
    if kind not in SHOWN:
        return card(name, said, title=str(folder.relative_to(home())))
    page = page_of(manifest) or artifact_page(kind, folder.name, manifest.facts.get("what"))
    return card(name, said, href=page, title=folder.name)


def outdated(manifest: Manifest) -> html.Span | None:
    """A badge on what was made from other weights than the model of this name has now."""
    reason = stale(manifest)
    return html.Span("stale", className="ow-badge stale", title=reason) if reason else None


def outdated_words(manifest: Manifest | None) -> list[html.Div]:
    """The same in full; nothing where it fits."""
    reason = stale(manifest) if manifest else None
    return [html.Div([icon("warning"), html.Span(reason)], className="ow-warning", role="note")] if reason else []


def outdated_note(kind: str, name: str) -> list[html.Div]:
    """The same for the page of a stored artifact."""
    try:
        return outdated_words(read_manifest(registered(kind, name), kind))
    except OpenworkError:
        return []  # the page says what is wrong with it
