"""Which sites a model really has: looked up in one short forward pass, kept for the model's lifetime.

A hook's name promises more than every architecture keeps. A mixture of experts reports its output under the name of neurons,
Bloom adds the stream inside its MLP, latent attention lays heads out in another order, and some attention reports its pattern
under the name of scores. So the identities that everything else rests on are checked on a few tokens of the very model:

    resid_pre + attn_out = resid_mid        resid_mid + mlp_write = resid_post        softmax(scores) = pattern
    z W_O + b_O = what attention returns    mlp_post W_out + b_out = what the MLP returns
    logits = the model's output (before a soft-cap)

Where another hook of the model keeps the identity, it is used; a number that the model multiplies (logits of Cohere and Granite)
is a site's `factor`; else the model does not have the site, and `missing` says why.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from probe.errors import BadInput, Unavailable
from probe.model.site_kinds import GLOSSARY, Site, spellings

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

ROWS = 2
EXTRA = {"mlp_out": ("blocks.{layer}.mlp.out.hook_out",), "mlp_write": ("blocks.{layer}.mlp.out.hook_out",)}
"""Hooks that hold a site in models whose MLP module returns more than the MLP's own output."""
ACTS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "relu2")
NORMS = {"ln1_scale": "ln1", "ln1_post_scale": "ln1_post", "ln2_scale": "ln2", "ln2_post_scale": "ln2_post"}


@dataclass(frozen=True)
class Spot:
    """Where a model holds a site. sizes: of the trailing axes, by name. heads_first: the tensor is (batch, head, pos, d_head).
    factor: what the hook's value is multiplied with to be the site's."""

    site: Site
    hook: str
    sizes: dict[str, int]
    heads_first: bool = False
    factor: float = 1.0

    def read(self, value: Tensor, batch: int) -> Tensor:
        """The hook's value on the glossary's axes."""
        axes = self.site.axes
        if self.heads_first:
            value = value.transpose(1, 2)
        elif value.ndim == len(axes) - 1:  # OPT runs its MLPs with batch and position in one axis
            value = value.reshape(batch, -1, *value.shape[1:])
        if "head" in axes[2:] or "kv_head" in axes[2:]:
            value = value.reshape(*value.shape[:2], *self.sizes.values())
        return value if self.factor == 1.0 else value * self.factor

    def put(self, changed: Tensor, value: Tensor) -> Tensor:
        """A site's new value in the layout of the hook's old one."""
        changed = changed if self.factor == 1.0 else changed / self.factor
        return (changed.transpose(1, 2) if self.heads_first else changed).reshape(value.shape).to(value)

    def change(self, value: Tensor, batch: int, function: Callable[[Tensor], Tensor]) -> Tensor:
        """What the hook returns so that the site becomes `function` of its value.

        `resid_mid` is hooked where the MLP's norm reads. The stream there is the very same tensor, which the block adds to later,
        so it is changed in place: what a hook returns would reach the MLP and not the stream (`require_stream` looks).
        """
        if self.site.kind != "resid_mid":
            return self.put(function(self.read(value, batch)), value)
        return value.copy_(self.put(function(self.read(value, batch).clone()), value))

    @property
    def width(self) -> int:
        """Numbers per token, all heads together."""
        return prod(self.sizes.values())


@dataclass
class Anatomy:
    """spots: the sites a model has. missing: why it lacks others. logit_factor: what W_U x is multiplied with to be a logit;
    linear_readout: whether it is one. factors: what attention and MLP return is multiplied with to be written (`attn_out`,
    `mlp_write`). act_fn: the nonlinearity of a layer's neurons, where it is one of `ACTS` or the one the model names.
    shared_norm: layers whose attention and MLP read through one norm. stream_in_place: see `require_stream`."""

    spots: dict[Site, Spot] = field(default_factory=dict)
    missing: dict[Site, str] = field(default_factory=dict)
    logit_factor: float = 1.0
    linear_readout: bool = True
    factors: dict[Site, float] = field(default_factory=dict)
    shared_norm: set[int] = field(default_factory=set)
    act_fn: dict[int, str] = field(default_factory=dict)
    stream_in_place: bool = False


_known: "WeakKeyDictionary[TransformerBridge, Anatomy]" = WeakKeyDictionary()


