"""Dictionaries on disk: `weights.safetensors` and a manifest that says what it reads, what it writes and of which model.

Tensor names and shapes are SAELens's: W_enc (d_in, d_dict), W_dec (d_dict, d_out), b_enc, b_dec, W_skip (d_out, d_in).
Loading with a model refuses a dictionary of another model, width or layer.
"""

from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from probe.artifacts.manifest import (
    Manifest,
    ModelStamp,
    check_files,
    found_folder,
    read_manifest,
    writing,
)
from probe.artifacts.names import as_path
from probe.artifacts.untrusted import plain_file, reading, reason
from probe.dictionaries.base import Dictionary, shape_of
from probe.dictionaries.cross_layer import CrossLayerTranscoder
from probe.dictionaries.refuse_other_model import check_fit, ends_of
from probe.dictionaries.sparsifiers.registry import sparsifier
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.model.fingerprint import stamp_of
from probe.plain_values import Settings, takes_fields
from probe.show.beside import loads, saves

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

WEIGHTS = "weights.safetensors"


AnyDictionary = Dictionary | CrossLayerTranscoder


def build(facts: dict[str, Any]) -> AnyDictionary:
    """An untrained dictionary of the given shape; BadInput if the description is not one."""
    try:
        (sites_in, widths_in), (sites_out, widths_out) = ends_of(facts, "in"), ends_of(facts, "out")
        rule = sparsifier(facts["sparsifier"])
        if facts.get("dictionary_kind") == CrossLayerTranscoder.kind:
            each, sites = facts["d_dict"] // len(sites_in), {"sites_in": sites_in, "sites_out": sites_out}
            return CrossLayerTranscoder(widths_in, each, widths_out, sparsifier=rule, **sites)
        ends = {"site_in": sites_in, "site_out": sites_out, "skip": facts["skip"]}
        return Dictionary(widths_in, facts["d_dict"], widths_out, sparsifier=rule, **ends)
    except KeyError as error:
        raise BadInput(f"The description of the dictionary lacks {error}.") from error
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, RuntimeError) as error:
        if isinstance(error, OpenworkError):
            raise
        raise BadInput(f"The description of the dictionary makes none: {reason(error)}.") from error


def tensors(dictionary: AnyDictionary) -> dict[str, Tensor]:
    """The weights by name, laid out row by row as the file format wants them."""
    return {name: value.detach().cpu().contiguous() for name, value in dictionary.state_dict().items()}


@dataclass(frozen=True)
class Provenance(Settings):
    """Where a dictionary comes from, for its manifest."""

    model: "ModelStamp | TransformerBridge | None" = None
    "Whose activations it learned."
    config: dict[str, Any] | None = None
    "How it was trained."
    facts: dict[str, Any] | None = None
    "What was measured."
    parents: tuple[str, ...] = ()
    "Artifacts it was made from."
    seed: int | None = None
    "Of the weights it started with."


@takes_fields("provenance", Provenance)
def save_dictionary(
    dictionary: "Dictionary | CrossLayerTranscoder",
    folder: Path | str,
    *,
    provenance: Provenance = Provenance(),
    extra: dict[str, bytes] | None = None,
    replace: bool = False,
) -> Manifest:
    """Write the artifact beside `folder` and rename it into place.

    The weights must read raw activations (see `Standardiser.fold`). provenance: its fields are keywords too. extra: further files
    by name, such as the training metrics. BadInput where something is there, unless replace says it may go.
    """
    folder = as_path(folder)
    weights = tensors(dictionary)
    bad = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if bad:
        raise BadInput(f"{', '.join(bad)} holds NaN or infinite numbers, so the dictionary was not saved.")
    manifest = Manifest(
        kind="dictionary",
        name=folder.name,
        model=stamp_of(provenance.model),
        sites=tuple(dict.fromkeys((*dictionary.sites_in, *dictionary.sites_out))),
        dtype=str(dictionary.W_enc.dtype).removeprefix("torch."),
        seed=provenance.seed,
        config=provenance.config or {},
        parents=provenance.parents,
        facts={**shape_of(dictionary), **(provenance.facts or {})},
    )
    dictionary.name = folder.name
    with writing(folder, manifest, replace=replace) as beside:
        save_file(weights, beside / WEIGHTS)
        for name, content in (extra or {}).items():
            (beside / name).write_bytes(content)
    return read_manifest(folder, "dictionary")


@saves
def write_dictionary(dictionary: "Dictionary | CrossLayerTranscoder", folder: Path | str, **options: Any) -> Path:
    """The same, by folder: what `save` of a dictionary does."""
    save_dictionary(dictionary, folder, **options)
    return as_path(folder)


@loads
def load_dictionary(
    folder: Path | str, model: "TransformerBridge | None" = None
) -> "Dictionary | CrossLayerTranscoder":
    """Read a dictionary from a folder, or by its name under `home()`; with a model, refuse one that does not belong to it.

    Raises BadInput for another model, width or layer, Unavailable for a damaged file.

    >>> transcoder = ow.load_dictionary("small", model)
    >>> transcoder.d_dict
    128
    """
    folder, manifest = _described(folder, model)
    damaged = check_files(folder, changed(manifest, files={n: h for n, h in manifest.files.items() if n == WEIGHTS}))
    if damaged or not (folder / WEIGHTS).is_file():
        raise Unavailable(f"{folder / WEIGHTS} is missing or differs from its checksum; restore it or train again.")
    with reading(folder, "restore it or train again"):
        weights = load_file(plain_file(folder / WEIGHTS))
        _require_enough(manifest.facts, weights)
        dictionary = build(manifest.facts).to(next(iter(weights.values())).dtype)
        put(dictionary, weights, str(folder))
    dictionary.name = folder.name
    return dictionary.to(model.cfg.device if model is not None else "cpu").requires_grad_(False).eval()


def outline(folder: Path | str, model: "TransformerBridge | None" = None) -> AnyDictionary:
    """A stored dictionary without its weights: what it reads and writes, and how wide, to plan with. BadInput for one that does
    not belong to the model."""
    folder, manifest = _described(folder, model)
    with torch.device("meta"):
        dictionary = build(manifest.facts)
    dictionary.name = folder.name
    return dictionary


def _described(folder: Path | str, model: "TransformerBridge | None") -> tuple[Path, Manifest]:
    """Where it lies and what is said of it, if it belongs to the model."""
    folder = find(folder)
    manifest = read_manifest(folder, "dictionary")
    if model is not None:
        check_fit(folder, manifest, model)
    return folder, manifest


def _require_enough(facts: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """BadInput where a description asks for more weights than there are: it is built before it is compared."""
    need = (
        facts["d_dict"] * (min(ends_of(facts, "in")[1]) + min(ends_of(facts, "out")[1])) // len(ends_of(facts, "in")[1])
    )
    if need > (have := sum(w.numel() for w in weights.values())):
        raise BadInput(f"The description of the dictionary asks for {need:,} weights, and {have:,} are there.")


def put(dictionary: AnyDictionary, weights: dict[str, Tensor], source: str) -> None:
    """Copy named weights into a dictionary; BadInput if a name or a shape differs."""
    want = {name: tuple(value.shape) for name, value in dictionary.state_dict().items()}
    have = {name: tuple(value.shape) for name, value in weights.items()}
    if want != have:
        raise BadInput(f"{source} holds {have}, but its description asks for {want}.")
    dictionary.load_state_dict(weights)


def find(folder: Path | str) -> Path:
    """The folder as given, or the artifact of that name under `home()`."""
    return found_folder("dictionary", folder)
