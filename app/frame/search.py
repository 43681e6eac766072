"""Search over what is here: pages, prompts, artifacts, labels, and units by their name (`L5H3`, `L5N120`, `L4F650`) or by what
they fire on.

Texts are found where every word of the question occurs, whatever its case; those that begin with it come first. A unit is
found by its name and needs nothing loaded: each model whose size is known and which has such a layer offers its page.
What is found is hostile text (prompts, names, labels) and goes out as JSON; the page writes it with `textContent`.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from flask import Flask, Response, jsonify, request

from app import links
from app.components.cards import SHOWN
from app.frame.search_units import labelled, matched_units, named_units, waiting
from app.frame.search_words import Hit, clip, matching
from app.jobs.results import page_of
from app.library import prompts
from app.library.artifacts import Library, library
from app.library.models import models, short_model
from probe.artifacts.manifest import Manifest
from probe.doctor.stored_words import KINDS, headline
from probe.errors import BadInput, OpenworkError
from probe.methods import catalogue
from probe.methods.in_words import label

MAX_QUESTION = 200  # characters
MAX_HITS = 6  # of each group

PAGES = (
    ("Home", links.HOME, "models and everything stored", "home"),
    ("Prompts", links.PROMPTS, "what the model reads, loss, next token", "prompt"),
    ("Heads", links.HEADS, "attention patterns, induction, previous token", "heads"),
    ("Neurons and features", links.UNITS, "units, latents, dictionaries, feature tables", "units"),
    ("Lens", links.LENS, "logit lens, layer by layer", "lens"),
    ("Circuits", links.CIRCUITS, "attribution graphs", "circuit"),
    ("Patching", links.PATCHING, "clean and corrupted prompt, activation patching", "patching"),
    ("Training", links.TRAINING, "runs, loss, L0, FVU, evaluations, results", "training"),
    ("Methods", links.METHODS, "every analysis, its paper, its results", "methods"),
    ("Jobs", links.JOBS, "queue, progress, log", "jobs"),
)


@dataclass(frozen=True)
class Group:
    """Hits of one sort; `more` that are not listed."""

    name: str
    hits: list[Hit]
    more: int


def register(server: Flask) -> None:
    """Install `/search?q=`; `m` and `p` are the model and the prompt of the page that asks."""

    @server.get("/search")
    def answer() -> Response | tuple[Response, int]:
        try:
            question = request.args.get("q", "")
            found = search(question, request.args.get("m", ""), request.args.get("p", ""))
            later = waiting(question, library())
            return jsonify(question=question, groups=[asdict(g) for g in found], later=later)
        except OpenworkError as error:
            return jsonify(error=str(error)), 400


def search(question: str, model: str = "", prompt: str = "") -> list[Group]:
    """Everything found, in groups that have something. Nothing asked: the pages and the prompts used last."""
    if len(question) > MAX_QUESTION:
        raise BadInput(f"A search takes up to {MAX_QUESTION} characters; this one has {len(question)}.")
    names = models()
    here = (model if model in names else "", prompt if re.fullmatch(r"[0-9a-f]{12}", prompt) else "")
    words, stored = question.casefold().split(), library()
    if not words:
        return _some([("Pages", _pages([], here)), ("Recent prompts", _prompts([]))])
    groups = [("Units", named_units(question.strip(), here, names, stored)), ("Pages", _pages(words, here))]
    groups += [("Methods", _methods(words))]
    groups += [("Prompts", _prompts(words)), ("Labels", labelled(words))]
    groups += [(KINDS[k][0], _artifacts(k, words, stored)) for k in KINDS]
    return _some([*groups, ("Units by token and example", matched_units(question.strip(), stored))])


def _some(groups: Iterable[tuple[str, list[Hit]]]) -> list[Group]:
    found = []
    for name, hits in groups:
        most = len(PAGES) if name == "Pages" else MAX_HITS
        found += [Group(name, hits[:most], max(0, len(hits) - most))] if hits else []
    return found


def _pages(words: list[str], here: tuple[str, str]) -> list[Hit]:
    keeps = (links.HEADS, links.LENS, links.PATCHING)
    found = matching(words, PAGES, lambda p: f"{p[0]} {p[2]}")
    kept = {"model": here[0], "prompt": here[1]}
    return [
        Hit(name, note, links.address(path, **kept) if path in keeps else path, icon)
        for name, path, note, icon in found
    ]


def _methods(words: list[str]) -> list[Hit]:
    found = matching(
        words, catalogue.methods(), lambda m: f"{label(m.name)} {m.name} {m.function} {m.summary} {m.paper}"
    )
    return [Hit(label(m.name), clip(m.summary), links.method_page(m.name), "methods") for m in found]


def _prompts(words: list[str]) -> list[Hit]:
    found = matching(words, prompts.recent(2000), lambda p: p.text)
    return [Hit(clip(p.text), short_model(p.model), links.prompt_page(p.id, p.model), "prompt") for p in found]


def _artifacts(kind: str, words: list[str], stored: Library) -> list[Hit]:
    def text(pair: tuple[Path, Manifest]) -> str:
        folder, manifest = pair
        return f"{folder.name} {headline(kind, manifest)}"

    hits = []
    for folder, manifest in matching(words, stored.kinds[kind], text):
        said = headline(kind, manifest)
        page = page_of(manifest) or links.artifact_page(kind, folder.name, manifest.facts.get("what"))
        known = "" if said == folder.name else clip(said)
        note = " · ".join(x for x in (known, _model_of(manifest), manifest.created[:10]) if x)
        hits.append(Hit(clip(folder.name), note, page, SHOWN.get(kind, "home")))
    return hits


def _model_of(manifest: Manifest) -> str:
    return short_model(manifest.model.name) if manifest.model else ""
