"""The full effect of changing nodes, measured in the model with all that comes later free to answer.

    neurons and latents     set where they are (`probe.interventions.unit_edits`): new = factor * what it is now + level
    heads, whole MLPs       what they write, biases apart, times the factor
    leaves                  (factor - 1) times what they wrote is added where it enters: it depends on nothing below

Read are the roots, as logits or directions of the changed run with its own norms, and every neuron's activation and latent's
pre-activation. Heads and whole MLPs have no single number to read. An SAE's latents are read before its own change is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.attribution.vectors import Places, Write
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.replacement import points
from circuits.replacement.units import Neurons
from circuits.validation.predict import Change
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.interventions.places import Place, place
from probe.interventions.running import intervene
from probe.interventions.unit_edits import UnitEdit, edit_units, encoded
from probe.interventions.values import Function, Steer
from probe.model.anatomy import spot
from probe.model.sites import Site, hook_name, parse_site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.replacement.placement import Placed


@dataclass(frozen=True)
class Observed:
    """One run. value: of every root, neuron and latent of the graph, NaN for others. log_probs: of the next token."""

    value: Float[np.ndarray, " node"]
    log_probs: Float[Tensor, " d_vocab"]

    def kl_to(self, other: "Observed") -> float:
        """KL divergence of the other run's prediction from this one's, in nats."""
        return max(float((self.log_probs.exp() * (self.log_probs - other.log_probs)).sum()), 0.0)


class ChangeableRun:
    """Runs of one graph's prompt in which some of its nodes are changed. clean: the untouched one."""

    def __init__(self, model: "TransformerBridge", places: Places, tokens: Tensor, placed: "dict[int, Placed]"):
        self.model, self.places, self.graph, self.placed = model, places, places.graph, placed
        self.frozen, self.tokens = places.frozen, tokens
        sites = [Site("mlp_post", i) for i in self._layers("neuron")] + [Site("logits"), *self._direction_sites()]
        self._named = {str(hook_name(s, model)): s for s in sites}  # asked once: a large model's names take a while
        self._z: dict[int, Tensor] = {}
        self.clean = self.run([])

    def changed(self, change: Change, *, onward: bool = False) -> Observed:
        """The run with the change made."""
        return self.run(self.entries(change, onward=onward)) if len(change) else self.clean

    def run(self, entries: Sequence[Any]) -> Observed:
        """The run with any interventions. Latents are read before SAEs are changed, which `entries` leaves room for."""
        seen: dict[int, Tensor] = {}
        before = [e for e in entries if not isinstance(e, _Behind)]
        behind = [e for e in entries if isinstance(e, _Behind)]
        with torch.no_grad(), intervene(self.model, [*before, *self._taps(seen), *behind]):
            found = self._read()
        value = np.full(len(self.graph.nodes), np.nan)
        for layer in self._layers("neuron"):
            self._fill(value, "neuron", layer, found[Site("mlp_post", layer).name][0])
        for layer in self._layers("latent"):
            self._fill(value, "latent", layer, self._pre_acts(layer, seen[layer]))
        logits = found[Site("logits").name][0, -1].double()
        self._roots(value, logits, found)
        cap = float(self.model.cfg.output_logits_soft_cap or -1.0)
        return Observed(value, (cap * torch.tanh(logits / cap) if cap > 0 else logits).log_softmax(-1).cpu())

    def _read(self) -> dict[str, Tensor]:
        """One pass; what the roots and neurons hold in it, by site."""
        found: dict[str, Tensor] = {}

        def reader(site: Site) -> Callable:
            at = spot(site, self.model)
            return lambda value, hook: found.__setitem__(site.name, at.read(value, 1))

        with self.model.hooks(fwd_hooks=[(name, reader(site)) for name, site in self._named.items()]):
            self.model(self.tokens)
        return found

    def entries(self, change: Change, *, onward: bool = False) -> list[Any]:
        """The change as interventions. onward: units at the last position are changed at every generated token too."""
        edits, found = [], []
        for node, level in zip(change.nodes.tolist(), change.level.tolist(), strict=True):
            kind = KINDS[self.graph.nodes.kind[node]]
            if kind in ("neuron", "latent"):
                edits.append(self._edit(node, change, level, onward))
            elif kind in ("head", "mlp"):
                found.append(self._component(node, kind, change.factor, onward))
            else:
                found += [self._leaf(w, change.factor) for w in self.places.writes(node)]
        return [*found, *(_Behind(e) for e in edit_units(self.model, edits))]

    def _where(self, node: int, onward: bool) -> int | slice:
        pos = int(self.graph.nodes.pos[node])
        return slice(pos, None) if onward and pos == len(self.graph.tokens) - 1 else pos

    def _edit(self, node: int, change: Change, level: float, onward: bool) -> UnitEdit:
        nodes = self.graph.nodes
        layer, unit = int(nodes.layer[node]), int(nodes.unit[node])
        latent = KINDS[nodes.kind[node]] == "latent"
        amount = change.factor if change.mode == "scale" else level
        where = {"dictionary": self._dictionary(layer)} if latent else {"layer": layer}
        return UnitEdit(change.mode, unit, self._where(node, onward), amount, **where)

    def _dictionary(self, layer: int) -> Any:
        if layer not in self.placed:
            raise BadInput(
                f"The graph has latents in layer {layer}, but no dictionary was given for it. Give the graph's own."
            )
        return self.placed[layer].dictionary

    def _component(self, node: int, kind: str, factor: float, onward: bool) -> Function:
        """What a head or a whole MLP writes, times the factor; the part that no input changes stays."""
        nodes, pos = self.graph.nodes, self._where(node, onward)
        layer, unit = int(nodes.layer[node]), int(nodes.unit[node])
        at = self.frozen.layers[layer]
        if kind == "mlp":
            assert isinstance(at.mlp, Neurons)
            where, still = Place(Site("mlp_out", layer), pos), at.mlp.b_out
        else:
            z = self._mixed(layer)
            p = int(nodes.pos[node])  # pattern rows sum to 1, so what the value biases give is the same everywhere
            where, still = Place(Site("z", layer), pos, unit), z[0, p, unit].to(at.head_out) - at.head_out[unit, p]
        return Function(where, lambda value: value + (factor - 1) * (value - still.to(value)))

    def _mixed(self, layer: int) -> Float[Tensor, "1 pos head d_head"]:
        """What a layer's heads gather in the untouched run."""
        if layer not in self._z:
            self._z[layer] = capture(self.model, self.tokens, [Site("z", layer)])[Site("z", layer).name]
        return self._z[layer]

    def _leaf(self, write: Write, factor: float) -> Any:
        """A constant write, added (factor - 1) times; what an SAE in the stream writes enters behind it."""
        entry = Steer(place(self._entry_site(write.point), write.pos), write.vector, factor - 1)
        behind_sae = points.place_of(write.point)[1] in (points.BLOCK_IN, points.MLP_IN) and write.point > 0
        return _Behind(entry) if behind_sae else entry

    def _entry_site(self, point: int) -> Site:
        layer, place = points.place_of(point)
        if place == points.BLOCK_IN:
            return Site("resid_post", layer - 1) if layer else Site("embed")
        return Site("mlp_write" if place == points.POST else "attn_out", layer)

    def _layers(self, kind: str) -> list[int]:
        return np.unique(self.graph.nodes.layer[self.graph.nodes.where(kind)]).tolist()

    def _taps(self, seen: dict[int, Tensor]) -> list[Function]:
        """Keep what each dictionary reads."""
        return [tap for layer in self._layers("latent") for tap in self._tap(layer, seen)]

    def _tap(self, layer: int, seen: dict[int, Tensor]) -> list[Function]:
        def keep(value: Tensor) -> Tensor:
            seen[layer] = value[0]
            return value

        def add(value: Tensor) -> Tensor:
            seen[layer] = seen[layer] + value[0]
            return value

        self._dictionary(layer)
        one = self.placed[layer]
        if one.at != "mid":
            return [Function(one.read, keep)]
        # resid_mid is hooked beside the stream, behind the place where its SAE is changed: see `probe.interventions.unit_edits`
        return [Function(Site("resid_pre", layer), keep), Function(Site("attn_out", layer), add)]

    def _pre_acts(self, layer: int, x: Float[Tensor, "pos d_in"]) -> Float[Tensor, "pos d_dict"]:
        one = self._dictionary(layer)
        return x.to(one.W_enc) @ one.W_enc.detach() + one.b_enc.detach()

    def _fill(self, value: np.ndarray, kind: str, layer: int, found: Float[Tensor, "pos unit"]) -> None:
        nodes = self.graph.nodes
        mine = np.flatnonzero(nodes.where(kind) & (nodes.layer == layer))
        pos, unit = (torch.from_numpy(a[mine].astype(np.int64)) for a in (nodes.pos, nodes.unit))
        value[mine] = found.cpu()[pos, unit].double().numpy()

    def _described(self) -> list[dict[str, Any]]:
        return list(self.graph.convention.get("directions", []))

    def _direction_sites(self) -> list[Site]:
        return [parse_site(d["at"], self.model) for d in self._described() if "at" in d]

    def _roots(self, value: np.ndarray, logits: Float[Tensor, " d_vocab"], found: dict[str, Tensor]) -> None:
        nodes, mean = self.graph.nodes, float(logits.mean())
        for i in np.flatnonzero(nodes.where("logit")):
            value[i] = float(logits[int(nodes.unit[i])]) - mean
        for i in np.flatnonzero(nodes.where("direction")):
            told = self._described()[int(nodes.unit[i])]
            if "difference" in told:
                value[i] = float(logits[told["difference"][0]] - logits[told["difference"][1]])
            else:
                x = found[parse_site(told["at"]).name][0, told["pos"]].double()
                value[i] = float(x @ torch.tensor(told["vector"], dtype=x.dtype, device=x.device))


