"""Where a dictionary stands in a graph: which layer's MLP it replaces, or where in the residual stream it is spliced in.

transcoder (skip or not), cross-layer transcoder    reads mlp_in or resid_mid, writes mlp_out or mlp_write
SAE of an MLP's output                              mlp_out, mlp_write
SAE of the residual stream                          resid_mid, resid_post (resid_pre is the previous layer's resid_post)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuits.replacement.stored import canonical, place_of
from probe.dictionaries.sparsifiers.gated import with_strengths
from probe.errors import BadInput
from probe.model.sites import Site, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Placed:
    """One layer's dictionary. at: `mlp`, `mid` or `post`. dictionary: what has the weights of this layer; whole: what the
    user gave (a cross-layer transcoder has one part a layer). writes: the layers whose MLP outputs it predicts."""

    at: str
    layer: int
    dictionary: Any
    whole: Any
    read: Site
    write: Site
    writes: tuple[int, ...]

    @property
    def is_sae(self) -> bool:
        """Whether it reconstructs what it reads."""
        return self.read == self.write


def place_dictionaries(model: "TransformerBridge", dictionaries: Sequence[Any]) -> dict[int, Placed]:
    """Dictionaries, loaded or by name, by layer. BadInput for sites no dictionary of a graph can have, wrong widths, two for one
    layer."""
    found: dict[int, Placed] = {}
    for whole in (loaded(model, one) for one in dictionaries):
        for part in getattr(whole, "parts", (whole,)):
            one = _placed(model, with_strengths(part), whole)
            if one.layer in found:
                raise BadInput(f"Two dictionaries stand for layer {one.layer}; give one.")
            found[one.layer] = one
    _check_reach(found)
    return found


def loaded(model: "TransformerBridge", dictionary: Any) -> Any:
    """A dictionary; the stored one where it is a name or a folder."""
    if not isinstance(dictionary, str | Path):
        return dictionary
    from probe.dictionaries import load_dictionary

    return load_dictionary(dictionary, model)


def _sites(dictionary: Any, side: str) -> tuple[str, ...]:
    """`sites_in` or `sites_out`; a plain transcoder may name only `site_in` and `site_out`."""
    several = getattr(dictionary, f"sites_{side}", None)
    return tuple(several) if several is not None else (getattr(dictionary, f"site_{side}"),)


def _placed(model: "TransformerBridge", part: Any, whole: Any) -> Placed:
    reads = [canonical(parse_site(s, model)) for s in _sites(part, "in")]
    writes = [canonical(parse_site(s, model)) for s in _sites(part, "out")]
    read, write = reads[0], writes[0]
    at = place_of(reads, writes)
    if at is None or read.layer is None:
        names = f"from {', '.join(s.short for s in reads)} to {', '.join(s.short for s in writes)}"
        raise BadInput(
            f"A dictionary {names} cannot stand in a graph. Transcoders from mlp_in (or resid_mid) to mlp_out (or mlp_write) "
            "of the same layer, or of it and later ones, can, and SAEs of mlp_out, resid_mid or resid_post."
        )
    wanted, parallel = int(model.cfg.d_model), bool(model.cfg.parallel_attn_mlp)
    if part.W_enc.shape[0] != wanted:
        raise BadInput(
            f"The dictionary at {read.short} reads {part.W_enc.shape[0]} numbers; this model has {wanted}. Was it trained on "
            "another model?"
        )
    if part.W_dec.shape[1] != wanted * len(writes):
        raise BadInput(
            f"The dictionary at {read.short} writes {part.W_dec.shape[1]} numbers; {wanted * len(writes)} are needed."
        )
    if parallel and "resid_mid" in (read.kind, write.kind):
        raise BadInput("In this model attention and MLP read the same stream, so there is no resid_mid between them.")
    return Placed(at, read.layer, part, whole, read, write, tuple(int(s.layer or 0) for s in writes))


def _check_reach(found: Mapping[int, Placed]) -> None:
    """A layer that a cross-layer transcoder writes to needs a part of its own, to hold what is left to explain there."""
    for one in found.values():
        for layer in one.writes[1:]:
            other = found.get(layer)
            if other is None or other.whole is not one.whole:
                raise BadInput(
                    f"The dictionary that reads {one.read.short} also writes to layer {layer}, where no part of it stands. Give "
                    "a whole cross-layer transcoder, with one part for each layer it writes to."
                )


def dictionary_names(placed: Mapping[int, Placed]) -> dict[str, str]:
    """By layer (`4`) or place in the stream (`resid_post.4`): the name of its artifact, or the fingerprint of its weights."""
    return {str(k) if p.at == "mlp" else p.write.short: _name(p.whole) for k, p in sorted(placed.items())}


def _name(dictionary: Any) -> str:
    from probe.model.fingerprint import weights_fingerprint

    return str(getattr(dictionary, "name", "")) or f"unstored, weights {weights_fingerprint(dictionary)[:12]}"