def anatomy(model: "TransformerBridge") -> Anatomy:
    """What a model has. Raises Unavailable for a model that does not run."""
    if model not in _known:
        found = _Examination(model).result()
        found.stream_in_place = _stream_follows(model, found)
        _known[model] = found
    return _known[model]


def spot(site: Site, model: "TransformerBridge") -> Spot:
    """Where the model holds a site; BadInput says why it does not."""
    found = anatomy(model)
    if site not in found.spots:
        why = found.missing.get(site)
        raise BadInput(f"This model has no '{site.short}' ({GLOSSARY[site.kind].meaning}){f': {why}' if why else ''}.")
    return found.spots[site]


def require_stream(model: "TransformerBridge") -> None:
    """BadInput where a change of `resid_mid` would not reach the stream."""
    if not anatomy(model).stream_in_place:
        raise BadInput(
            "This model keeps its residual stream apart from what its MLPs read, so resid_mid cannot be changed there; "
            "change attn_out, resid_pre or resid_post."
        )


def _stream_follows(model: "TransformerBridge", found: Anatomy) -> bool:
    """Whether resid_post = resid_mid + mlp_write still holds when resid_mid is changed, in all layers of one pass."""
    layers = [s.layer for s in found.spots if s.kind == "resid_mid"]
    kept: dict[Site, Tensor] = {}

    def changer(at: Spot) -> Callable:
        def change(value: Tensor, hook: object) -> Tensor:
            changed = at.change(value, ROWS, lambda v: 3 * v.flip(-1) + 1)
            kept[at.site] = at.read(changed, ROWS).clone()
            return changed

        return change

    def reader(at: Spot) -> Callable:
        return lambda value, hook: kept.__setitem__(at.site, at.read(value, ROWS))

    hooks = [(found.spots[Site("resid_mid", i)].hook, changer(found.spots[Site("resid_mid", i)])) for i in layers]
    for kind in ("mlp_write", "resid_post"):
        hooks += [(at.hook, reader(at)) for i in layers if (at := found.spots.get(Site(kind, i))) is not None]
    with torch.no_grad(), model.hooks(fwd_hooks=hooks):
        model(probe_tokens(model))
    return all(
        _same(kept[Site("resid_mid", i)] + kept[Site("mlp_write", i)], kept[Site("resid_post", i)])
        for i in layers
        if Site("mlp_write", i) in kept and Site("resid_post", i) in kept
    )


def probe_tokens(model: "TransformerBridge") -> Tensor:
    """A few tokens, of a length that no count of heads has, so that axes can be told apart."""
    cfg = model.cfg
    heads = {int(getattr(cfg, name, None) or 0) for name in ("n_heads", "n_key_value_heads")}
    length = next(n for n in (5, 7, 6, 11) if n not in heads)
    length = max(1, min(length, int(getattr(cfg, "n_ctx", None) or length)))
    ids = (torch.arange(ROWS * length).view(ROWS, length) * 7 + 3) % max(int(cfg.d_vocab), 1)
    return ids.to(next(model.parameters()).device)


