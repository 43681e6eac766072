"""What Openwork can do with a model, each beside the same thing done with torch's own hooks on the transformers model.

A check returns the largest difference, over the size of what is compared; what Openwork refuses it raises. `make architectures`
runs all of them on all of `zoo.py`, the tests a few.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from harvests import token_set
from plain import Plain, leaving
from torch import Tensor
from zoo import pair

PROMPT = "The capital of France is"
CORRUPTED = "The capital of Italy is"


def gap(got: Tensor, wanted: Tensor, size: Tensor | float | None = None) -> float:
    """Largest difference over the largest size."""
    if got.shape != wanted.shape:
        return math.inf
    scale = float(torch.as_tensor(wanted if size is None else size).abs().max())
    found = float((got.double() - wanted.double()).abs().max()) / max(scale, 1e-30)
    return math.inf if math.isnan(found) else found


class Case:
    """One model twice: as Openwork loads it, and plain."""

    def __init__(self, name: str, dtype: str = "float64"):
        self.bridge, self.model = pair(name, dtype)
        self.ids = self.encode(PROMPT)
        self.plain = Plain(self.model, torch.tensor([self.ids]))
        self.last = self.plain.n - 1

    def encode(self, text: str) -> list[int]:
        from probe.text.tokens import encode_prompt

        return encode_prompt(self.bridge, text)

    def edited(self, changes: list[Any]) -> Tensor:
        from probe.interventions.running import intervene

        with torch.no_grad(), intervene(self.bridge, changes):
            return self.bridge(torch.tensor([self.ids]))

    def compare(self, got: Tensor, site: str, change: Callable[[Tensor], Tensor]) -> float:
        """Against the effect of the change in the plain model."""
        wanted = self.plain.run(site, change)
        return gap(got, wanted, wanted - self.plain.logits())

    def last_with(self, kind: str) -> int:
        """The last layer that has a site; a sentence where none has."""
        from probe.model.anatomy import spot
        from probe.model.sites import Site, layers_with

        there = layers_with(kind, self.bridge)
        if not there:
            spot(Site(kind, 0), self.bridge)
        return there[-1]

    # The way out of the plain model

    def uncapped(self, logits: Tensor) -> Tensor:
        config = self.model.config
        cap = getattr(config, "final_logit_softcapping", None) or (15.0 if config.model_type == "nanochat" else None)
        return cap * torch.atanh(logits / cap) if cap else logits

    def demeaned(self) -> Tensor:
        logits = self.uncapped(self.plain.logits())[0]
        return logits - logits.mean(-1, keepdim=True)

    @torch.no_grad()
    def out(self, write: Tensor) -> Tensor:
        """What a write (pos d_model) to the last stream adds to the demeaned logits, the final norm's divisor held."""
        (stream,) = self.plain.read((self.plain.final, "in"))
        head = self.model.get_output_embeddings()
        made = self.held(self.plain.final, stream[0], write) @ head.weight.T * self.factor()
        return made - made.mean(-1, keepdim=True)

    def factor(self) -> float:
        (raw,) = self.plain.read((self.model.get_output_embeddings(), "out"))
        whole = self.uncapped(self.plain.logits())
        return float((raw * whole).sum() / (raw * raw).sum())

    def held(self, norm: torch.nn.Module, x: Tensor, write: Tensor) -> Tensor:
        """A norm's linear part on `write`, divided by what it divides x by. N(w) is that of w itself, whose size is known."""

        def size(v: Tensor) -> Tensor:
            v = v - v.mean(-1, keepdim=True) if centred(norm, x) else v
            eps = getattr(norm, "eps", getattr(norm, "variance_epsilon", 1e-6))
            return (v.pow(2).mean(-1, keepdim=True) + float(eps)).sqrt()

        big = 1e4 * write / write.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        made = (norm(big) - norm(torch.zeros_like(big))) * size(big) / size(x)
        return made * write.norm(dim=-1, keepdim=True) / 1e4


