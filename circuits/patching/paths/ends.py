"""The ends of a path: who sends and who receives, by the names that units and sites have elsewhere.

    senders      L9H6           what a head has gathered           L5N120        a neuron
                 mlp_out.5      what an MLP writes                 attn_out.5    what attention writes
                 resid_pre.3    the stream                         input         the stream before layer 0
                 heads, mlps    each of them by itself
    receivers    L9H6           all inputs of a head               L9H6.q        its queries
                 L9KV2.k        keys of a key-value head           L9KV2.v       its values
                 mlp_in.5       what an MLP reads                  resid_post.7  the stream
                 logits         the prediction

Either may stand at one position, @-1, or a range, @2:5. Queries and keys are those before their norm and rotation. All inputs of
a head are its z as they make it: with grouped queries, keys and values as this head alone gets them. L9H6.k names the keys of a
head that has its own; heads that share theirs receive through L9KV2.k together.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from probe.errors import BadInput, brief
from probe.model.anatomy import anatomy, require_stream, spot
from probe.model.sites import Site, hook_name, layers_with, parse_site
from probe.model.unit_names import UnitName, nearly, position_name, position_of, require_unit, unit_name
from probe.text.targets import listed

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_HEAD = re.compile(r"L(?P<layer>\d{1,4})(?P<kind>H|KV)(?P<head>\d{1,6})(?:\.(?P<side>[a-z]+))?")
_SIDES = ("q", "k", "v", "z")
SENDING = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_write", "mlp_in", "attn_in")
RECEIVING = ("resid_pre", "resid_mid", "resid_post", "mlp_in", "attn_in", "logits")
SENDERS = "L9H6, L9H6.q, L9KV2.v, L5N120, mlp_out.5, attn_out.5, resid_pre.3, input, or heads or mlps for each of them"
RECEIVERS = "logits, L9H6, L9H6.q, L9KV2.k, mlp_in.5, resid_post.7"


@dataclass(frozen=True)
class End:
    """One end of a path. unit: of a site that has heads or neurons, which; None for all. pos: which positions; None for all."""

    name: str
    site: Site = field(compare=False)
    unit: int | None = field(default=None, compare=False)
    pos: int | slice | None = field(default=None, compare=False)

    @property
    def index(self) -> tuple[Any, ...]:
        """Where it is in its site's value, without the axis of runs."""
        at = slice(self.pos, self.pos + 1 or None) if isinstance(self.pos, int) else self.pos or slice(None)
        return (at,) if self.unit is None else (at, self.unit)

    @property
    def layer(self) -> int:
        """Its layer; a model's last and one for what follows the blocks."""
        return 1 << 20 if self.site.layer is None else self.site.layer


def senders_of(model: "TransformerBridge", named: Sequence[str]) -> tuple[list[End], list[End]]:
    """The senders, and those that were named by themselves (a group leaves out who comes too late)."""
    found: list[End] = []
    alone: list[End] = []
    for text in _each(named):
        group, at, pos = _text(text).partition("@")
        if group in ("heads", "mlps"):
            found += [_end(model, f"{one}{at}{pos}", sends=True) for one in _every(model, group)]
        else:
            alone.append(_end(model, text, sends=True))
            found.append(alone[-1])
    if not found:
        raise BadInput(f"No sender was named; name {SENDERS}.")
    return list(dict.fromkeys(found)), alone


def receivers_of(model: "TransformerBridge", named: Sequence[str]) -> list[End]:
    """The receivers. BadInput for the logits beside others: whatever else is set, they are set after it."""
    found = list(dict.fromkeys(_end(model, text, sends=False) for text in _each(named)))
    if not found:
        raise BadInput(f"No receiver was named; name {RECEIVERS}.")
    if len(found) > 1 and any(end.site.kind == "logits" for end in found):
        raise BadInput(
            "The logits come after every other receiver, so with them given nothing else would matter. Ask for the logits alone, "
            "or for the others alone."
        )
    return found


def reaches(model: "TransformerBridge", sender: End, receiver: End) -> bool:
    """Whether what the sender writes is there when the receiver reads. Where attention and MLP stand side by side, heads do not
    reach the MLP of their own layer."""
    if receiver.site.kind == "logits":
        return True
    a, b = sender.site, receiver.site
    inside = a.kind in ("q", "k", "v", "attn_in", "z", "attn_out") and b.kind == "mlp_in" and a.layer == b.layer
    if inside and Site("resid_mid", a.layer) not in anatomy(model).spots:
        return False
    return a.depth < b.depth


