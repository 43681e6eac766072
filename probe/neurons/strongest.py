"""The units that write most at each token of a prompt: MLP neurons, and latents of the dictionaries at hand."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.interventions.forward import capture, per_token, require_finite
from probe.methods import DictionaryName, Doc, method
from probe.model.anatomy import spot
from probe.model.sites import Site, hook_name, layers_with, parse_site
from probe.model.unit_names import unit_name
from probe.neurons.unit_writes import UnitStack, direct_readers, latent_stack, logit_effects, neuron_stack
from probe.show.opening import came_from
from probe.show.panels import Chosen, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.show.values import quoted
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Target, asked
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class UnitRow:
    """One unit at one position. write_norm: length of what it adds to the residual stream. direct: what it adds directly to the
    demeaned logit of the target, or of the token the model finds likeliest there (final norm frozen). promoted, suppressed:
    tokens whose logits are raised and lowered most by what it writes here, which is its direction with the activation's sign.
    dictionary: name of the artifact that a latent is of."""

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
class TopUnits(Record, page=True):
    """units are ordered by position, then kind, then falling `by`: the k strongest of each kind at each position. by: `write`,
    the length of what a unit adds, or `direct`, the size of its direct effect. target: what `direct` is about, a token or a
    difference; empty for the likeliest token of each position. shown: the token whose units are shown first."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    units: list[UnitRow]
    target: str = ""
    by: str = "write"
    shown: int = -1

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
            f"; at the last token first {last[0].name}, which promotes {', '.join(map(quoted, last[0].promoted[:3]))}"
            if last
            else ""
        )
        return f"Strongest units{self.about()} on {quoted(self.prompt)}{first}."

    def strongest(self) -> Float[np.ndarray, " pos"]:
        """How much the strongest unit writes at each token (norm); NaN where none is listed."""
        most = np.full(len(self.tokens), np.nan)
        for row in self.units:
            most[row.pos] = np.fmax(most[row.pos], row.write_norm)
        return most

    def panels(self) -> list[Panel]:
        """How much is written at each token, and the units of one."""
        if not self.tokens:
            return [Sentence(self.summary())]
        strip = Tokens("how much the strongest unit writes (norm)", self.tokens, self.strongest().tolist())
        n = len(self.tokens)
        return [strip, Chosen({"token": n}, self._at, {"token": self.shown % n}), Sentence(self.summary())]

    def _at(self, token: int) -> list[Panel]:
        """The units of one token."""
        where = f"at {self.tokens[token]!r} (position {token})"
        if not (rows := self.rows(token)):
            return [Sentence(f"No unit writes anything {where}.")]
        return [Rows(f"Strongest units{self.about()} {where}", rows)]

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
                "promotes": r.promoted,
                "suppresses": r.suppressed,
            }
            for r in (self.units if pos is None else self.at(pos))
        ]


@method("strongest-units", group="neurons")
def top_units(
    model: "TransformerBridge",
    prompt: Prompt,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("Dictionaries whose latents are read too.")] = (),
    *,
    target: Annotated[Target | None, Doc("Order by what is added to its logit directly.")] = None,
    by: Annotated[Literal["write", "direct"] | None, Doc("Order; `direct` where there is a target.")] = None,
    k: Annotated[int, Doc("Units of each kind at each position.", least=1)] = 10,
    n_tokens: Annotated[int, Doc("Tokens that each unit promotes, to list.", least=0)] = 5,
    position: Annotated[int, Doc("The token whose units are shown first; -1 is the last.")] = -1,
) -> TopUnits:
    """The k neurons and, per position, the k latents that write most, or add most to a target directly.

    target: a token (text or id) or a `Difference`. by: `write` or `direct`; `direct` where there is a target. Raises BadInput for
    an empty or too long prompt and for what is no token.

    >>> top = ow.top_units(model, "When Mary and John went to", target=ow.Difference(" the", " of"), k=3)
    >>> len(top.at(-1))
    3
    """
    by = by or ("write" if target is None else "direct")
    if k < 1 or by not in ("write", "direct"):
        raise BadInput(f"k is {k} and by is {by!r}; k must be at least 1, and by 'write' or 'direct'.")
    wanted = None if target is None else asked(model, target)
    prompt, ids = read_prompt(model, prompt)
    if not -len(ids) <= position < len(ids):
        raise BadInput(f"The prompt has tokens 0 to {len(ids) - 1}; there is no position {position}.")
    layers = layers_with("mlp_post", model)
    if not layers and not dictionaries:
        spot(Site("mlp_post", 0), model)  # says why there are none
    inputs = [parse_site(d.site_in, model) for d in dictionaries]
    posts = [Site(f"{n}_post_scale", i) for n in ("ln1", "ln2") for i in range(model.cfg.n_layers)]
    norms = [Site("final_scale"), *posts]
    sites = [
        *(Site("mlp_post", i) for i in layers),
        *inputs,
        Site("logits"),
        *(s for s in norms if hook_name(s, model)),
    ]
    found = capture(model, torch.tensor([ids], device=model.W_E.device), sites, stop=False)
    require_finite(found[Site("logits").name])
    direction = direct_readers(model, found, wanted)
    with torch.no_grad():
        neurons = [neuron_stack(model, found, i) for i in layers]
        rows = _strongest(model, neurons, direction, by, k, n_tokens) if neurons else []
        for dictionary, site in zip(dictionaries, inputs, strict=True):
            latents = dictionary.encode(per_token(found[site.name])[0].to(dictionary.W_enc))
            rows += _strongest(model, [latent_stack(model, found, dictionary, latents)], direction, by, k, n_tokens)
    rows.sort(key=lambda r: (r.pos, r.kind, -(r.write_norm if by == "write" else abs(r.direct))))
    name = "" if wanted is None else wanted.name
    return came_from(TopUnits(prompt, ids, display_tokens(model, ids), rows, name, by, position), model)


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
                up, down = words[(s, u)] if reach >= 0 else words[(s, u)][::-1]  # what is written here, sign and all
                row = UnitRow(
                    layer=stack.layer,
                    kind=stack.kind,
                    unit=u,
                    pos=pos,
                    activation=activation,
                    write_norm=norm,
                    direct=direct,
                    promoted=up,
                    suppressed=down,
                )
                rows.append(replace(row, dictionary=stack.dictionary))
    return rows


def _size(stack: UnitStack, direction: Float[Tensor, "pos d_model"] | None) -> Float[Tensor, "pos unit"]:
    """How much each unit writes, or how much of that points in a direction."""
    reach = stack.reach.abs()
    return reach * (stack.writers.norm(dim=1) if direction is None else (direction @ stack.writers.T).abs())
