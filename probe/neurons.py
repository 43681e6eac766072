"""The units that write most at each token of a prompt: MLP neurons, and latents of the dictionaries at hand."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.forward import capture
from probe.norms import NormParts, norm_parts
from probe.opening import Opens, came_from
from probe.prompts import Prompt, read_prompt
from probe.record import Table, quoted
from probe.sites import Site, hook_name, parse_site
from probe.targets import Asked, Target, asked
from probe.tokens import display_tokens
from probe.unit_names import unit_name

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class UnitRow:
    """One unit at one position. write_norm: length of what it adds to the residual stream. direct: what it adds directly to the
    demeaned logit of the target, or of the token the model finds likeliest there (final norm frozen). promoted, suppressed:
    tokens whose logits its output direction raises and lowers most. dictionary: name of the artifact that a latent is of."""

    layer: int
    kind: str
    unit: int
    pos: int
    activation: float
    write_norm: float
    direct: float
    promoted: list[str]
    suppressed: list[str]
    dictionary: str = ""

    @property
    def name(self) -> str:
        """`L5N120` for a neuron, `L5F650` for a latent."""
        return unit_name(self.kind, self.layer, self.unit)


@dataclass(frozen=True)
class TopUnits(Table, Opens):
    """units are ordered by position, then kind, then falling `by`: the k strongest of each kind at each position. by: `write`,
    the length of what a unit adds, or `direct`, the size of its direct effect. target: what `direct` is about, a token or a
    difference; empty for the likeliest token of each position."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    units: list[UnitRow]
    target: str = ""
    by: str = "write"

    def at(self, pos: int, kind: str | None = None) -> list[UnitRow]:
        """Units of one position, of one kind if given."""
        pos = pos % len(self.tokens)
        return [r for r in self.units if r.pos == pos and kind in (None, r.kind)]

    def about(self) -> str:
        """What `direct` and the order are about, for a title."""
        order = " by direct effect" if self.by == "direct" else ""
        return f"{order}{f' on the logit of {self.target}' if self.target else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        said = {"target": self.target, "by": self.by}
        return {
            "prompt": self.prompt,
            "tokens": self.tokens,
            **said,
            "rows": [asdict(r) | {"name": r.name} for r in self.units],
        }

    def summary(self) -> str:
        """One sentence: what is listed, and which unit comes first at the last token."""
        last = self.at(-1) if self.tokens else []
        first = (
            f"; at the last token first {last[0].name}, which promotes {quoted(''.join(last[0].promoted[:3]))}"
            if last
            else ""
        )
        return f"Strongest units{self.about()} on {quoted(self.prompt)}{first}."

    def rows(self, pos: int | None = -1) -> list[dict[str, Any]]:
        """One row a unit at one position, or with None at every one, with what a person compares."""
        return [
            {
                **({"position": r.pos, "token": self.tokens[r.pos]} if pos is None else {}),
                "unit": r.name,
                "of": r.dictionary or r.kind,
                "activation": r.activation,
                "write": r.write_norm,
                "direct": r.direct,
                "promotes": " ".join(r.promoted),
                "suppresses": " ".join(r.suppressed),
            }
            for r in (self.units if pos is None else self.at(pos))
        ]

    def _repr_html_(self) -> str:
        from probe.html_readings import units_html

        return units_html(self)


@dataclass(frozen=True)
class UnitStack:
    """The units of one MLP. writers: what a unit adds to the stream at `reach` 1, after any post-norm's weight; reach: the
    activation over the post-norm's divisor, which is the activation itself where there is none."""

    layer: int
    kind: str
    activation: Float[Tensor, "pos unit"]
    reach: Float[Tensor, "pos unit"]
    writers: Float[Tensor, "unit d_model"]
    dictionary: str = ""


def top_units(
    model: "TransformerBridge",
    prompt: Prompt,
    dictionaries: Sequence[Any] = (),
    *,
    target: Target | None = None,
    by: str | None = None,
    k: int = 10,
    n_tokens: int = 5,
) -> TopUnits:
    """The k neurons and, per position, the k latents that write most, or add most to a target directly.

    target: a token (text or id) or a `Difference`. by: `write` or `direct`; `direct` where there is a target. Raises BadInput for
    an empty or too long prompt and for what is no token.
    """
    by = by or ("write" if target is None else "direct")
    if k < 1 or by not in ("write", "direct"):
        raise BadInput(f"k is {k} and by is {by!r}; k must be at least 1, and by 'write' or 'direct'.")
    wanted = None if target is None else asked(model, target)
    prompt, ids = read_prompt(model, prompt)
    layers = range(model.cfg.n_layers)
    inputs = [parse_site(d.site_in, model) for d in dictionaries]
    norms = [Site("final_scale"), *(Site("ln2_post_scale", i) for i in layers)]
    sites = [
        *(Site("mlp_post", i) for i in layers),
        *inputs,
        Site("logits"),
        *(s for s in norms if hook_name(s, model)),
    ]
    found = capture(model, torch.tensor([ids], device=model.W_E.device), sites, stop=False)
    direction = _direct_readers(model, found, wanted)
    with torch.no_grad():
        neurons = [
            unit_stack(model, found, i, "neuron", found[Site("mlp_post", i).name][0], model.blocks[i].mlp.W_out)
            for i in layers
        ]
        rows = _strongest(model, neurons, direction, by, k, n_tokens)
        for dictionary, site in zip(dictionaries, inputs, strict=True):
            latents = dictionary.encode(found[site.name][0].to(dictionary.W_enc))
            stack = unit_stack(model, found, site.layer or 0, "latent", latents, dictionary.W_dec)
            named = replace(stack, dictionary=getattr(dictionary, "name", ""))
            rows += _strongest(model, [named], direction, by, k, n_tokens)
    rows.sort(key=lambda r: (r.pos, r.kind, -(r.write_norm if by == "write" else abs(r.direct))))
    name = "" if wanted is None else wanted.name
    return came_from(TopUnits(prompt, ids, display_tokens(model, ids), rows, name, by), model)


