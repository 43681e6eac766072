"""The units that write most at each token of a prompt: MLP neurons, and latents of the dictionaries at hand."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.forward import capture
from probe.sites import Site, parse_site
from probe.tokens import display_tokens, encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class UnitRow:
    """One unit at one position. write_norm: length of what it adds to the MLP's output. direct: what it adds directly to the
    demeaned logit of the token the model finds likeliest there (final norm frozen). promoted, suppressed: tokens whose
    logits its output direction raises and lowers most."""

    layer: int
    kind: str
    unit: int
    pos: int
    activation: float
    write_norm: float
    direct: float
    promoted: list[str]
    suppressed: list[str]

    @property
    def name(self) -> str:
        """`L5N120` for a neuron, `L5F650` for a latent."""
        return f"L{self.layer}{'N' if self.kind == 'neuron' else 'F'}{self.unit}"


@dataclass(frozen=True)
class TopUnits:
    """rows are ordered by position, then kind, then falling write norm: the k strongest of each kind at each position."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    rows: list[UnitRow]

    def at(self, pos: int, kind: str | None = None) -> list[UnitRow]:
        """Rows of one position, of one kind if given."""
        pos = pos % len(self.tokens)
        return [r for r in self.rows if r.pos == pos and kind in (None, r.kind)]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"prompt": self.prompt, "tokens": self.tokens, "rows": [asdict(r) | {"name": r.name} for r in self.rows]}

    def _repr_html_(self) -> str:
        from probe.html import table_html

        rows = [
            {
                "unit": r.name,
                "activation": r.activation,
                "write": r.write_norm,
                "direct": r.direct,
                "promotes": " ".join(r.promoted),
            }
            for r in self.at(-1)
        ]
        return table_html(rows, f"Strongest units at the last token of {self.prompt!r}")


def top_units(
    model: "TransformerBridge", prompt: str, dictionaries: Sequence[Any] = (), *, k: int = 10, n_tokens: int = 5
) -> TopUnits:
    """The k neurons and, per position, the k latents that write most. Raises BadInput for an empty or too long prompt."""
    if k < 1:
        raise BadInput(f"k is {k}; it must be at least 1.")
    ids = encode_prompt(model, prompt)
    layers = range(model.cfg.n_layers)
    posts = [Site("mlp_post", i) for i in layers]
    inputs = [parse_site(d.site_in, model) for d in dictionaries]
    wanted = [*posts, *inputs, Site("final_scale"), Site("logits")]
    found = capture(model, torch.tensor([ids], device=model.W_E.device), wanted, stop=False)
    direction = _direct_readers(model, found)
    rows: list[UnitRow] = []
    with torch.no_grad():
        stacks = [
            (i, "neuron", found[s.name][0].float(), model.blocks[i].mlp.W_out.detach().float())
            for i, s in zip(layers, posts, strict=True)
        ]
        rows += _strongest(model, stacks, direction, k, n_tokens)
        for dictionary, site in zip(dictionaries, inputs, strict=True):
            x = found[site.name][0].to(dictionary.W_enc)
            stack = (
                site.layer or 0,
                "latent",
                dictionary.encode(x).detach().float(),
                dictionary.W_dec.detach().float(),
            )
            rows += _strongest(model, [stack], direction, k, n_tokens)
    rows.sort(key=lambda r: (r.pos, r.kind, -r.write_norm))
    return TopUnits(prompt, ids, display_tokens(model, ids), rows)


def _direct_readers(model: "TransformerBridge", found: dict[str, Tensor]) -> Float[Tensor, "pos d_model"]:
    """For each position, the direction whose dot product with a write is its direct effect on the likeliest logit."""
    best = found["unembed.hook_out"][0].argmax(-1)
    W_U = model.W_U.detach().float()
    reader = W_U[:, best].T - W_U.mean(1)
    return _centre(model, _final_weight(model) * reader / found["ln_final.hook_scale"][0].float())


def _centre(model: "TransformerBridge", x: Tensor) -> Tensor:
    """LayerNorm takes the mean off what it reads; RMSNorm does not."""
    norm = getattr(model, "ln_final", None)
    return x if norm is None or norm.uses_rms_norm else x - x.mean(-1, keepdim=True)


def _final_weight(model: "TransformerBridge") -> Tensor:
    """The final norm's elementwise weight; ones where it has none."""
    norm = getattr(model, "ln_final", None)
    weight = getattr(getattr(norm, "original_component", None), "weight", None)
    if norm is None or weight is None:
        return torch.ones(model.cfg.d_model, device=model.W_U.device)
    return weight.detach().float() + (1.0 if norm.uses_weight_offset else 0.0)


def _strongest(
    model: "TransformerBridge", stacks: list[tuple[int, str, Tensor, Tensor]], direction: Tensor, k: int, n_tokens: int
) -> list[UnitRow]:
    """The k strongest units at each position over all stacks of (layer, kind, activations, writers)."""
    size = torch.cat([a.abs() * w.norm(dim=1) for _, _, a, w in stacks], 1)
    best = size.topk(min(k, size.shape[1]), 1)
    widths = torch.tensor([a.shape[1] for _, _, a, _ in stacks], device=size.device)
    ends = widths.cumsum(0)
    stack_of = torch.searchsorted(ends, best.indices, right=True)
    unit_of = best.indices - (ends - widths)[stack_of]
    keys = sorted({(int(s), int(u)) for s, u in zip(stack_of.flatten(), unit_of.flatten(), strict=True)})
    words = dict(
        zip(keys, logit_effects(model, torch.stack([stacks[s][3][u] for s, u in keys]), n_tokens), strict=True)
    )
    rows = []
    for pos in range(size.shape[0]):
        for norm, s, u in zip(best.values[pos].tolist(), stack_of[pos].tolist(), unit_of[pos].tolist(), strict=True):
            layer, kind, activations, writers = stacks[s]
            activation = float(activations[pos, u])
            if activation != 0:
                direct = activation * float(writers[u] @ direction[pos])
                rows.append(UnitRow(layer, kind, u, pos, activation, norm, direct, *words[(s, u)]))
    return rows


def logit_effects(
    model: "TransformerBridge", writes: Float[Tensor, "unit d_model"], k: int = 5
) -> list[tuple[list[str], list[str]]]:
    """Tokens whose demeaned logits each direction raises and lowers most, through the final norm's weight alone."""
    effect = (_centre(model, writes) * _final_weight(model)) @ model.W_U.detach().float()
    up, down = effect.topk(k, -1).indices.tolist(), effect.topk(k, -1, largest=False).indices.tolist()
    flat = iter(display_tokens(model, [t for both in zip(up, down, strict=True) for ids in both for t in ids]))
    return [([next(flat) for _ in range(k)], [next(flat) for _ in range(k)]) for _ in range(len(writes))]
