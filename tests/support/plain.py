"""A transformers model changed and read by torch's own hooks alone: what Openwork's readings are compared with.

Nothing here knows Openwork or transformer-lens. Parts are found by the names transformers gives them. A site is set by the
model's equations, not by the place where Openwork hooks it: the stream in the middle is moved in what the MLP reads and again in
what the block returns, so it does not matter whether a hook there would reach both.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]

ATTENTION = ("self_attn", "self_attention", "attention", "attn")
MLP = ("mlp", "feed_forward", "ffn", "block_sparse_moe")
O_PROJ = ("o_proj", "out_proj", "c_proj", "dense", "wo", "out_linear", "Wo", "o", "W_O")
DOWN = ("down_proj", "c_proj", "fc2", "dense_4h_to_h", "fc_out", "w2", "Wo", "down_layer", "output_linear", "out")
BETWEEN = ("pre_feedforward_layernorm", "pre_ff_layernorm", "ffn_norm", "mlp_norm", "norm_2", "ln_2", "ln2", "final_layer_norm",
           "feedforward_layernorm", "post_attention_layernorm")  # fmt: skip
FINAL = (
    "norm",
    "ln_f",
    "final_layer_norm",
    "final_layernorm",
    "embedding_norm",
    "norm_f",
    "final_norm",
    "ln_out",
    "ln_final",
    "layer_norm",
)
EMBED = ("embed_tokens", "wte", "embed_in", "word_embeddings", "embeddings", "tok_embeddings", "embed", "tokens_embed")
NO_MIDDLE_NORM = ("Olmo2", "Olmo3", "Exaone4", "FlexOlmo")


def _child(owner: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    return next((m for n in names if isinstance(m := getattr(owner, n, None), nn.Module)), None)


def first(x: Any) -> Any:
    return x[0] if isinstance(x, (tuple, list)) else x


class Plain:
    """One model and one batch of tokens."""

    def __init__(self, model: nn.Module, tokens: Tensor):
        self.model, self.tokens = model, tokens
        config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
        self.heads = int(
            getattr(config, "num_attention_heads", None)
            or getattr(config, "n_head", None)
            or getattr(config, "n_heads", 0)
        )
        self.n = int(getattr(config, "num_hidden_layers", None) or getattr(config, "n_layer", None) or config.n_layers)
        lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == self.n]
        self.blocks = max(lists, key=lambda m: sum(p.numel() for p in m.parameters()))

    @torch.no_grad()
    def logits(self) -> Tensor:
        out = self.model(input_ids=self.tokens, use_cache=False)
        return getattr(out, "logits", out)

    # Parts

    def attention(self, i: int) -> nn.Module | None:
        found = _child(self.blocks[i], ATTENTION)
        inner = getattr(found, "self", getattr(found, "attention", found))  # BERT, GPT-Neo
        return inner if isinstance(inner, nn.Module) else found

    def o_proj(self, i: int) -> nn.Module | None:
        attn, outer = self.attention(i), _child(self.blocks[i], ATTENTION)
        if isinstance(getattr(outer, "output", None), nn.Module):
            return outer.output.dense  # BERT
        return None if attn is None else _child(attn, O_PROJ)

    def mlp(self, i: int) -> nn.Module | None:
        return _child(self.blocks[i], MLP)

    def down(self, i: int) -> nn.Module | None:
        """The one output matrix of an MLP; None for a mixture of experts."""
        owner = self.mlp(i) or self.blocks[i]
        if isinstance(getattr(owner, "output", None), nn.Module) and hasattr(owner.output, "dense"):
            return owner.output.dense  # BERT
        mixed = any("expert" in n or "Experts" in type(m).__name__ for n, m in owner.named_modules())
        return None if mixed else _child(owner, DOWN)

    def between(self, i: int) -> nn.Module | None:
        """What reads the stream in the middle: the norm before the MLP, or the MLP itself."""
        if any(n in type(self.blocks[i]).__name__ for n in NO_MIDDLE_NORM):
            return self.mlp(i)
        found = _child(self.blocks[i], BETWEEN)
        return found if found is not None else _child(self.blocks[i], ("post_attention_layernorm",))

    @cached_property
    def final(self) -> nn.Module:
        inside = {id(m) for m in self.blocks.modules()}
        named = [m for n, m in self.model.named_modules() if n.split(".")[-1] in FINAL and id(m) not in inside]
        return named[-1] if named else nn.Identity()

    @cached_property
    def embedding(self) -> nn.Module:
        return self.model.get_input_embeddings()

    # Reading

    @torch.no_grad()
    def read(self, *modules: tuple[nn.Module, str]) -> list[Tensor]:
        """What modules take (`in`) or return (`out`) in one run."""
        found: list[Any] = [None] * len(modules)
        with ExitStack() as stack:
            for k, (module, side) in enumerate(modules):
                stack.enter_context(_reading(module, side, found, k))
            self.logits()
        return found

    def stream(self, i: int) -> tuple[Tensor, Tensor]:
        """What enters and leaves a block."""
        pre, post = self.read((self.blocks[i], "in"), (self.blocks[i], "out"))
        return pre, post

    # Changing

    @contextmanager
    def changed(self, site: str, change: Change) -> Iterator[None]:
        """Everything inside runs with a site (`resid_mid.1`) changed."""
        kind, _, layer = site.partition(".")
        i = int(layer or 0)
        with ExitStack() as stack:
            getattr(self, f"_set_{kind}")(i, change, stack)
            yield

    @torch.no_grad()
    def run(self, site: str, change: Change) -> Tensor:
        with self.changed(site, change):
            return self.logits()

    def _set_resid_pre(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(entering(self.blocks[i], change))

    def _set_resid_post(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(leaving(self.blocks[i], change))

    def _set_resid_mid(self, i: int, change: Change, stack: ExitStack) -> None:
        moved: dict[str, Tensor] = {}

        def read(x: Tensor) -> Tensor:
            moved["by"] = change(x) - x
            return change(x)

        stack.enter_context(entering(self.between(i), read))
        stack.enter_context(leaving(self.blocks[i], lambda y: y + moved["by"].reshape(y.shape)))

    @cached_property
    def parallel(self) -> bool:
        """Whether the MLP reads what attention has not touched, so that there is no middle."""
        return self.attention(0) is not None and self.mlp(0) is not None and not self._serial()

    def _serial(self) -> bool:
        """Whether the MLP's input moves with what attention returns."""
        mlp = self.mlp(0) or self.blocks[0]
        before = self.read((mlp, "in"))[0]
        with leaving(_child(self.blocks[0], ATTENTION) or mlp, lambda y: y + torch.arange(y.shape[-1])):
            after = self.read((mlp, "in"))[0]
        return not torch.equal(before, after)

    def _set_attn_out(self, i: int, change: Change, stack: ExitStack) -> None:
        if self.parallel:
            stack.enter_context(leaving(self.attention(i), change))
            return
        pre: dict[str, Tensor] = {}
        stack.enter_context(entering(self.blocks[i], lambda x: pre.setdefault("x", x)))
        self._set_resid_mid(
            i, lambda mid: pre["x"].reshape(mid.shape) + change(mid - pre["x"].reshape(mid.shape)), stack
        )

    def _set_mlp_write(self, i: int, change: Change, stack: ExitStack) -> None:
        if self.parallel:
            stack.enter_context(leaving(self.mlp(i), change))
            return
        mid: dict[str, Tensor] = {}
        stack.enter_context(entering(self.between(i), lambda x: mid.setdefault("x", x)))
        stack.enter_context(
            leaving(self.blocks[i], lambda y: mid["x"].reshape(y.shape) + change(y - mid["x"].reshape(y.shape)))
        )

    def _set_mlp_out(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(leaving(self.down(i) or self.mlp(i), change))

    def _set_mlp_in(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(entering(self.mlp(i) or _child(self.blocks[i], ("fc1", "intermediate")), change))

    def _set_attn_in(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(entering(self.attention(i), change))

    def _set_z(self, i: int, change: Change, stack: ExitStack) -> None:
        def heads(x: Tensor) -> Tensor:
            return change(x.reshape(*x.shape[:-1], self.heads, -1)).reshape(x.shape)

        stack.enter_context(entering(self.o_proj(i), heads))

    def _set_mlp_post(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(entering(self.down(i), change))

    def _set_embed(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(leaving(self.embedding, change))

    def _set_ln_final(self, i: int, change: Change, stack: ExitStack) -> None:
        stack.enter_context(leaving(self.final, change))


@contextmanager
def _reading(module: nn.Module, side: str, found: list, k: int) -> Iterator[None]:
    keep = lambda x: found.__setitem__(k, x.clone()) or x  # noqa: E731
    with entering(module, keep) if side == "in" else leaving(module, keep):
        yield


@contextmanager
def entering(module: nn.Module, change: Change) -> Iterator[None]:
    """Change what a module reads."""

    def hook(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        name = "hidden_states" if "hidden_states" in kwargs else next(iter(kwargs))
        return args, {**kwargs, name: change(kwargs[name])}

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def leaving(module: nn.Module, change: Change) -> Iterator[None]:
    """Change what a module returns."""

    def hook(module: nn.Module, args: tuple, output: Any) -> Any:
        if isinstance(output, (tuple, list)):
            return type(output)([change(output[0]), *output[1:]])
        return change(output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
