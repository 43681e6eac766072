"""One short pass with a reader at every hook that may hold a site: what each reported, and the first that fits a site's axes.

Names alone tell little: a hook may never fire, or report another tensor under the name. What fits is a candidate, which
`examination.identities` then checks.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from probe.errors import BadInput, Unavailable
from probe.model.examination.spots import Anatomy, Spot
from probe.model.site_kinds import GLOSSARY, Site, spellings

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

ROWS = 2
EXTRA = {"mlp_out": ("blocks.{layer}.mlp.out.hook_out",), "mlp_write": ("blocks.{layer}.mlp.out.hook_out",)}
"""Hooks that hold a site in models whose MLP module returns more than the MLP's own output."""
NORMS = {"ln1_scale": "ln1", "ln1_post_scale": "ln1_post", "ln2_scale": "ln2", "ln2_post_scale": "ln2_post"}


def probe_tokens(model: "TransformerBridge") -> Tensor:
    """A few tokens, of a length that no count of heads has, so that axes can be told apart."""
    cfg = model.cfg
    heads = {int(getattr(cfg, name, None) or 0) for name in ("n_heads", "n_key_value_heads")}
    length = next(n for n in (5, 7, 6, 11) if n not in heads)
    length = max(1, min(length, int(getattr(cfg, "n_ctx", None) or length)))
    ids = (torch.arange(ROWS * length).view(ROWS, length) * 7 + 3) % max(int(cfg.d_vocab), 1)
    return ids.to(next(model.parameters()).device)


class Readings:
    """One pass with a reader at every hook that may hold a site, and which of them holds which."""

    def __init__(self, model: "TransformerBridge"):
        if not hasattr(model, "blocks"):
            raise BadInput(
                f"{type(model.original_model).__name__} is not one stack of decoder layers (an encoder and a decoder?); "
                "Openwork reads decoders."
            )
        self.model, self.hooks = model, frozenset(model.hook_dict)
        self.found = Anatomy()
        self.tokens = probe_tokens(model)
        self.values, self.output = self._run()

    def _run(self) -> tuple[dict[str, Tensor], Tensor]:
        values: dict[str, Tensor] = {}

        def reader(name: str) -> Callable:
            return lambda value, hook: values.__setitem__(name, value) if isinstance(value, Tensor) else None

        hooks = [(name, reader(name)) for name in self._wanted()]
        try:
            with torch.no_grad(), self.model.hooks(fwd_hooks=hooks):
                output = self.model(self.tokens)
        except (AttributeError, TypeError, ValueError, IndexError, KeyError, RuntimeError) as error:
            line = (str(error).splitlines() or [""])[0]
            raise Unavailable(
                f"{type(self.model.original_model).__name__} does not run under the installed transformers and transformer-lens "
                f"({type(error).__name__}: {line[:160]}), so nothing can be read in it. Try other versions of them."
            ) from error
        return values, output

    def _wanted(self) -> list[str]:
        layers = range(int(self.model.cfg.n_layers))
        ends = (
            "attn.o.hook_out",
            "mlp.out.hook_out",
            *(f"{n}.{h}" for n in NORMS.values() for h in ("hook_in", "hook_out")),
        )
        more = ["ln_final.hook_in", "ln_final.hook_out", *(f"blocks.{i}.{end}" for i in layers for end in ends)]
        every = [name for site in self.sites() for name in self.names(site)]
        return [name for name in dict.fromkeys([*every, *more]) if name in self.hooks]

    def sites(self) -> Iterator[Site]:
        """Every site that the glossary knows of, in every layer."""
        for kind, row in GLOSSARY.items():
            yield from (
                [Site(kind, i) for i in range(int(self.model.cfg.n_layers))] if "{layer}" in row.hook else [Site(kind)]
            )

    def names(self, site: Site) -> list[str]:
        """Hooks that may hold a site, the likeliest first."""
        if site.kind == "pos_embed" and "pos_embed.hook_out" not in self.hooks:
            return []  # rotary models carry the name too, for something else that never fires
        extra = [hook.format(layer=site.layer) for hook in EXTRA.get(site.kind, ())]
        names = [n for n in [*spellings(site)[1:], *extra] if n in self.hooks]
        return [n for n in names if not n.endswith("hook_mlp_in")]  # silent unless a flag asks for it

    def place(self, site: Site, hook: str | None = None) -> None:
        """The first hook that fired with a tensor of the site's axes."""
        names = [hook] if hook else [n for n in self.names(site) if n in self.values]
        if not names:
            if self.names(site):
                self.found.missing[site] = "its hook never fires in this architecture"
            return
        made = self._spot(site, names[0])
        if made is None:
            self.found.missing[site] = (
                f"what the model reports there has shape {tuple(self.values[names[0]].shape)}, which are not the axes "
                f"{' '.join(site.axes)}"
            )
        else:
            self.found.spots[site] = made

    def _spot(self, site: Site, hook: str) -> Spot | None:
        value, (rows, length) = self.values[hook], self.tokens.shape
        axes, cfg = site.axes, self.model.cfg
        kind = next((a for a in axes[2:] if a in ("head", "kv_head")), None)
        if kind is not None:
            return self._head_spot(site, hook, kind)
        if "q_pos" in axes:
            return Spot(site, hook, {}) if value.ndim == 4 and value.shape[0] == rows else None
        flat = value.ndim == len(axes) - 1 and value.shape[0] == rows * length
        if not (flat or (value.ndim == len(axes) and value.shape[:2] == (rows, length))):
            return None
        size, expected = int(value.shape[-1]), {"d_model": int(cfg.d_model), "1": 1}.get(axes[-1])
        return Spot(site, hook, {axes[-1]: size}) if expected in (None, size) else None

    def _head_spot(self, site: Site, hook: str, axis: str) -> Spot | None:
        value, (rows, length) = self.values[hook], self.tokens.shape
        n = self._heads(site)
        if n == 0:
            return None
        if value.ndim == 4 and value.shape[2] == length and value.shape[1] != length:
            return Spot(site, hook, {axis: int(value.shape[1]), "d_head": int(value.shape[3])}, heads_first=True)
        if value.shape[:2] != (rows, length) or (width := value[0, 0].numel()) % n:
            return None
        return Spot(site, hook, {axis: n, "d_head": width // n})

    def _heads(self, site: Site) -> int:
        """How many heads a site has: for z those of W_O, else what the tensor itself says."""
        cfg, attn = self.model.cfg, getattr(self.model.blocks[site.layer or 0], "attn", None)
        if site.kind in ("z", "q"):
            return int(getattr(getattr(attn, "original_component", None), "num_heads", None) or cfg.n_heads)
        value = self.values[self.names(site)[0]]
        return int(value.shape[2]) if value.ndim == 4 else int(getattr(cfg, "n_key_value_heads", None) or cfg.n_heads)

    def value(self, kind: str, layer: int | None = None) -> Tensor | None:
        """What was read at a site, on the glossary's axes; None where it was not found."""
        at = self.found.spots.get(Site(kind, layer))
        return None if at is None else at.read(self.values[at.hook], ROWS)

    def lacks(self, kind: str, layer: int | None, why: str) -> None:
        """Note that the model does not have a site; the first reason stays."""
        site = Site(kind, layer)
        if self.found.spots.pop(site, None) is not None or site not in self.found.missing:
            self.found.missing[site] = why


def head_width(found: Anatomy, layer: int, kind: str) -> int:
    """Numbers of one head at a site as the model reports it."""
    at = found.spots.get(Site(kind, layer))
    return -1 if at is None else at.sizes["d_head"]