class _Behind:
    """An intervention made after dictionaries were read."""

    def __init__(self, entry: Any):
        self.at, self.change = entry.at, entry.change


def values_in(
    model: "TransformerBridge", graph: CircuitGraph, placed: "dict[int, Placed]", tokens: Tensor
) -> Float[np.ndarray, " node"]:
    """Activations of the graph's neurons and latents when the model reads other tokens: what `restore` restores."""
    if tokens.shape[1] != len(graph.tokens):
        raise BadInput(
            f"The other prompt has {tokens.shape[1]} tokens and the graph's has {len(graph.tokens)}. Values are restored by "
            "position; choose prompts of equal length."
        )
    nodes, found = graph.nodes, np.full(len(graph.nodes), np.nan)
    for kind in ("neuron", "latent"):
        for layer in np.unique(nodes.layer[nodes.where(kind)]).tolist():
            mine = np.flatnonzero(nodes.where(kind) & (nodes.layer == layer))
            site = Site("mlp_post", layer) if kind == "neuron" else placed[layer].read
            value = capture(model, tokens, [site])[site.name][0]
            value = value if kind == "neuron" else encoded(placed[layer].dictionary, value)
            pos, unit = (torch.from_numpy(a[mine].astype(np.int64)) for a in (nodes.pos, nodes.unit))
            found[mine] = value.cpu()[pos, unit].double().numpy()
    return found
