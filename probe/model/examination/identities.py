"""The identities that a model's sites must keep, checked on the few tokens of `examination.readings`.

Where one does not hold, another hook that keeps it is taken, a number that the model multiplies with is noted, or the site is
struck out with the reason.
"""

from dataclasses import replace

import torch
from torch import Tensor

from probe.model.examination.readings import NORMS, Readings, head_width
from probe.model.examination.spots import Anatomy
from probe.model.examination.tolerances import causal_softmax, factor_between, proportional, readable, same, written
from probe.model.site_kinds import Site

ACTS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "relu2")


class Examination(Readings):
    """All identities of one model, layer by layer."""

    @torch.no_grad()
    def result(self) -> Anatomy:
        """What the model has, and why it lacks the rest."""
        for site in self.sites():
            self.place(site)
        for layer in range(int(self.model.cfg.n_layers)):
            self._attention(layer)
            self._mlp(layer)
            self._stream(layer)
            for kind in NORMS:
                self._norm(Site(kind, layer), f"blocks.{layer}.{NORMS[kind]}")
        self._norm(Site("final_scale"), "ln_final")
        self._readout()
        return self.found

    def _attention(self, layer: int) -> None:
        block = self.model.blocks[layer]
        attn = getattr(block, "attn", None)
        if attn is None:
            for kind in ("attn_in", "q", "k", "v", "scores", "pattern", "z", "attn_out"):
                self.lacks(kind, layer, f"layer {layer} has no attention")
            return
        q, pattern = self.value("q", layer), self.value("pattern", layer)
        if q is not None and head_width(self.found, layer, "q") != head_width(self.found, layer, "k"):
            self.lacks("q", layer, "what projects the queries also holds something else (an output gate)")
        z, out = self.value("z", layer), self.values.get(f"blocks.{layer}.attn.o.hook_out")
        if z is not None and out is not None:
            made = written(z.flatten(2), attn, "O")
            if made is None or not same(made, out.reshape(made.shape)):
                self.lacks("z", layer, "its output matrix does not turn it into what attention returns")
            elif getattr(block, "ln1_post", None) is None:
                self._note_factor(Site("attn_out", layer), made)
        scores = self.value("scores", layer)
        if scores is not None and (pattern is None or not same(causal_softmax(scores), pattern)):
            self.lacks("scores", layer, "what the model reports there are not scores whose softmax is the pattern")

    def _note_factor(self, site: Site, returned: Tensor) -> None:
        """What a module returns is multiplied with before it is written, where it is."""
        write = self.value(site.kind, site.layer)
        if write is not None and write.numel() == returned.numel():
            self.found.factors[site] = factor_between(returned.reshape(write.shape), write) or 1.0

    def _mlp(self, layer: int) -> None:
        mlp = getattr(self.model.blocks[layer], "mlp", None)
        if mlp is None:
            for kind in ("mlp_in", "mlp_pre", "mlp_pre_linear", "mlp_post", "mlp_out", "mlp_write"):
                self.lacks(kind, layer, f"layer {layer} has no MLP")
            return
        post, out = self.value("mlp_post", layer), self.values.get(f"blocks.{layer}.mlp.out.hook_out")
        out = self.value("mlp_out", layer) if out is None else out
        W_in = readable(mlp, "W_in")
        if W_in is None or W_in.ndim != 2:
            for kind in ("mlp_pre", "mlp_pre_linear", "mlp_post"):
                self.lacks(
                    kind, layer, f"layer {layer}'s MLP has no single W_in (a mixture of experts?), so no neurons"
                )
        elif post is not None and out is not None:
            made = written(post, mlp, "out")
            if made is None or not same(made, out.reshape(made.shape)):
                for kind in ("mlp_pre", "mlp_pre_linear", "mlp_post"):
                    self.lacks(kind, layer, f"W_out does not turn layer {layer}'s neurons into what its MLP returns")
        x, y = self.value("mlp_in", layer), self.values.get(f"blocks.{layer}.ln1.hook_out")
        if x is not None and y is not None and x.shape == y.shape and same(x, y):
            self.found.shared_norm.add(layer)
        post = self.value("mlp_post", layer)
        self._activation(layer, post)
        for kind in ("mlp_pre", "mlp_pre_linear"):
            value = self.value(kind, layer)
            if value is not None and post is not None and value.shape != post.shape:
                self.lacks(kind, layer, f"it is {value.shape[-1]} wide where the neurons are {post.shape[-1]}")

    def _activation(self, layer: int, post: Tensor | None) -> None:
        """The nonlinearity that makes the neurons: the nearest, because some differ by less than rounding allows."""
        from transformers.activations import ACT2FN

        pre, linear = self.value("mlp_pre", layer), self.value("mlp_pre_linear", layer)
        if pre is None or post is None or pre.shape != post.shape or not bool(post.isfinite().all()):
            return
        names = [n for n in dict.fromkeys([str(getattr(self.model.cfg, "act_fn", "")), *ACTS]) if n in ACT2FN]
        made = {
            n: ACT2FN[n](pre) * (1 if linear is None else linear) for n in names if "solu" not in n and n != "xielu"
        }
        best = min(made, key=lambda n: float((made[n] - post).abs().max()))
        if same(made[best], post):
            self.found.act_fn[layer] = best

    def _stream(self, layer: int) -> None:
        """The writes and the middle of the stream, and for what they do not add up to, another hook."""
        pre, attn = self.value("resid_pre", layer), self.value("attn_out", layer)
        mid, post = self.value("resid_mid", layer), self.value("resid_post", layer)
        if pre is None or post is None:
            for kind in ("attn_out", "resid_mid", "mlp_write"):
                self.lacks(
                    kind, layer, f"what enters or leaves layer {layer} is not reported, so no sum of it can be checked"
                )
            return
        if mid is None and attn is not None:
            mid = pre + attn
        elif mid is not None and attn is not None and not same(pre + attn, mid):
            self.lacks("attn_out", layer, "the stream before it and this do not sum to the stream after it")
        if getattr(self.model.blocks[layer], "mlp", None) is None:
            self._alone(layer, attn, mid, post)
            return
        fitting = [n for n in self.names(Site("mlp_write", layer)) if self._adds(n, pre if mid is None else mid, post)]
        if fitting:
            self.place(Site("mlp_write", layer), fitting[0])
            self._returned(layer)
            return
        for kind in ("attn_out", "resid_mid", "mlp_write"):
            self.lacks(kind, layer, f"layer {layer}'s stream is not a sum of what attention and MLP write")

    def _alone(self, layer: int, attn: Tensor | None, mid: Tensor | None, post: Tensor) -> None:
        """A layer without an MLP ends where its mixer has written; there is nothing between."""
        self.lacks("resid_mid", layer, f"layer {layer} has no MLP, so nothing lies between")
        if attn is not None and (mid is None or not same(mid, post)):
            self.lacks("attn_out", layer, "the stream before it and this do not sum to the stream after it")

    def _adds(self, hook: str, mid: Tensor, post: Tensor) -> bool:
        value = self.values.get(hook)
        return value is not None and value.numel() == mid.numel() and same(mid + value.reshape(mid.shape), post)

    def _returned(self, layer: int) -> None:
        """What the MLP returns: what it writes but for a post-norm or a number."""
        site, write = Site("mlp_out", layer), self.value("mlp_write", layer)
        post_norm = getattr(self.model.blocks[layer], "ln2_post", None)
        if write is None or post_norm is not None:
            return
        for name in self.names(site):
            value = self.values.get(name)
            if value is not None and value.numel() == write.numel() and proportional(value.reshape(write.shape), write):
                self.place(site, name)
                self._note_factor(Site("mlp_write", layer), value)
                return
        self.lacks("mlp_out", layer, "no hook holds what the MLP alone returns")

    def _norm(self, site: Site, name: str) -> None:
        """A norm's divisor, if dividing by it gives what the norm returns."""
        from probe.model.norms import norm_parts

        scale, x, y = (
            self.value(site.kind, site.layer),
            self.values.get(f"{name}.hook_in"),
            self.values.get(f"{name}.hook_out"),
        )
        if scale is None or x is None or y is None:
            return
        owner = self.model if site.layer is None else self.model.blocks[site.layer]
        parts = norm_parts(getattr(owner, name.split(".")[-1]), x)
        if not same(parts.scaled(x) / scale.reshape(*x.shape[:-1], 1) + parts.bias, y):
            self.lacks(
                site.kind,
                site.layer,
                "dividing by it and applying the norm's weight does not give what the norm returns",
            )

    def _readout(self) -> None:
        """Logits as the model returns them before any soft-cap, and as W_U makes them."""
        site, raw = Site("logits"), self.value("logits")
        if raw is None:
            return
        cap = float(getattr(self.model.cfg, "output_logits_soft_cap", None) or -1.0)
        given = self.output.float() if self.output.dtype not in (torch.float32, torch.float64) else self.output
        plain = given if cap <= 0 else cap * torch.atanh((given / cap).clamp(-1 + 1e-7, 1 - 1e-7))
        if cap > 0 and same(cap * torch.tanh(raw.to(given) / cap), given):
            self.found.linear_readout = self._linear(raw)
            return
        factor = factor_between(raw, plain) if plain.shape == raw.shape else None
        if factor is None:
            self.lacks("logits", None, "the model's output is not its unembedding's times a number")
            return
        self.found.logit_factor = factor
        self.found.linear_readout = self._linear(raw)
        self.found.spots[site] = replace(self.found.spots[site], factor=factor)

    def _linear(self, raw: Tensor) -> bool:
        """Whether the unembedding's output is W_U x + b_U of what the final norm returns."""
        x, W, b = self.value("ln_final"), readable(self.model, "W_U"), readable(self.model, "b_U")
        if x is None or W is None or W.shape != (x.shape[-1], raw.shape[-1]):
            return False
        made = x.to(W.dtype) @ W
        return same(made if b is None else made + b, raw)
