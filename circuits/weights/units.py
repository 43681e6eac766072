"""What units read and write according to their weights alone, with the weights of the norms between folded in.

Write u for what a source adds to the residual stream when its activation is 1, r for what a target reads of it. Norms divide by a
number that depends on the input; everything else they do is linear and part of the weights:

    u = P w    w the source's row of W_dec or W_out; P centres and multiplies by the post-norm's weight, if there is one
    r = N v    v the target's column of W_enc, W_in or W_gate; N multiplies by the weight of the norm before it and centres

so that u . r times the source's activation, divided by those norms' divisors, is what the target reads. Only the product u . r
is said here: it is the same for every input (Dunefsky et al. 2024, "Transcoders find interpretable LLM feature circuits").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.replacement.placement import Placed, place_dictionaries
from circuits.replacement.points import behind, mid, mlp_reads, mlp_writes
from probe.errors import BadInput, brief
from probe.model.anatomy import anatomy
from probe.model.norms import NormParts
from probe.model.sites import Site
from probe.model.unit_names import UnitName, as_text, nearly, require_unit
from probe.model.writes import mlp_norm, mlp_writes_through, wide
from probe.model.writes import norm_of as probe_norm_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.interventions.places import Place

SAE_OF_MLP = (
    "An SAE of an MLP's output reads only what the neurons of its own layer wrote, through no fixed weights from the stream. Ask "
    "for a transcoder's latent, an SAE latent of the residual stream, or a neuron."
)


def unit_asked(text: "str | UnitName | Place | tuple[int, int]", latents: Sequence[int] = ()) -> UnitName:
    """`L5N120`, `L5F650`, or (layer, unit): then a latent where layer is among `latents`, a neuron elsewhere."""
    if isinstance(text, UnitName):
        return text
    text = as_text(text)
    if not isinstance(text, str):
        if not (isinstance(text, Sequence) and len(text) == 2 and all(isinstance(i, int | np.integer) for i in text)):
            raise BadInput(f"A unit is named like L5N120, or given as (layer, unit); {brief(text)} came.")
        layer, unit = text
        return UnitName(int(layer), "latent" if layer in latents else "neuron", int(unit))
    found = UnitName.parse(text, "neuron", "latent")
    if found is None or found.pos is not None:
        raise BadInput(
            f"'{text}' names no unit; write L5N120 for a neuron or L5F650 for a dictionary's latent.{nearly(text)}"
        )
    return found


def folded(norm: NormParts | None, rows: Float[Tensor, "*row d_model"]) -> Float[Tensor, "*row d_model"]:
    """What is read of a norm's input when `rows` read its output, its divisor left out: the transpose of `norm.scaled`."""
    if norm is None:
        return rows
    back = rows * norm.weight.to(rows)
    return back - back.mean(-1, keepdim=True) if norm.centred else back


def norm_of(model: "TransformerBridge", name: str, layer: int) -> NormParts | None:
    """The parts of `ln1`, `ln1_post`, `ln2` or `ln2_post` of a layer, of `ln1` for `ln2` where attention and MLP share it; None
    where the block has no such norm."""
    name = mlp_norm(model, layer) or name if name == "ln2" else name
    return probe_norm_of(model, name, layer, wide(model.W_E))


@dataclass(frozen=True)
class Written:
    """Where units write: the point of the stream, a row for each unit, and the norm after the MLP, if there is one."""

    point: int
    rows: Float[Tensor, "unit d_model"]
    norm: NormParts | None

    def scaled(self, units: slice) -> Float[Tensor, "some d_model"]:
        """What these units add to the stream at activation 1, the norm's divisor left out."""
        rows = wide(self.rows[units])
        return rows if self.norm is None else self.norm.scaled(rows.to(self.norm.weight))


@dataclass(frozen=True)
class Bank:
    """The units of one layer: neurons of its MLP, or latents of the dictionary that stands there.

    reads: a gated neuron has two readers, `gate` and `in`; others have one. A neuron's activation is then no single product, and
    each reader is told apart. read_point: None for an SAE of the MLP's output, which reads no point of the stream.
    """

    kind: str
    layer: int
    n: int
    read_point: int | None
    reads: tuple[tuple[str, Float[Tensor, "d_model unit"]], ...]
    read_norm: NormParts | None
    writes: tuple[Written, ...]

    def name(self, unit: int) -> UnitName:
        """The name of one of its units."""
        return UnitName(self.layer, self.kind, unit)

    def readers(self, units: Int[Tensor, " row"]) -> dict[str, Float[Tensor, "row d_model"]]:
        """What these units read of the stream, by reader, norm weights folded in."""
        if self.read_point is None:
            raise BadInput(SAE_OF_MLP)
        return {name: folded(self.read_norm, wide(W[:, units.to(W.device)].T)) for name, W in self.reads}

    def writers(self, units: slice, before: int) -> Float[Tensor, "unit d_model"] | None:
        """What these units add to the stream up to the point `before`, at activation 1; None if they write only later."""
        found = [w for w in self.writes if w.point <= before]
        parts = [w.scaled(units) for w in found]
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0] if parts else None