class _Examination:
    """One pass with a reader at every hook that may hold a site, and what can be told from it."""

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
        every = [name for site in self._sites() for name in self._names(site)]
        return [name for name in dict.fromkeys([*every, *more]) if name in self.hooks]

    def _sites(self) -> Iterator[Site]:
        for kind, row in GLOSSARY.items():
            yield from (
                [Site(kind, i) for i in range(int(self.model.cfg.n_layers))] if "{layer}" in row.hook else [Site(kind)]
            )

    def _names(self, site: Site) -> list[str]:
        """Hooks that may hold a site, the likeliest first."""
        if site.kind == "pos_embed" and "pos_embed.hook_out" not in self.hooks:
            return []  # rotary models carry the name too, for something else that never fires
        extra = [hook.format(layer=site.layer) for hook in EXTRA.get(site.kind, ())]
        names = [n for n in [*spellings(site)[1:], *extra] if n in self.hooks]
        return [n for n in names if not n.endswith("hook_mlp_in")]  # silent unless a flag asks for it

    # What was found

    @torch.no_grad()
    def result(self) -> Anatomy:
        for site in self._sites():
            self._place(site)
        for layer in range(int(self.model.cfg.n_layers)):
            self._attention(layer)
            self._mlp(layer)
            self._stream(layer)
            for kind in NORMS:
                self._norm(Site(kind, layer), f"blocks.{layer}.{NORMS[kind]}")
        self._norm(Site("final_scale"), "ln_final")
        self._readout()
        return self.found

    def _place(self, site: Site, hook: str | None = None) -> None:
        """The first hook that fired with a tensor of the site's axes."""
        names = [hook] if hook else [n for n in self._names(site) if n in self.values]
        if not names:
            if self._names(site):
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
        value = self.values[self._names(site)[0]]
        return int(value.shape[2]) if value.ndim == 4 else int(getattr(cfg, "n_key_value_heads", None) or cfg.n_heads)

    def _value(self, kind: str, layer: int | None = None) -> Tensor | None:
        at = self.found.spots.get(Site(kind, layer))
        return None if at is None else at.read(self.values[at.hook], ROWS)

    def _lacks(self, kind: str, layer: int | None, why: str) -> None:
        site = Site(kind, layer)
        if self.found.spots.pop(site, None) is not None or site not in self.found.missing:
            self.found.missing[site] = why

    # Identities

    def _attention(self, layer: int) -> None:
        block = self.model.blocks[layer]
        attn = getattr(block, "attn", None)
        if attn is None:
            for kind in ("attn_in", "q", "k", "v", "scores", "pattern", "z", "attn_out"):
                self._lacks(kind, layer, f"layer {layer} has no attention")
            return
        q, pattern = self._value("q", layer), self._value("pattern", layer)
        if q is not None and _head_width(self.found, layer, "q") != _head_width(self.found, layer, "k"):
            self._lacks("q", layer, "what projects the queries also holds something else (an output gate)")
        z, out = self._value("z", layer), self.values.get(f"blocks.{layer}.attn.o.hook_out")
        if z is not None and out is not None:
            written = _written(z.flatten(2), attn, "O")
            if written is None or not _same(written, out.reshape(written.shape)):
                self._lacks("z", layer, "its output matrix does not turn it into what attention returns")
            elif getattr(block, "ln1_post", None) is None:
                self._note_factor(Site("attn_out", layer), written)
        scores = self._value("scores", layer)
        if scores is not None and (pattern is None or not _same(_softmax(scores), pattern)):
            self._lacks("scores", layer, "what the model reports there are not scores whose softmax is the pattern")

    def _note_factor(self, site: Site, returned: Tensor) -> None:
        """What a module returns is multiplied with before it is written, where it is."""
        write = self._value(site.kind, site.layer)
        if write is not None and write.numel() == returned.numel():
            self.found.factors[site] = _factor(returned.reshape(write.shape), write) or 1.0

    def _mlp(self, layer: int) -> None:
        mlp = getattr(self.model.blocks[layer], "mlp", None)
        if mlp is None:
            for kind in ("mlp_in", "mlp_pre", "mlp_pre_linear", "mlp_post", "mlp_out", "mlp_write"):
                self._lacks(kind, layer, f"layer {layer} has no MLP")
            return
        post, out = self._value("mlp_post", layer), self.values.get(f"blocks.{layer}.mlp.out.hook_out")
        out = self._value("mlp_out", layer) if out is None else out
        W_in = readable(mlp, "W_in")
        if W_in is None or W_in.ndim != 2:
            for kind in ("mlp_pre", "mlp_pre_linear", "mlp_post"):
                self._lacks(
                    kind, layer, f"layer {layer}'s MLP has no single W_in (a mixture of experts?), so no neurons"
                )
        elif post is not None and out is not None:
            written = _written(post, mlp, "out")
            if written is None or not _same(written, out.reshape(written.shape)):
                for kind in ("mlp_pre", "mlp_pre_linear", "mlp_post"):
                    self._lacks(kind, layer, f"W_out does not turn layer {layer}'s neurons into what its MLP returns")
        x, y = self._value("mlp_in", layer), self.values.get(f"blocks.{layer}.ln1.hook_out")
        if x is not None and y is not None and x.shape == y.shape and _same(x, y):
            self.found.shared_norm.add(layer)
        post = self._value("mlp_post", layer)
        self._activation(layer, post)
        for kind in ("mlp_pre", "mlp_pre_linear"):
            value = self._value(kind, layer)
            if value is not None and post is not None and value.shape != post.shape:
                self._lacks(kind, layer, f"it is {value.shape[-1]} wide where the neurons are {post.shape[-1]}")

    def _activation(self, layer: int, post: Tensor | None) -> None:
        """The nonlinearity that makes the neurons: the nearest, because some differ by less than rounding allows."""
        from transformers.activations import ACT2FN

        pre, linear = self._value("mlp_pre", layer), self._value("mlp_pre_linear", layer)
        if pre is None or post is None or pre.shape != post.shape or not bool(post.isfinite().all()):
            return
        names = [n for n in dict.fromkeys([str(getattr(self.model.cfg, "act_fn", "")), *ACTS]) if n in ACT2FN]
        made = {
            n: ACT2FN[n](pre) * (1 if linear is None else linear) for n in names if "solu" not in n and n != "xielu"
        }
        best = min(made, key=lambda n: float((made[n] - post).abs().max()))
        if _same(made[best], post):
            self.found.act_fn[layer] = best

    def _stream(self, layer: int) -> None:
        """The writes and the middle of the stream, and for what they do not add up to, another hook."""
        pre, attn = self._value("resid_pre", layer), self._value("attn_out", layer)
        mid, post = self._value("resid_mid", layer), self._value("resid_post", layer)
        if pre is None or post is None:
            for kind in ("attn_out", "resid_mid", "mlp_write"):
                self._lacks(
                    kind, layer, f"what enters or leaves layer {layer} is not reported, so no sum of it can be checked"
                )
            return
        if mid is None and attn is not None:
            mid = pre + attn
        elif mid is not None and attn is not None and not _same(pre + attn, mid):
            self._lacks("attn_out", layer, "the stream before it and this do not sum to the stream after it")
        if getattr(self.model.blocks[layer], "mlp", None) is None:
            self._alone(layer, attn, mid, post)
            return
        fitting = [n for n in self._names(Site("mlp_write", layer)) if self._adds(n, pre if mid is None else mid, post)]
        if fitting:
            self._place(Site("mlp_write", layer), fitting[0])
            self._returned(layer)
            return
        for kind in ("attn_out", "resid_mid", "mlp_write"):
            self._lacks(kind, layer, f"layer {layer}'s stream is not a sum of what attention and MLP write")

    def _alone(self, layer: int, attn: Tensor | None, mid: Tensor | None, post: Tensor) -> None:
        """A layer without an MLP ends where its mixer has written; there is nothing between."""
        self._lacks("resid_mid", layer, f"layer {layer} has no MLP, so nothing lies between")
        if attn is not None and (mid is None or not _same(mid, post)):
            self._lacks("attn_out", layer, "the stream before it and this do not sum to the stream after it")

    def _adds(self, hook: str, mid: Tensor, post: Tensor) -> bool:
        value = self.values.get(hook)
        return value is not None and value.numel() == mid.numel() and _same(mid + value.reshape(mid.shape), post)

    def _returned(self, layer: int) -> None:
        """What the MLP returns: what it writes but for a post-norm or a number."""
        site, write = Site("mlp_out", layer), self._value("mlp_write", layer)
        post_norm = getattr(self.model.blocks[layer], "ln2_post", None)
        if write is None or post_norm is not None:
            return
        for name in self._names(site):
            value = self.values.get(name)
            if (
                value is not None
                and value.numel() == write.numel()
                and _proportional(value.reshape(write.shape), write)
            ):
                self._place(site, name)
                self._note_factor(Site("mlp_write", layer), value)
                return
        self._lacks("mlp_out", layer, "no hook holds what the MLP alone returns")

    def _norm(self, site: Site, name: str) -> None:
        """A norm's divisor, if dividing by it gives what the norm returns."""
        from probe.model.norms import norm_parts

        scale, x, y = (
            self._value(site.kind, site.layer),
            self.values.get(f"{name}.hook_in"),
            self.values.get(f"{name}.hook_out"),
        )
        if scale is None or x is None or y is None:
            return
        owner = self.model if site.layer is None else self.model.blocks[site.layer]
        parts = norm_parts(getattr(owner, name.split(".")[-1]), x)
        if not _same(parts.scaled(x) / scale.reshape(*x.shape[:-1], 1) + parts.bias, y):
            self._lacks(
                site.kind,
                site.layer,
                "dividing by it and applying the norm's weight does not give what the norm returns",
            )

    def _readout(self) -> None:
        """Logits as the model returns them before any soft-cap, and as W_U makes them."""
        site, raw = Site("logits"), self._value("logits")
        if raw is None:
            return
        cap = float(getattr(self.model.cfg, "output_logits_soft_cap", None) or -1.0)
        given = self.output.float() if self.output.dtype not in (torch.float32, torch.float64) else self.output
        plain = given if cap <= 0 else cap * torch.atanh((given / cap).clamp(-1 + 1e-7, 1 - 1e-7))
        if cap > 0 and _same(cap * torch.tanh(raw.to(given) / cap), given):
            self.found.linear_readout = self._linear(raw)
            return
        factor = _factor(raw, plain) if plain.shape == raw.shape else None
        if factor is None:
            self._lacks("logits", None, "the model's output is not its unembedding's times a number")
            return
        self.found.logit_factor = factor
        self.found.linear_readout = self._linear(raw)
        self.found.spots[site] = replace(self.found.spots[site], factor=factor)

    def _linear(self, raw: Tensor) -> bool:
        """Whether the unembedding's output is W_U x + b_U of what the final norm returns."""
        x, W, b = self._value("ln_final"), readable(self.model, "W_U"), readable(self.model, "b_U")
        if x is None or W is None or W.shape != (x.shape[-1], raw.shape[-1]):
            return False
        made = x.to(W.dtype) @ W
        return _same(made if b is None else made + b, raw)