def unit_stack(
    model: "TransformerBridge", found: dict[str, Tensor], layer: int, kind: str, activation: Tensor, W_out: Tensor
) -> UnitStack:
    activation, writers = activation.detach().float(), W_out.detach().float()
    scale = found.get(Site("ln2_post_scale", layer).name)
    if scale is None:
        return UnitStack(layer, kind, activation, activation, writers)
    post = norm_parts(model.blocks[layer].ln2_post, writers)
    return UnitStack(layer, kind, activation, activation / scale[0].float(), post.scaled(writers))


def _final_norm(model: "TransformerBridge") -> NormParts | None:
    norm = getattr(model, "ln_final", None)
    return None if norm is None else norm_parts(norm, model.W_U.detach().float())


def _direct_readers(
    model: "TransformerBridge", found: dict[str, Tensor], wanted: Asked | None = None
) -> Float[Tensor, "pos d_model"]:
    """For each position, the direction whose dot product with a write is its direct effect on what is asked, or on the likeliest
    logit."""
    best, W_U, norm = found["unembed.hook_out"][0].argmax(-1), model.W_U.detach().float(), _final_norm(model)
    if wanted is not None:
        best = torch.full_like(best, wanted.id)
    reader = W_U[:, best].T - (W_U.mean(1) if wanted is None or wanted.other is None else W_U[:, wanted.other])
    if norm is None or "ln_final.hook_scale" not in found:
        return reader
    back = norm.weight * reader / found["ln_final.hook_scale"][0].float()
    return back - back.mean(-1, keepdim=True) if norm.centred else back


def _strongest(
    model: "TransformerBridge", stacks: list[UnitStack], direction: Tensor, by: str, k: int, n_tokens: int
) -> list[UnitRow]:
    """The k strongest units at each position over all stacks."""
    size = torch.cat([_size(s, direction if by == "direct" else None) for s in stacks], 1)
    best = size.topk(min(k, size.shape[1]), 1)
    widths = torch.tensor([s.reach.shape[1] for s in stacks], device=size.device)
    ends = widths.cumsum(0)
    stack_of = torch.searchsorted(ends, best.indices, right=True)
    unit_of = best.indices - (ends - widths)[stack_of]
    keys = sorted({(int(s), int(u)) for s, u in zip(stack_of.flatten(), unit_of.flatten(), strict=True)})
    effects = logit_effects(model, torch.stack([stacks[s].writers[u] for s, u in keys]), n_tokens)
    words, rows = dict(zip(keys, effects, strict=True)), []
    for pos in range(size.shape[0]):
        for most, s, u in zip(best.values[pos].tolist(), stack_of[pos].tolist(), unit_of[pos].tolist(), strict=True):
            if most > 0:
                stack, reach = stacks[s], float(stacks[s].reach[pos, u])
                direct = reach * float(stack.writers[u] @ direction[pos])
                activation, norm = float(stack.activation[pos, u]), abs(reach) * float(stack.writers[u].norm())
                row = UnitRow(stack.layer, stack.kind, u, pos, activation, norm, direct, *words[(s, u)])
                rows.append(replace(row, dictionary=stack.dictionary))
    return rows


def _size(stack: UnitStack, direction: Float[Tensor, "pos d_model"] | None) -> Float[Tensor, "pos unit"]:
    """How much each unit writes, or how much of that points in a direction."""
    reach = stack.reach.abs()
    return reach * (stack.writers.norm(dim=1) if direction is None else (direction @ stack.writers.T).abs())


def logit_effects(
    model: "TransformerBridge", writes: Float[Tensor, "unit d_model"], k: int = 5
) -> list[tuple[list[str], list[str]]]:
    """Tokens whose demeaned logits each direction raises and lowers most, through the final norm's weight alone."""
    norm = _final_norm(model)
    effect = (writes if norm is None else norm.scaled(writes)) @ model.W_U.detach().float()
    up, down = effect.topk(k, -1).indices.tolist(), effect.topk(k, -1, largest=False).indices.tolist()
    flat = iter(display_tokens(model, [t for both in zip(up, down, strict=True) for ids in both for t in ids]))
    return [([next(flat) for _ in range(k)], [next(flat) for _ in range(k)]) for _ in range(len(writes))]