def centred(norm: torch.nn.Module, x: Tensor) -> bool:
    """Whether a constant added to a norm's input is taken off again."""
    return bool(torch.allclose(norm(x + 1), norm(x), rtol=1e-3, atol=1e-4))


def lens(case: Case) -> float:
    """Every layer read as if it were the last: its output is put in the place of the last block's."""
    from probe.lens.logit import logit_lens

    found, k = logit_lens(case.bridge, PROMPT, top_k=5), []
    for i in range(case.plain.n):
        (stream,) = case.plain.read((case.plain.blocks[i], "out"))
        with leaving(case.plain.blocks[case.last], lambda y, s=stream: s.reshape(y.shape)):
            probs = case.plain.logits()[0].softmax(-1)
        k.append(gap(torch.tensor(found.top_probs[i + 1]), probs.gather(-1, torch.tensor(found.top_ids[i + 1]).long())))
    return max(k)


def heads(case: Case) -> float:
    """Shares of the last layer's heads in the logit, and all shares' sum against the plain model's logit."""
    from probe.lens.direct import direct_logits

    found = direct_logits(case.bridge, PROMPT)
    logits = case.demeaned()
    worst = [gap(torch.tensor(found.total()), logits.gather(-1, torch.tensor(found.targets)[:, None])[:, 0])]
    i, o_proj = case.last, case.plain.o_proj(case.last)
    (z,) = case.plain.read((o_proj, "in"))
    n, own = case.plain.heads, torch.tensor(found.heads[i])
    for h in range(n):
        kept = z.reshape(*z.shape[:-1], n, -1).clone()
        kept[..., [k for k in range(n) if k != h], :] = 0
        write = o_proj(kept.reshape(z.shape)) - o_proj(torch.zeros_like(z))
        write = through(case, i, "attention", write.reshape(1, len(case.ids), -1)[0])
        share = case.out(write).gather(-1, torch.tensor(found.targets)[:, None])[:, 0]
        worst.append(gap(own[h], share, own))
    return max(worst)


def through(case: Case, i: int, part: str, write: Tensor) -> Tensor:
    """A write behind what follows attention or MLP in the block: a post-norm, or a number."""
    block, name = case.plain.blocks[i], type(case.plain.blocks[i]).__name__
    post = None
    if part == "attention":
        if any(n in name for n in ("Gemma2", "Gemma3", "Gemma4", "Olmo2", "Olmo3", "Exaone4", "FlexOlmo")):
            post = block.post_attention_layernorm
        post = getattr(block, "post_self_attn_layernorm", post)
    else:
        post = next(
            (m for n in ("post_feedforward_layernorm", "post_mlp_layernorm") if (m := getattr(block, n, None))), None
        )
    if post is not None:
        (x,) = case.plain.read((post, "in"))
        return case.held(post, x[0], write)
    return write * float(getattr(case.model.config, "residual_multiplier", 1.0))


def units(case: Case) -> float:
    """The strongest neurons: activation, length of the write, direct effect, and whether what they promote is promoted."""
    from probe.neurons.strongest import top_units

    rows = [r for r in top_units(case.bridge, PROMPT, k=6).units if r.kind == "neuron"]
    best, worst = case.plain.logits()[0].argmax(-1), []
    for row in rows:
        down = case.plain.down(row.layer)
        (post,) = case.plain.read((down, "in"))
        post = post.reshape(1, len(case.ids), -1)
        only = torch.zeros_like(post)
        only[..., row.unit] = post[..., row.unit]
        write = down(only[0]) - down(torch.zeros_like(only[0]))
        write = through(case, row.layer, "mlp", write)
        logits = case.out(write)[row.pos]
        worst.append(abs(float(post[0, row.pos, row.unit]) - row.activation) / max(abs(row.activation), 1e-30))
        worst.append(abs(float(write[row.pos].norm()) - row.write_norm) / row.write_norm)
        worst.append(abs(float(logits[best[row.pos]]) - row.direct) / float(logits.abs().max()))
        words = case.bridge.tokenizer.convert_ids_to_tokens([int(logits.argmax())])
        worst.append(0.0 if row.promoted and words else math.inf)
    return max(worst)


