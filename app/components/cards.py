"""An artifact on a card: what it is in a few words, a link to the page that shows it, and whether it still fits its model."""

from pathlib import Path

from dash import html
from dash.development.base_component import Component

from app.components.parts import card, icon
from app.jobs.results import page_of
from app.library.artifacts import registered
from app.library.models import short_model, stale
from app.links import artifact_page
from probe.artifacts.folder import home
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest, read_manifest
from probe.errors import OpenworkError
from probe.model.sites import short_name

_BASES = {"mixed": "latents and neurons"}
_MEASURES = (("fvu", "FVU"), ("fvu_affine", "affine FVU"), ("l0", "L0"), ("ce_recovered_zero", "CE recovered"))
SORTS = {
    "graph": ("Circuits", "circuit", "Attribution graphs, each of one prompt"),
    "features": ("Feature tables", "units", "What each unit fires at and what it writes"),
    "dictionary": ("Dictionaries", "training", "Sparse autoencoders and transcoders, with their training"),
    "result": ("Results", "training", "Evaluations and reports"),
    "cache": ("Activation caches", "home", "Activations on disk, ready for training"),
    "text": ("Sampled text", "home", "Text drawn from a model, to harvest from and judge on"),
    "study": ("Blind studies", "home", "Units explained before their text is seen"),
}
"""Kinds of artifacts: what many are called, their icon, and what they are."""
SHOWN = ("graph", "features", "dictionary", "result")
"""Kinds that have a page of their own."""


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


def headline(kind: str, manifest: Manifest) -> str:
    """A graph is known by its prompt, what a job found by what was asked, everything else by its name."""
    said = {"graph": "prompt", "result": "title"}.get(kind, "")
    return str(manifest.facts.get(said) or manifest.name)[:200]


def details(kind: str, manifest: Manifest) -> list[str]:
    """The few facts that tell one from another; whatever a manifest lacks is left out."""
    facts, model = manifest.facts, short_model(manifest.model.name) if manifest.model else ""
    sites, date = ", ".join(short_name(s) for s in manifest.sites), manifest.created[:10]
    if kind == "graph":
        basis = str(manifest.config.get("basis", ""))
        own = manifest.name if facts.get("prompt") else ""  # two graphs of one prompt are told apart
        return [own, model, _count(facts.get("n_nodes"), "nodes"), _BASES.get(basis, basis), date]
    if kind == "dictionary":
        chosen = facts.get("sparsifier")
        rule = " ".join(str(v) for v in chosen.values() if isinstance(v, str | int)) if isinstance(chosen, dict) else ""
        size = f"{facts['d_in']} to {facts['d_dict']:,}" if _whole(facts.get("d_in"), facts.get("d_dict")) else ""
        return [str(facts.get("dictionary_kind", "")).replace("_", " "), model, sites, size, rule, date]
    if kind == "features":
        return [
            _count(facts.get("n_units"), f"{facts.get('units', 'unit')}s"),
            sites,
            _count(facts.get("tokens"), "tokens"),
            date,
        ]
    return [model, sites, *_judged(facts), _count(_tokens(manifest), "tokens"), date]


def _tokens(manifest: Manifest) -> int | None:
    rows, context = manifest.config.get("rows", 0), manifest.config.get("context", 0)
    return manifest.facts.get("n_tokens") or (rows * context if _whole(rows, context) else None)


def _whole(*values: object) -> bool:
    return all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < 10**15 for v in values)


def _count(value: object, name: str) -> str:
    return f"{value:,} {name}" if _whole(value) and value else ""


def _judged(facts: Json) -> list[str]:
    """The numbers of an evaluation, if this is one."""
    return [
        f"{name} {facts[key]:.3g}"
        for key, name in _MEASURES
        if isinstance(facts.get(key), int | float) and abs(facts[key]) < 1e300
    ]