def neuron_bank(model: "TransformerBridge", layer: int) -> Bank:
    """The neurons of one MLP. BadInput where a layer has no single MLP."""
    if not 0 <= layer < model.cfg.n_layers:
        raise BadInput(f"There is no layer {layer}; this model has layers 0 to {model.cfg.n_layers - 1}.")
    W_out, _ = mlp_writes_through(model, layer)
    mlp, parallel = model.blocks[layer].mlp, bool(model.cfg.parallel_attn_mlp)
    if mlp.W_in.shape[1] != W_out.shape[0]:
        raise BadInput(
            f"W_in of layer {layer} holds {mlp.W_in.shape[1]} columns for {W_out.shape[0]} neurons (gate and input in one "
            "matrix), so what a neuron reads cannot be told; give a dictionary for the layer."
        )
    gate = getattr(mlp, "W_gate", None)
    reads = (("in", mlp.W_in),) if gate is None else (("gate", gate), ("in", mlp.W_in))
    written = Written(mlp_writes(layer), W_out, norm_of(model, "ln2_post", layer))
    point, norm = mlp_reads(layer, parallel), norm_of(model, "ln2", layer)
    return Bank("neuron", layer, W_out.shape[0], point, reads, norm, (written,))


def latent_bank(model: "TransformerBridge", placed: Placed) -> Bank:
    """The latents of one layer's dictionary."""
    d, layer, width = placed.dictionary, placed.layer, int(model.cfg.d_model)
    rows = d.W_dec.detach().split(width, 1)
    if placed.at == "mlp":
        after = placed.write.kind == "mlp_write"
        norms = [None if after else norm_of(model, "ln2_post", m) for m in placed.writes]
        factors = [1.0 if after else anatomy(model).factors.get(Site("mlp_write", m), 1.0) for m in placed.writes]
        rows = [r if f == 1.0 else r * f for r, f in zip(rows, factors, strict=True)]
        writes = tuple(Written(mlp_writes(m), r, n) for m, r, n in zip(placed.writes, rows, norms, strict=True))
    else:  # in the stream: read at the SAE's point, written at the next
        writes = (Written(behind(mid(layer) if placed.at == "mid" else mlp_writes(layer)), rows[0], None),)
    return Bank("latent", layer, d.W_enc.shape[1], *_read_at(model, placed), writes)


def _read_at(model: "TransformerBridge", placed: Placed) -> tuple[int | None, Any, NormParts | None]:
    """Point, readers and norm of a dictionary."""
    layer, reads = placed.layer, (("enc", placed.dictionary.W_enc.detach()),)
    if placed.at != "mlp":
        return (mid(layer) if placed.at == "mid" else mlp_writes(layer)), reads, None
    if placed.is_sae:
        return None, reads, None
    norm = None if placed.read.kind == "resid_mid" else norm_of(model, "ln2", layer)
    return mlp_reads(layer, bool(model.cfg.parallel_attn_mlp)), reads, norm


@dataclass(frozen=True)
class WeightView:
    """A model and its dictionaries as banks of units and maps of heads; nothing is copied until it is asked for."""

    model: "TransformerBridge"
    placed: dict[int, Placed]

    def name(self, target: "str | UnitName | Place | tuple[int, int]") -> UnitName:
        """A checked name: BadInput where there is no such unit."""
        name, n_layers = unit_asked(target, tuple(self.placed)), self.model.cfg.n_layers
        there = name.kind != "neuron" or 0 <= name.layer < n_layers
        n = self.bank(name).n if there else int(self.model.cfg.d_mlp or 0)
        require_unit(name.kind, name.layer, name.unit, n_layers, n)
        return name

    def bank(self, name: UnitName) -> Bank:
        """The bank a unit belongs to."""
        if name.kind == "neuron":
            return neuron_bank(self.model, name.layer)
        if name.layer not in self.placed:
            raise BadInput(f"{name} is a dictionary's latent, but no dictionary of layer {name.layer} was given.")
        return latent_bank(self.model, self.placed[name.layer])

    def banks(self, before: int) -> list[Bank]:
        """All units that write up to the point `before`: latents where a layer has a dictionary, neurons elsewhere."""
        found: list[Bank] = []
        for layer in range(self.model.cfg.n_layers):
            placed = self.placed.get(layer)
            if placed is None or placed.at != "mlp":
                found.append(neuron_bank(self.model, layer))
            if placed is not None:
                found.append(latent_bank(self.model, placed))
        return [b for b in found if any(w.point <= before for w in b.writes)]


def weight_view(model: "TransformerBridge", dictionaries: Sequence[Any] = ()) -> WeightView:
    """The weights of a model with these dictionaries in place."""
    return WeightView(model, place_dictionaries(model, dictionaries))