def edit(case: Case) -> float:
    """A neuron taken away, or where a model has none the refusal."""
    from probe.interventions.unit_edits import UnitEdit, edit_units

    i = case.last_with("mlp_post")
    (post,) = case.plain.read((case.plain.down(i), "in"))
    unit = int(post.reshape(len(case.ids), -1)[-1].abs().argmax())
    changes = edit_units(case.bridge, [UnitEdit("scale", unit, layer=i, amount=-2.0)])

    def change(v: Tensor) -> Tensor:
        changed = v.clone()
        changed[..., unit] *= -2
        return changed

    return case.compare(case.edited(changes), f"mlp_post.{i}", change)


def knockout(case: Case) -> float:
    """One head may not look from the last token to the one before: the plain model's softmax of that layer says 0 there."""
    from probe.interventions.values import Knockout
    from probe.model.sites import layers_with

    i, query, h = case.last_with("pattern"), len(case.ids) - 1, 2
    got = case.edited([Knockout(i, query, query - 1, h)])

    def change(pattern: Tensor) -> Tensor:
        changed = pattern.clone()
        changed[0, h, query, query - 1] = 0
        changed[0, h, query] *= pattern[0, h, query].sum() / changed[0, h, query].sum()
        return changed

    with softmaxed(layers_with("pattern", case.bridge).index(i), case.plain.heads, change):
        wanted = case.plain.logits()
    return gap(got, wanted, wanted - case.plain.logits())


