"""Dictionaries from and to other libraries' files, by format.

import_dictionary("downloads/sae")                        one dictionary, its format recognised
import_dictionaries("hf:owner/transcoders", model=model)  those of a set, one after the other
export_dictionary(dictionary, "out", "saelens")
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.artifacts.manifest import Manifest
from probe.artifacts.names import as_path
from probe.dictionaries.store import AnyDictionary, save_dictionary
from probe.errors import BadInput, brief
from probe.exchange import circuit_tracer, dictionary_learning, gemma_scope, saelens, sparsify, transcoder_circuits
from probe.exchange.files import whole_folder
from probe.exchange.fitting import check_widths, fitted, needs_a_model
from probe.exchange.foreign import Foreign, Format
from probe.exchange.hub import asked_for, fetch, is_hub
from probe.model.sites import as_dtype, parse_site
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (saelens, sparsify, circuit_tracer, dictionary_learning, gemma_scope, transcoder_circuits)
}


@dataclass(frozen=True, eq=False)
class Imported(Record):
    """A dictionary, its name inside the source (`.` if it is the source), and where it comes from."""

    name: str
    dictionary: AnyDictionary
    origin: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        d = self.dictionary
        sites = {"sites_in": list(d.sites_in), "sites_out": list(d.sites_out)}
        rule = {"rule": d.sparsifier.name, "d_in": d.d_in, "d_dict": d.d_dict, "d_out": d.d_out}
        return {"name": self.name, "kind": d.kind, **rule, **sites, **self.origin}


def sniff(source: Path | str) -> str:
    """The name of the format of a local folder or file. BadInput if it is none, or does not exist."""
    path = as_path(source)
    if not path.exists():
        raise BadInput(f"There is no folder or file {source}. A name on the model hub is written hf:owner/name.")
    for name, format in FORMATS.items():
        if format.find(path):
            return name
    known = "; ".join(format.about for format in FORMATS.values())
    raise BadInput(f"{source} holds dictionaries of no known format. Known are {known}.")


def contents(source: Path | str, format: str | None = None, only: Sequence[str] = ()) -> tuple[Path, Format, list[str]]:
    """The local place of a source (fetched, if it is on the hub), its format, and the dictionaries in it by name."""
    path = fetch(str(source)) if is_hub(source) else as_path(source)
    chosen = known_format(format or sniff(path))
    names = chosen.find(path) if path.exists() else []
    if not names:
        raise BadInput(f"{source} holds nothing of the format {chosen.name} ({chosen.about}).")
    if missing := [name for name in only if name not in names]:
        raise BadInput(
            f"{source} has no {', '.join(missing)}; it has {', '.join(names[:12])}{' ...' * (len(names) > 12)}."
        )
    return path, chosen, [name for name in names if name in only] if only else names


def known_format(name: str) -> Format:
    if not isinstance(name, str):
        raise BadInput(
            f"A format's name was wanted ({', '.join(FORMATS)}), and {brief(name)} came. A model is handed over as `model=`."
        )
    if name not in FORMATS:
        raise BadInput(f"{brief(name)} is no format of dictionaries; choose {', '.join(FORMATS)}.")
    return FORMATS[name]


def import_dictionaries(
    source: Path | str,
    format: str | None = None,
    *,
    model: "TransformerBridge | None" = None,
    only: Sequence[str] = (),
    site_in: str | None = None,
    site_out: str | None = None,
    dtype: str = "float32",
) -> Iterator[Imported]:
    """The dictionaries of a folder, file or hub repository (`hf:owner/name[/folder]`), read one after the other.

    format: by default recognised. model: checks widths and layers, and makes one whose input was taken before a norm's weight
    read the site after it. only: names of some. site_in, site_out: where the file's are missing or wrong, for one dictionary.
    Raises BadInput for what cannot be read exactly, Unavailable for damaged files and where the hub cannot be reached.

    >>> for found in ow.import_dictionaries(foreign, model=model):
    ...     print(found.name, found.dictionary.d_dict)
    layers.1.mlp 128
    """
    path, chosen, names = contents(source, format, only)
    if (site_in or site_out) and len(names) > 1:
        raise BadInput(
            f"{source} holds {len(names)} dictionaries; sites can be given for one of them, chosen by its name."
        )
    precision = as_dtype(dtype)
    for name in names:
        with asked_for(is_hub(source)):
            read = chosen.read(path, name)
        foreign = _placed(read, site_in, site_out)
        if model is not None:
            foreign = fitted(foreign, model)
        elif needs_a_model(foreign):
            raise BadInput(
                f"{foreign.source} was trained on a stream whose mean was taken out, if the model's norms are layer norms. "
                "Give the model (--model), which says so."
            )
        dictionary = foreign.dictionary(precision)
        if model is not None:
            check_widths(dictionary, foreign.source, model)
        shown = str(source) if is_hub(source) else path.resolve().name
        origin = {"format": chosen.name, "source": shown, "part": name, **foreign.facts}
        yield Imported(name, dictionary, origin)


def artifact_name(source: Path | str, part: str, base: str | None = None) -> str:
    """The name an imported dictionary gets: of its source, with the part's path behind it where there are several."""
    last = str(source).split("@")[0].rstrip("/").split("/")[-1].removeprefix("hf:") if is_hub(source) else ""
    path = Path(source)
    name = base or last or (path.resolve().stem if path.is_file() else path.resolve().name)
    return name if part == "." else f"{name}-{part.replace('/', '-')}"


