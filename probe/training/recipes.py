"""Which dictionary to make for which activations, in a few words: `Recipe("skip_transcoder", "topk:32", d_dict=4608)`.

A rule is a sparsifier and the number it is usually chosen by: `topk:32`, `batchtopk:32`, `jumprelu:32` (target L0), `relu:2.0`
and `gated:2.0` (L1), `matryoshka:32` (BatchTopK with an eighth, a quarter, half and all of the latents as prefixes).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from probe.dictionaries import (
    SAE,
    BatchTopK,
    Crosscoder,
    CrossLayerTranscoder,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLU,
    Sparsifier,
    TopK,
    Transcoder,
)
from probe.dictionaries.store import AnyDictionary
from probe.doc import Doc
from probe.errors import BadInput
from probe.model.sites import parse_site
from probe.plain_values import Settings, look_at_config
from probe.training.config import RULES, Kind

if TYPE_CHECKING:
    from probe.activations.cache import Cache


@dataclass(frozen=True)
class Recipe(Settings):
    """A dictionary to be made. Raises BadInput for an unknown kind or rule.

    Sites left out: an SAE takes the cache's last, a transcoder its first and last, a crosscoder all, a cross-layer transcoder all
    MLP inputs and outputs. Where both sides are named, an SAE is of the one written, so that a sweep sets it beside a transcoder.
    """

    kind: Kind = "skip_transcoder"
    "Kind of dictionary."
    rule: str = "topk:32"
    "Sparsifier and its number: topk:32, batchtopk:32, jumprelu:32, relu:2, gated:2 or matryoshka:32."
    d_dict: Annotated[int | None, Doc(least=1)] = None
    "Latents (of each layer, in a cross-layer transcoder); by default 8 times the width it reads."
    sites_in: tuple[str, ...] = ()
    "Sites it reads; by default the cache's first (an SAE: its last)."
    sites_out: tuple[str, ...] = ()
    "Sites it writes; by default the cache's last."
    seed: Annotated[int, Doc(least=0)] = 0
    "The weights it starts with."

    def __post_init__(self) -> None:
        look_at_config(self)
        parse_rule(self.rule, self.d_dict or 8)  # a rule that cannot be read is said before anything is opened

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def parse_rule(text: str, d_dict: int) -> Sparsifier:
    """The sparsifier that a rule like `topk:32` names. Raises BadInput for an unknown one or a number that does not fit."""
    name, _, number = text.partition(":")
    if name not in RULES:
        raise BadInput(f"'{text}' is no rule; choose {', '.join(f'{r}:NUMBER' for r in RULES)}.")
    value = _number(text, number or "32") if number or name not in ("relu", "gated") else 2.0
    if name in ("topk", "batchtopk", "matryoshka") and not value.is_integer():
        raise BadInput(f"'{text}' asks for {value} latents a token; {name} needs a whole number.")
    if name == "topk":
        return TopK(int(value))
    if name in ("batchtopk", "matryoshka"):
        inner = BatchTopK(int(value))
        widths = sorted({max(1, d_dict // share) for share in (8, 4, 2, 1)})
        return inner if name == "batchtopk" else Matryoshka(inner, widths)
    return {"jumprelu": JumpReLU, "relu": ReLU, "gated": Gated}[name](value)


def _number(rule: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(f"'{rule}' should be a name and a number, as in topk:32.") from error


def make(source: "Cache", recipe: Recipe) -> AnyDictionary:
    """An untrained dictionary that fits the activations in `source`. Raises BadInput for a site or width that does not."""
    if recipe.kind == "crosscoder":
        return _crosscoder(source, recipe)
    if recipe.kind == "cross_layer_transcoder":
        return _cross_layer(source, recipe)
    sites = [source.site(s) for s in recipe.sites_in], [source.site(s) for s in recipe.sites_out]
    _one(recipe.kind, sites[1] if recipe.kind == "sae" and sites[1] else sites[0])
    if recipe.kind == "sae":
        site = (sites[1] or sites[0] or [source.sites[-1]])[0]
        d_dict = recipe.d_dict or 8 * source.width(site)
        rule = parse_rule(recipe.rule, d_dict)
        return SAE(source.width(site), d_dict, sparsifier=rule, site=site, seed=recipe.seed)
    read, written = (sites[0] or [source.sites[0]])[0], sites[1] or [source.sites[-1]]
    d_dict = recipe.d_dict or 8 * source.width(read)
    return Transcoder(
        source.width(read),
        d_dict,
        [source.width(s) for s in written],
        sparsifier=parse_rule(recipe.rule, d_dict),
        site_in=read,
        site_out=written[0] if len(written) == 1 else written,
        skip=recipe.kind == "skip_transcoder",
        seed=recipe.seed,
    )


def _one(kind: str, sites: Sequence[str]) -> None:
    """Refuse sites that would be left aside."""
    if len(sites) > 1:
        raise BadInput(
            f"Dictionaries of kind {kind} read one site, but {', '.join(sites)} were named. Name one, or choose another kind."
        )


def _crosscoder(source: "Cache", recipe: Recipe) -> AnyDictionary:
    sites = [source.site(s) for s in recipe.sites_in or source.sites]
    widths = [source.width(s) for s in sites]
    d_dict = recipe.d_dict or 8 * widths[0]
    return Crosscoder(widths, d_dict, sparsifier=parse_rule(recipe.rule, d_dict), sites=sites, seed=recipe.seed)


def _cross_layer(source: "Cache", recipe: Recipe) -> AnyDictionary:
    read = [source.site(s) for s in recipe.sites_in] or _of_kind(source.sites, "mlp_in")
    written = [source.site(s) for s in recipe.sites_out] or _of_kind(source.sites, "mlp_out")
    if len(read) < 2:
        raise BadInput(
            f"A cross-layer transcoder joins two layers or more; '{source.name}' holds {', '.join(source.sites)}. "
            "Harvest mlp_in and mlp_out of each layer."
        )
    d_dict = recipe.d_dict or 8 * source.width(read[0])
    widths = [[source.width(s) for s in side] for side in (read, written)]
    rule = parse_rule(recipe.rule, d_dict)
    ends = {"sites_in": read, "sites_out": written, "seed": recipe.seed}
    return CrossLayerTranscoder(widths[0], d_dict, widths[1], sparsifier=rule, **ends)


def _of_kind(sites: Sequence[str], kind: str) -> list[str]:
    """The sites of one kind, by layer."""
    found = [parse_site(s) for s in sites]
    return [s.name for s in sorted((s for s in found if s.kind == kind), key=lambda s: s.layer or 0)]