@contextmanager
def softmaxed(layer: int, heads: int, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Change what the softmax of the n-th attention returns."""
    real, seen = torch.nn.functional.softmax, 0

    def softmax(*args: Any, **kwargs: Any) -> Tensor:
        nonlocal seen
        made = real(*args, **kwargs)
        if made.ndim != 4 or made.shape[1] != heads:
            return made
        seen += 1
        return change(made) if seen == layer + 1 else made

    torch.nn.functional.softmax = softmax
    try:
        yield
    finally:
        torch.nn.functional.softmax = real
    assert seen > layer, "the plain model's attention takes its softmax elsewhere"


SWEEPS = {"resid_pre": "resid_pre", "resid_mid": "resid_mid", "mlp_out": "mlp_write", "heads": "z"}
"""Sweeps by name, and the sites they patch."""


def patch(case: Case) -> float:
    """Cells of sweeps over the stream, its middle, what MLPs write, and heads, each beside one plain run."""
    from circuits.patching.sweep import patch_sweep
    from probe.model.sites import layers_with

    other, worst = Plain(case.model, torch.tensor([case.encode(CORRUPTED)])), []
    whole = other.logits()[0, -1]
    for over, kind in SWEEPS.items():
        if not (there := layers_with(kind, case.bridge)):
            continue
        sweep = patch_sweep(case.bridge, PROMPT, CORRUPTED, answers=[5, 6], over=over, exact=True)
        axis, at = (2, 2) if over == "heads" else (1, len(case.ids) - 2)
        patched = [other.run(f"{kind}.{i}", _put(case.plain, f"{kind}.{i}", axis, at))[0, -1] for i in there]
        wanted = torch.stack(patched)
        worst.append(gap(torch.tensor(sweep.raw[there, at]), wanted[:, 5] - wanted[:, 6], wanted - whole))
    return max(worst)


def _put(donor: Plain, site: str, axis: int, at: int) -> Callable[[Tensor], Tensor]:
    """A change that puts one head, or one position, of another run in the place of this run's."""
    kept: list[Tensor] = []
    donor.run(site, lambda v: kept.append(v.clone()) or v)

    def change(v: Tensor) -> Tensor:
        flat = v.ndim == 2 and axis == 1  # OPT runs its MLPs with batch and position in one axis
        v, given = v.clone(), kept[0].reshape(v.shape)
        v.select(0 if flat else axis, at).copy_(given.select(0 if flat else axis, at))
        return v

    return change


def trace(case: Case) -> float:
    """A graph's logits and neurons beside the plain model's; that edges sum to them is what a graph is refused for otherwise."""
    from circuits.attribution.trace import TraceConfig, trace

    graph = trace(case.bridge, PROMPT, config=TraceConfig(max_nodes=60))
    logits, worst = case.demeaned()[-1], [graph.residual_relative]
    nodes = graph.nodes
    for i in range(len(nodes)):
        kind = graph_kind(nodes, i)
        if kind == "logit":
            worst.append(abs(float(nodes.value[i]) - float(logits[int(nodes.unit[i])])) / float(logits.abs().max()))
    return max(worst)


def graph_kind(nodes: Any, i: int) -> str:
    from circuits.graph.graph import KINDS

    return KINDS[nodes.kind[i]]


def connections(case: Case) -> float:
    """Weights from the neurons of one layer to those of the next with neurons, through the norms' own modules."""
    from circuits.weights.layers import layer_connections
    from probe.model.anatomy import spot
    from probe.model.sites import Site, layers_with

    there = layers_with("mlp_post", case.bridge)
    if len(there) < 2:
        spot(Site("mlp_post", 1 - there[0] if there else 0), case.bridge)
    first, last = there[0], there[1]
    found = layer_connections(case.bridge, first, last, k=4)
    down, plain = case.plain.down(first), case.plain
    width = down.weight.shape[0] if down.weight.shape[1] == found_width(case, first) else down.weight.shape[1]
    eye = torch.eye(found_width(case, first), dtype=down.weight.dtype)
    writes = down(eye) - down(torch.zeros_like(eye))
    writes = scale_free(case, first, writes)
    owner = plain.mlp(last)
    norm = plain.between(last)
    if plain.parallel:
        block = plain.blocks[last]
        norm = next(
            m
            for n in ("post_attention_layernorm", "ln_mlp", "input_layernorm", "ln_1")
            if (m := getattr(block, n, None))
        )
    read = writes if norm is owner else linear(norm, writes, width)
    pre: list[Tensor] = []
    name = found.reader
    reader = reading_module(case, last, name)
    pre = nn_or_conv(reader, read)
    if name != "in" and pre.shape[-1] > found_width(case, last):
        pre = pre[..., : found_width(case, last)]
    if name == "in" and pre.shape[-1] > found_width(case, last):
        pre = pre[..., found_width(case, last) :]
    wanted = pre.gather(0, found.index.T)  # [k target]
    return gap(found.strength.T, wanted)


def found_width(case: Case, i: int) -> int:
    from probe.model.sites import Site, width

    return width(Site("mlp_post", i), case.bridge)


def scale_free(case: Case, i: int, writes: Tensor) -> Tensor:
    block = case.plain.blocks[i]
    post = next(
        (m for n in ("post_feedforward_layernorm", "post_mlp_layernorm") if (m := getattr(block, n, None))), None
    )
    if post is not None:
        return linear(post, writes, writes.shape[-1])
    return writes * float(getattr(case.model.config, "residual_multiplier", 1.0))


def linear(norm: torch.nn.Module, x: Tensor, width: int) -> Tensor:
    """A norm without its divisor."""
    base = torch.randn(len(x), x.shape[-1], dtype=x.dtype, generator=torch.Generator().manual_seed(0))
    mean = centred(norm, base)
    big = 1e5 * x / x.norm(dim=-1, keepdim=True)
    v = big - big.mean(-1, keepdim=True) if mean else big
    eps = float(getattr(norm, "eps", getattr(norm, "variance_epsilon", 1e-6)))
    size = (v.pow(2).mean(-1, keepdim=True) + eps).sqrt()
    return (norm(big) - norm(torch.zeros_like(big))) * size * x.norm(dim=-1, keepdim=True) / 1e5


def reading_module(case: Case, i: int, name: str) -> torch.nn.Module:
    owner = case.plain.mlp(i) or case.plain.blocks[i]
    names = ("gate_proj", "gate_up_proj", "w1", "gate") if name == "gate" else (
        "up_proj", "gate_up_proj", "c_fc", "fc1", "fc_in", "dense_h_to_4h", "w3", "intermediate_dense", "W_in", "in", "Wi"
    )  # fmt: skip
    return next(m for n in names if isinstance(m := getattr(owner, n, None), torch.nn.Module))


def nn_or_conv(module: torch.nn.Module, x: Tensor) -> Tensor:
    return module(x) - module(torch.zeros_like(x))


def harvest(case: Case) -> float:
    """A cache's activations beside the plain model's: what MLP and attention write, and heads where there are any."""
    from probe.activations.harvest import harvest
    from probe.model.sites import layers_with

    kinds = [k for k in ("resid_post", "mlp_out", "mlp_write", "attn_out", "z") if layers_with(k, case.bridge)]
    sites = [f"{k}.{layers_with(k, case.bridge)[-1]}" for k in kinds]
    tokens, worst = token_set(4), []
    with tempfile.TemporaryDirectory() as folder:
        cache = harvest(case.bridge, tokens, sites, Path(folder) / "cache", dtype="float32")
        plain = Plain(case.model, tokens.tokens)
        for site in sites:
            kept: list[Tensor] = []
            plain.run(site, lambda v, kept=kept: kept.append(v.clone()) or v)
            wanted = kept[0].reshape(tokens.tokens.numel(), -1).float()
            for batch in cache.batches([site], 64, split="all"):
                worst.append(gap(batch.activations[0], wanted[batch.indices], wanted))
    return max(worst)


def train(case: Case) -> float:
    """An SAE trained for a moment, put in its place: what the model then predicts, beside the same in the plain model."""
    from probe.activations.streaming import LiveActivations
    from probe.dictionaries import SAE, TopK
    from probe.interventions.values import Splice
    from probe.model.sites import layers_with, width
    from probe.model.sites import parse_site as parse
    from probe.training.trainer import TrainConfig, train

    worst = []
    for kind in ("z", "resid_mid", "resid_post"):
        if not (there := layers_with(kind, case.bridge)):
            continue
        site = f"{kind}.{there[-1]}"
        live = LiveActivations(case.bridge, token_set(6), [site], block_tokens=64)
        sae = SAE(width(parse(site), case.bridge), 24, sparsifier=TopK(4), site=parse(site).name)
        with tempfile.TemporaryDirectory() as folder:
            made = train(sae, live, TrainConfig(epochs=1, batch=16), Path(folder) / "sae").dictionary
        made.eval()

        def put(v: Tensor, made: Any = made) -> Tensor:
            flat = v.reshape(1, len(case.ids), -1)
            return made(flat.to(made.W_enc)).recons.to(v).reshape(v.shape)

        worst.append(case.compare(case.edited([Splice(made)]), site, put))
    return max(worst)


def generate(case: Case) -> float:
    """Eight greedy tokens beside the plain model's own, without a cache."""
    from probe.interventions.generation import generate_with

    found = generate_with(case.bridge, PROMPT, [], 8)
    ids, ends = list(case.ids), set(case.bridge.tokenizer.all_special_ids)
    for _ in range(8):
        with torch.no_grad():
            ids.append(int(Plain(case.model, torch.tensor([ids])).logits()[0, -1].argmax()))
        if ids[-1] in ends:
            break
    return 0.0 if found.clean.ids == ids[len(case.ids) :] else math.inf


ABILITIES: dict[str, Callable[[Case], float]] = {
    f.__name__: f for f in (lens, heads, units, edit, knockout, patch, trace, connections, harvest, train, generate)
}