def require_positions(end: End, n: int) -> None:
    """BadInput for a position that a prompt of so many tokens does not have."""
    at = end.pos
    there = (-n <= at < n) if isinstance(at, int) else at is None or bool(range(*at.indices(n)))
    if not there:
        raise BadInput(
            f"{end.name} stands at positions that a prompt of {n} tokens does not have; count from the end, like @-1."
        )


def _every(model: "TransformerBridge", group: str) -> list[str]:
    if group == "mlps":
        return [f"mlp_out.{i}" for i in layers_with("mlp_write", model)]
    heads = {i: spot(Site("z", i), model).sizes["head"] for i in layers_with("z", model)}
    return [unit_name("head", i, h) for i, n in heads.items() for h in range(n)]


def _each(named: Any) -> list[Any]:
    """Names apart: several may stand in one text, with commas between."""
    return [part for text in listed(named) for part in (text.split(",") if isinstance(text, str) else [text])]


def _text(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise BadInput(f"An end of a path is a name, like L9H6; {brief(text)} came.")
    return text.strip()


def _end(model: "TransformerBridge", text: str, sends: bool) -> End:
    whole = _text(text)
    name, at, behind = whole.partition("@")
    pos = position_of(behind, whole) if at else None
    if found := _HEAD.fullmatch(name):
        return _of_head(model, found, pos, sends)
    if (neuron := UnitName.parse(name, "neuron")) is not None and sends:
        site = Site("mlp_post", neuron.layer)
        sizes = spot(site, model).sizes if neuron.layer < int(model.cfg.n_layers) else {}
        require_unit("neuron", neuron.layer, neuron.unit, int(model.cfg.n_layers), sizes.get("d_mlp", 0))
        return End(unit_name("neuron", neuron.layer, neuron.unit, pos), site, neuron.unit, pos)
    return _of_site(model, name, pos, sends)


def _of_site(model: "TransformerBridge", name: str, pos: int | slice | None, sends: bool) -> End:
    kinds, examples = (SENDING, SENDERS) if sends else (RECEIVING, RECEIVERS)
    if name == "input" and sends:
        return End("input" + position_name(pos), parse_site(Site("resid_pre", 0), model), None, pos)
    if nearly(name) or name.partition(".")[0] not in kinds:
        who = "sender" if sends else "receiver"
        raise BadInput(f"{brief(name)} is no {who}.{nearly(name)} Name {examples}.")
    site = parse_site(name, model)
    if site.kind == "resid_mid":
        require_stream(model)
    if site.kind == "mlp_out":  # what reaches the stream
        site = parse_site(Site("mlp_write", site.layer), model)
    return End(name + position_name(pos), site, None, None if site.kind == "logits" else pos)


def _of_head(model: "TransformerBridge", found: re.Match[str], pos: int | slice | None, sends: bool) -> End:
    layer, head, shared, side = int(found["layer"]), int(found["head"]), found["kind"] == "KV", found["side"] or "z"
    n_layers = int(model.cfg.n_layers)
    if side not in _SIDES or (shared and side not in ("k", "v")):
        wanted = "k or v" if shared else ", ".join(_SIDES)
        raise BadInput(
            f"{found[0]} names no part of a head; write {found[0].partition('.')[0]}.{wanted[0]} ({wanted})."
        )
    if not 0 <= layer < n_layers or hook_name(Site("z", layer), model) is None:
        require_unit("head", layer, head, n_layers, 0)
    heads, groups = (
        spot(Site("z", layer), model).sizes["head"],
        next(iter(spot(Site("k", layer), model).sizes.values())),
    )
    if side in ("k", "v") and not shared and groups != heads:
        own = head // (heads // groups)
        raise BadInput(
            f"Heads of layer {layer} share keys and values: {found[0]} would be those of "
            f"{', '.join(f'L{layer}H{h}' for h in range(own * heads // groups, (own + 1) * heads // groups))} too. Write "
            f"L{layer}KV{own}.{side} for all of them, or L{layer}H{head} for every input of this head alone."
        )
    if not 0 <= head < (groups if side in ("k", "v") else heads):
        require_unit("head", layer, head, n_layers, groups if side in ("k", "v") else heads)
    own = f"L{layer}{'KV' if groups != heads and side in ('k', 'v') else 'H'}{head}"
    name = own if side == "z" else f"{own}.{side}"
    return End(name + position_name(pos), parse_site(Site(side, layer), model), head, pos)
