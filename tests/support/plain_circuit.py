"""A circuit run without any of our code: a Llama of transformers computed from its weights, every head and MLP reading a stream
of its own, and nodes replaced by hooks on transformers' own modules."""

from contextlib import contextmanager

import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb


class PlainEdges:
    """What every component writes and reads, layer by layer, in a model of grouped queries."""

    def __init__(self, hf, kept: set[str]):
        self.hf, self.kept, self.config = hf, kept, hf.config

    def logits(self, clean: torch.Tensor, corrupted: torch.Tensor) -> torch.Tensor:
        """At the last position, with every edge that is not kept carrying what its sender writes in the corrupted run."""
        everything = self._run(corrupted, None)
        return self._run(clean, everything[0])[1][:, -1]

    def _run(self, tokens, other):
        base = self.hf.model
        writes = {"input": base.embed_tokens(tokens)}
        biases = torch.zeros_like(writes["input"])

        def stream(receiver):
            total = biases.clone()
            for sender, value in writes.items():
                swapped = other is not None and f"{sender}->{receiver}" not in self.kept
                total = total + (other[sender] if swapped else value)
            return total

        pos = torch.arange(tokens.shape[1])[None]
        turn = base.rotary_emb(writes["input"], pos)
        for i, layer in enumerate(base.layers):
            new = self._heads(i, layer, stream, turn)
            new_bias = layer.self_attn.o_proj.bias
            writes |= new
            biases = biases + (new_bias if new_bias is not None else 0)
            writes[f"m{i}"] = layer.mlp(layer.post_attention_layernorm(stream(f"m{i}")))
        return writes, self.hf.lm_head(base.norm(stream("logits")))

    def _heads(self, i, layer, stream, turn):
        attn, n, n_kv = layer.self_attn, self.config.num_attention_heads, self.config.num_key_value_heads
        d, found = attn.head_dim, {}

        def made(receiver, proj, index):
            rows = slice(index * d, (index + 1) * d)
            x = layer.input_layernorm(stream(receiver))
            return x @ proj.weight[rows].T + (0 if proj.bias is None else proj.bias[rows])

        for h in range(n):
            group = h // (n // n_kv)
            q = made(f"a{i}.h{h}<q>", attn.q_proj, h)
            k = made(f"a{i}.kv{group}<k>", attn.k_proj, group)
            v = made(f"a{i}.kv{group}<v>", attn.v_proj, group)
            q, k = (x[:, None] for x in (q, k))
            q, k = apply_rotary_pos_emb(q, k, *turn)
            scores = (q @ k.transpose(-1, -2))[:, 0] / d**0.5
            future = torch.ones_like(scores, dtype=torch.bool).triu(1)
            z = scores.masked_fill(future, -torch.inf).softmax(-1) @ v
            found[f"a{i}.h{h}"] = z @ attn.o_proj.weight[:, h * d : (h + 1) * d].T
        return found


class PlainNodes:
    """Heads, MLPs and neurons replaced where transformers' own modules have them."""

    def __init__(self, hf, removed: set[str]):
        self.hf, self.removed, self.d = hf, removed, hf.model.layers[0].self_attn.head_dim

    def logits(self, clean: torch.Tensor, corrupted: torch.Tensor) -> torch.Tensor:
        """At the last position, with what is removed being what it is in the corrupted run."""
        held = {}
        with self._hooked(lambda name, value: held.__setitem__(name, value.clone())):
            self.hf(corrupted)
        with self._hooked(lambda name, value: self._mixed(name, value, held[name])):
            return self.hf(clean).logits[:, -1]

    def _mixed(self, name, value, other):
        layer, kind = name
        value = value.clone()
        if kind == "z":
            for h in range(value.shape[-1] // self.d):
                if f"L{layer}H{h}" in self.removed:
                    part = slice(h * self.d, (h + 1) * self.d)
                    value[..., part] = other[..., part]
        elif kind == "neurons":
            units = [u for u in range(value.shape[-1]) if f"L{layer}N{u}" in self.removed]
            value[..., units] = other[..., units]
        elif f"L{layer}MLP" in self.removed:
            value = other
        return value

    @contextmanager
    def _hooked(self, does):
        def before(name):
            def hook(module, args):
                new = does(name, args[0])
                return None if new is None else (new, *args[1:])

            return hook

        def after(name):
            return lambda module, args, out: does(name, out)

        handles = []
        for i, layer in enumerate(self.hf.model.layers):
            handles += [
                layer.self_attn.o_proj.register_forward_pre_hook(before((i, "z"))),
                layer.mlp.down_proj.register_forward_pre_hook(before((i, "neurons"))),
                layer.mlp.register_forward_hook(after((i, "mlp"))),
            ]
        try:
            with torch.no_grad():
                yield
        finally:
            for handle in handles:
                handle.remove()