def store(imported: Imported, folder: Path, model: "TransformerBridge | None" = None) -> Manifest:
    """Write an imported dictionary as an artifact, with the model's stamp if it was checked against one."""
    from probe.model.load import stamp

    of_model = None if model is None else stamp(model)
    return save_dictionary(imported.dictionary, folder, model=of_model, config={"imported": imported.origin})


def import_dictionary(source: Path | str, format: str | None = None, **options: Any) -> AnyDictionary:
    """The only dictionary there; options as of `import_dictionaries`. BadInput where there are several.

    >>> ow.import_dictionary(foreign).d_dict
    128
    """
    found = contents(source, format, options.get("only", ()))[2]
    if len(found) > 1:
        raise BadInput(
            f"{source} holds {len(found)} dictionaries ({', '.join(found[:6])}, ...); choose one with `only`."
        )
    return next(import_dictionaries(source, format, **options)).dictionary


def export_dictionary(
    dictionary: AnyDictionary | Sequence[AnyDictionary], folder: Path | str, format: str, **facts: Any
) -> list[str]:
    """Write dictionaries as another library reads them into a new folder, whole or not at all; returns the files' names.

    facts: `model_name` is put where the format has a place for it; `layers` is what the model calls its list of blocks (for
    sparsify). Raises BadInput for what the format cannot express exactly, and if the folder holds anything.

    >>> ow.export_dictionary(transcoder, folder, "sparsify")
    ['layers.1.mlp/cfg.json', 'layers.1.mlp/sae.safetensors']
    """
    chosen = known_format(format)
    if chosen.write is None:
        able = ", ".join(name for name, other in FORMATS.items() if other.write)
        raise BadInput(f"{format} can be imported but not exported; choose {able}.")
    several = list(dictionary) if isinstance(dictionary, Sequence) else [dictionary]
    if not several:
        raise BadInput("No dictionary was given to export.")
    with whole_folder(as_path(folder)) as beside:
        chosen.write(several, beside, facts)
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def _placed(foreign: Foreign, site_in: str | None, site_out: str | None) -> Foreign:
    """With the sites that were asked for instead of the file's. One site makes or keeps an SAE; two make a transcoder."""
    if not (site_in or site_out):
        return foreign
    if foreign.cross_layer:
        raise BadInput("A cross-layer transcoder has several sites; they come from its config.yaml.")
    is_sae = foreign.sites_in == foreign.sites_out
    source = parse_site(site_in).name if site_in else None
    target = parse_site(site_out).name if site_out else None
    if is_sae and (source is None or target is None):
        source = target = source or target
    return replace(foreign, sites_in=(source or foreign.sites_in[0],), sites_out=(target or foreign.sites_out[0],))
