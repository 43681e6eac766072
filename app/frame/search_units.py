"""Search for units: by name (`L5H3` a head, `L5N120` a neuron, `L4F650` a latent) and by label.

Nothing is loaded: a model's shape comes from its folder, a dictionary's from its manifest, labels from the file beside a table.
"""

from app import links
from app.frame.search_words import Hit, clip, matching
from app.library import labels
from app.library.artifacts import Library
from app.library.models import short_model
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput
from probe.model.sites import parse_site
from probe.model.sizes import model_size
from probe.model.unit_names import UnitName, unit_name


def named_units(question: str, here: tuple[str, str], names: list[str], stored: Library) -> list[Hit]:
    """Pages of the unit this question names, in each model or dictionary that has it."""
    if not (asked := UnitName.typed(question)):
        return []
    layer, number = asked.layer, asked.unit
    if asked.kind == "latent":
        return _latents(layer, number, stored)
    ordered = list(dict.fromkeys([*filter(None, [here[0]]), *names]))
    hits = []
    for model in ordered:
        size = model_size(model)
        most = (size.d_mlp if asked.kind == "neuron" else size.heads) if size else 0
        if size is None or layer >= size.layers or number >= most:
            continue
        if asked.kind == "neuron":
            hits.append(
                Hit(
                    str(asked),
                    f"neuron of {short_model(model)}",
                    links.neuron_page(model, layer, number),
                    "units",
                )
            )
        else:
            prompt = here[1] if model == here[0] else None
            page = links.heads_page(model, prompt, head=f"{layer}.{number}")
            hits.append(Hit(str(asked), f"head of {short_model(model)}", page, "heads"))
    return hits


def _latents(layer: int, number: int, stored: Library) -> list[Hit]:
    """Latents of stored dictionaries that read this layer, and of feature tables made from them."""
    hits = []
    for folder, manifest in stored.kinds["features"]:
        start = _first_of(manifest, layer)
        if (
            manifest.facts.get("units") == "latent"
            and start is not None
            and number < _count(manifest.facts.get("n_units"))
        ):
            note = f"latent, in the feature table {folder.name}"
            hits.append(
                Hit(unit_name("latent", layer, number), note, links.unit_page(folder.name, start + number), "units")
            )
    for folder, manifest in stored.kinds["dictionary"]:
        if _layer_of(manifest) == layer and number < _count(manifest.facts.get("d_dict")):
            page = links.latent_page(folder.name, number)
            hits.append(Hit(unit_name("latent", layer, number), f"latent of {folder.name}", page, "units"))
    return hits


def _first_of(manifest: Manifest, layer: int) -> int | None:
    """Where a table's units of this layer begin."""
    starts = manifest.facts.get("layers")
    pairs = [p for p in starts if isinstance(p, list) and len(p) == 2] if isinstance(starts, list) else []
    return next((int(p[0]) for p in pairs if p[1] == layer and isinstance(p[0], int)), None)


def _layer_of(manifest: Manifest) -> int | None:
    try:
        return parse_site(str(manifest.facts.get("site_in") or (manifest.sites or ("",))[0])).layer
    except BadInput:
        return None


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def labelled(words: list[str]) -> list[Hit]:
    """Units with a label that holds the words."""
    return [
        Hit(clip(text), f"unit {unit} of {table}", links.unit_page(table, unit), "units")
        for table, rows in labels.by_table().items()
        for unit, text in matching(words, [(u, one.text) for u, said in rows.items() for one in said], lambda p: p[1])
    ]
