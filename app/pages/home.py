"""Home: write a prompt, or open what is stored."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from dash import Dash, dcc, html

from app import analyses, prompts
from app.components import promptbox
from app.components.parts import copyable, empty, error, panel, title
from app.library import MODELS, Library, library, models, short_model
from app.shell import Page
from probe.artifact import Manifest, home
from probe.embedded import model_cache
from probe.errors import BadInput
from probe.sites import parse_site

DEFAULT = MODELS[0]
_NAMES = {
    "graph": "Circuits",
    "dictionary": "Dictionaries",
    "cache": "Activation caches",
    "result": "Results",
    "text": "Sampled text",
    "features": "Feature tables",
    "study": "Blind studies",
}
_NOTES = {
    "graph": "Attribution graphs, each of one prompt",
    "dictionary": "Sparse autoencoders and transcoders",
    "cache": "Activations on disk, ready for training",
    "result": "Evaluations and reports",
    "text": "Text drawn from a model, to harvest from and judge on",
    "features": "What each unit fires at and what it writes",
    "study": "Units explained before their text is seen",
}


def layout(query: dict[str, str]) -> list[Any]:
    """The prompt box, recent prompts, and one panel for each kind of artifact that exists."""
    stored = library()
    lead = "Write a prompt and look at what the model does with it: layer by layer, head by head, unit by unit, and as a circuit."
    top = [
        title("See the movement", lead=lead),
        html.Section(
            html.Div(promptbox.prompt_box(), className="body", style={"paddingTop": 16}), className="ow-panel"
        ),
    ]
    return [*top, _recent(), *(_damaged(stored)), *(_shelves(stored) if not stored.empty else [_first()]), _models()]


def _recent() -> html.Section | None:
    found = prompts.recent(6)
    if not found:
        return None
    cards = [
        dcc.Link(
            [html.Div(p.text, className="name ow-clamp", dir="auto"), html.Div(short_model(p.model), className="meta")],
            href=f"/p/{p.id}?m={quote(p.model)}",
            className="ow-card",
        )
        for p in found
    ]
    return panel("Recent prompts", html.Div(cards, className="ow-cards"), tools=dcc.Link("All", href="/p"))


def _first() -> html.Div:
    sentence = (
        "One command makes a first set: it reads a prompt, harvests activations at an early layer of a small model, trains "
        "a transcoder on them, judges it, and traces a circuit through it. It takes some minutes, shows its progress, and "
        "goes on where it stopped when interrupted."
    )
    return empty("No artifacts yet", sentence, copyable("openwork demo"))


def _damaged(stored: Library) -> list[Any]:
    if not stored.damaged:
        return []
    names = "; ".join(f"{name}: {reason}" for name, reason in stored.damaged[:5])
    return [
        error(
            names,
            heading=f"{len(stored.damaged)} stored artifact{'s' if len(stored.damaged) > 1 else ''} cannot be read",
            fix="`openwork doctor` names them all and says how to mend them.",
        )
    ]


def _shelves(stored: Library) -> list[html.Section]:
    shelves = []
    for kind, found in stored.kinds.items():
        if found:
            cards = [card(kind, folder, manifest) for folder, manifest in found[:12]]
            more = f" The newest 12 of {len(found)}." if len(found) > 12 else ""
            shelves.append(
                (
                    kind != "graph",
                    panel(
                        _NAMES.get(kind, kind),
                        html.Div(cards, className="ow-cards"),
                        note=_NOTES.get(kind, "") + "." + more,
                    ),
                )
            )
    return [shelf for _, shelf in sorted(shelves, key=lambda pair: pair[0])]


def card(kind: str, folder: Path, manifest: Manifest) -> Any:
    """An artifact in a few words; a graph's card opens it."""
    words = [
        html.Div(_headline(kind, manifest), className="name ow-clamp", dir="auto"),
        html.Div(" · ".join(x for x in _details(kind, manifest) if x), className="meta"),
    ]
    if kind == "graph":
        return dcc.Link(words, href=f"/circuits/{quote(folder.name)}", className="ow-card")
    return html.Div(words, className="ow-card", title=str(folder.relative_to(home())))


def _headline(kind: str, manifest: Manifest) -> str:
    return str(manifest.facts.get("prompt") or manifest.name) if kind == "graph" else manifest.name


def _details(kind: str, manifest: Manifest) -> list[str]:
    facts, model = manifest.facts, short_model(manifest.model.name) if manifest.model else ""
    sites = ", ".join(short_site(s) for s in manifest.sites)
    date = manifest.created[:10]
    if kind == "graph":
        basis = {"mixed": "latents and neurons"}.get(
            str(manifest.config.get("basis")), str(manifest.config.get("basis", ""))
        )
        return [model, f"{facts['n_nodes']:,} nodes" if isinstance(facts.get("n_nodes"), int) else "", basis, date]
    if kind == "dictionary":
        sparsifier = facts.get("sparsifier") or {}
        size = f"{facts['d_in']} to {facts['d_dict']:,}" if {"d_in", "d_dict"} <= facts.keys() else ""
        chosen = " ".join(str(v) for v in sparsifier.values() if isinstance(v, str | int))
        return [str(facts.get("dictionary_kind", "")).replace("_", " "), model, sites, size, chosen, date]
    tokens = facts.get("n_tokens") or (manifest.config.get("rows", 0) or 0) * (manifest.config.get("context", 0) or 0)
    return [model, sites, *_judged(facts), f"{tokens:,} tokens" if tokens else "", date]


def _judged(facts: dict[str, Any]) -> list[str]:
    """The numbers of an evaluation, if this is one."""
    names = (("fvu", "FVU"), ("fvu_affine", "affine FVU"), ("l0", "L0"), ("ce_recovered_zero", "CE recovered"))
    return [f"{name} {facts[key]:.3g}" for key, name in names if isinstance(facts.get(key), int | float)]


def short_site(name: str) -> str:
    """`blocks.4.mlp.hook_in` as `mlp_in.4`; names that are no site as they are."""
    try:
        return parse_site(name).short
    except BadInput:
        return name


def _models() -> html.Section:
    """The models the pages offer, and where they are at the moment."""
    memory, known = (
        analyses.loaded(),
        {DEFAULT: "SmolLM2-135M-Instruct: 30 layers, 9 heads", "toy": "Random weights, 4 layers; instant"},
    )
    cards = []
    for name in models():
        if short_model(name) in memory:
            state = "in memory"
        elif name == DEFAULT:
            state = (
                "on disk"
                if (model_cache() / name / "openwork.json").is_file()
                else "fetched once when first used (93 MB)"
            )
        else:
            state = "loaded when first used"
        meta = " · ".join(x for x in (known.get(name, ""), state) if x)
        cards.append(
            html.Div(
                [html.Div(short_model(name), className="name", title=name), html.Div(meta, className="meta")],
                className="ow-card",
            )
        )
    return panel("Models", html.Div(cards, className="ow-cards"))


def register(app: Dash) -> None:
    promptbox.register(app)


PAGE = Page(r"/", "Home", layout, register)
