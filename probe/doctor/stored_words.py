"""What is stored, in a few words: what its kinds are called, and which facts tell one artifact from another of its kind."""

from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest
from probe.model.aliases import short_model
from probe.model.sites import short_name

KINDS = {
    "graph": ("Circuits", "Attribution graphs, each of one prompt"),
    "features": ("Feature tables", "What each unit fires at and what it writes"),
    "dictionary": ("Dictionaries", "Sparse autoencoders and transcoders, with their training"),
    "result": ("Results", "What methods found, evaluations and reports"),
    "cache": ("Activation caches", "Activations on disk, ready for training"),
    "text": ("Sampled text", "Text drawn from a model, to harvest from and judge on"),
    "study": ("Blind studies", "Units explained before their text is seen"),
}
"""Kinds of artifacts: what many are called, and what they are."""
_BASES = {"mixed": "latents and neurons"}
_MEASURES = (("fvu", "FVU"), ("fvu_affine", "affine FVU"), ("l0", "L0"), ("ce_recovered_zero", "CE recovered"))


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
    own = manifest.name if facts.get("title") and not manifest.name.startswith("method-") else ""
    return [own, model, sites, *_judged(facts), _count(_tokens(manifest), "tokens"), date]


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