def _head_width(found: Anatomy, layer: int, kind: str) -> int:
    """Numbers of one head at a site as the model reports it."""
    at = found.spots.get(Site(kind, layer))
    return -1 if at is None else at.sizes["d_head"]


def readable(owner: Any, name: str) -> Any:
    """A weight, or None where the module refuses it."""
    try:
        return getattr(owner, name, None)
    except (AttributeError, RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return None


def _written(value: Tensor, owner: Any, name: str) -> Tensor | None:
    """value W + b for a module's output matrix, or None where it has none that can be read."""
    W, b = readable(owner, f"W_{name}"), readable(owner, f"b_{name}")
    if W is None or W.numel() % max(value.shape[-1], 1) or W.numel() == 0:
        return None
    made = value.to(W.dtype) @ W.reshape(value.shape[-1], -1)
    return made if b is None else made + b


def _tolerance(dtype: torch.dtype) -> float:
    return {torch.float64: 1e-5, torch.float32: 1e-3}.get(dtype, 0.05)


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding. Values that became infinite tell nothing, so nothing is refused for them."""
    if a.shape != b.shape:
        return False
    if not (bool(a.isfinite().all()) and bool(b.isfinite().all())):
        return True
    a, b = a.detach(), b.detach()
    return float((a - b).abs().max()) <= _tolerance(b.dtype) * max(float(b.abs().max()), float(a.abs().max()), 1e-30)


def _factor(a: Tensor, b: Tensor) -> float | None:
    """The number c with c a = b; 1 where it is that but for rounding, None where there is none."""
    if not (bool(a.isfinite().all()) and bool(b.isfinite().all())):
        return 1.0
    size = float((a.double() ** 2).sum())
    factor = float((a.double() * b.double()).sum()) / size if size > 0 else 1.0
    if not _same(factor * a.to(b), b):
        return None
    return 1.0 if abs(factor - 1) <= 10 * _tolerance(b.dtype) * 1e-2 else factor


def _proportional(a: Tensor, b: Tensor) -> bool:
    return _factor(a, b) is not None


def _softmax(scores: Tensor) -> Tensor:
    """The pattern that causal scores make, whether or not their mask is in them."""
    n = scores.shape[-1]
    mask = torch.ones(n, n, dtype=torch.bool, device=scores.device).triu(1)
    low = torch.finfo(scores.dtype).min
    masked = scores.masked_fill(mask, low) if scores.shape[-2] == n else scores
    return masked.clamp_min(low).softmax(-1)
