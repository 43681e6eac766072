"""The attribution graph of one prompt: which parts wrote what the prediction reads, exactly.

    graph = trace(model, "The capital of France is")

1. Freeze the prompt's local replacement model (`circuits.frozen`).
2. Choose the logits to explain: the fewest that hold `probability_mass`, or the tokens asked for.
3. Choose up to `max_nodes` units (MLP neurons; latents in layers with a dictionary) by total attribution to those logits,
   active latents first.
4. One adjoint sweep gives every edge into every chosen unit and logit (`circuits.sweep`).
5. Check that each value is the sum of its edges and its constant; raise if not.

Units that were not chosen stay in the graph as one `rest` node per layer and position, so nothing is dropped.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from circuits.frozen import FrozenModel, Latents, freeze
from circuits.graph import KINDS, CircuitGraph, Edges, Nodes
from circuits.sweep import Rows, Sources, Targets, edges, total_attribution
from probe.errors import BadInput, OpenworkError
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

HALF_RULE = "half"


@dataclass(frozen=True)
class TraceConfig:
    """How a graph is made."""

    max_nodes: int = 2000
    "Units (neurons and latents) that become nodes; the others are summed into `rest` nodes."
    max_logits: int = 10
    "Most logits explained when none are named."
    probability_mass: float = 0.95
    "The fewest logits that hold this much probability are explained."
    memory: int = 4 << 30
    "Bytes the sweep may use for cotangents and edges together."
    tolerance: float | None = None
    "Largest relative conservation residual; by default 1e-5 in float32, and 1e-10 in float64 if the model keeps to float64."


@dataclass(frozen=True)
class TracePlan:
    """What a trace will need, told before it starts. bytes: edge matrix and cotangents; flops: of the sweep."""

    n_tokens: int
    n_units: int
    n_targets: int
    n_columns: int
    bytes: int
    flops: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {k: getattr(self, k) for k in self.__dataclass_fields__}


@dataclass(frozen=True)
class LogitTargets:
    """Logits to explain at the last position: token ids and their probabilities, demeaned readers, values and constants."""

    ids: Tensor
    probability: Tensor
    targets: Targets
    value: Tensor
    constant: Tensor
    cap: float = field(default=-1.0)


def plan_trace(
    model: "TransformerBridge", n_tokens: int, config: TraceConfig | None = None, n_latents: int = 0
) -> TracePlan:
    """Nodes, memory and time of a trace. Raises BadInput for sizes below 1 and for what does not fit in `config.memory`.

    The time assumes 5e10 floating-point operations a second, what two CPU cores reach on matrices of this size.
    """
    config, cfg = config or TraceConfig(), model.cfg
    if config.max_nodes < 1 or config.max_logits < 1 or not config.memory > 0:
        raise BadInput(
            f"max_nodes ({config.max_nodes}), max_logits ({config.max_logits}) and memory ({config.memory}) must be positive."
        )
    every = n_tokens * cfg.n_layers * max(int(cfg.d_mlp or 0), n_latents)
    units = min(config.max_nodes, every)
    targets, columns = units + config.max_logits, units + n_tokens * (3 * cfg.n_layers + 2)
    matrix = 32 * targets * columns  # rows by kind, side by side, and the list of edges made from them
    cotangents = min(24 * n_tokens * cfg.d_model * targets, config.memory // 16)
    block = 4 * cfg.d_model * cfg.n_heads * cfg.d_head
    flops = targets * n_tokens * cfg.n_layers / 2 * (block + 2 * cfg.d_model * units / max(n_tokens * cfg.n_layers, 1))
    if matrix + cotangents > config.memory:
        raise BadInput(
            f"This graph needs {(matrix + cotangents) / 1e9:.1f} GB ({targets} targets x {columns} sources), more than the "
            f"{config.memory / 1e9:.1f} GB allowed. Lower --max-nodes, shorten the prompt, or raise --memory."
        )
    return TracePlan(n_tokens, units, targets, columns, matrix + cotangents, flops, flops / 5e10)


def trace(
    model: "TransformerBridge",
    prompt: str,
    *,
    dictionaries: Sequence[Any] = (),
    targets: Sequence[str | int] = (),
    config: TraceConfig | None = None,
    progress: Progress = SILENT,
) -> CircuitGraph:
    """Attribution graph of `prompt` at its last position.

    dictionaries: transcoders to use instead of the neurons of their layers. targets: tokens to explain, as text or ids.
    Raises BadInput for an empty or too long prompt, an unknown target, a dictionary that does not fit, a graph too large;
    OpenworkError if freezing or conservation fails.
    """
    from probe.tokens import encode_prompt

    config, start = config or TraceConfig(), time.perf_counter()
    by_layer = dictionaries_by_layer(model, dictionaries)
    ids = encode_prompt(model, prompt)
    plan_trace(model, len(ids), config, max((d.W_enc.shape[1] for d in by_layer.values()), default=0))
    tokens = torch.tensor([ids], device=model.W_E.device)
    with torch.no_grad():
        frozen = freeze(model, tokens, by_layer)
        logits = choose_logits(model, frozen, targets, config)
        sources = choose_units(frozen, logits, config.max_nodes)
        wanted = join_targets(frozen, sources, logits)
        rows = edges(frozen, wanted, sources, memory=config.memory // 16, progress=progress)
        graph = _assemble(model, prompt, ids, frozen, sources, logits, rows, by_layer, config)
    allowed = config.tolerance or _allowed(frozen)
    if not graph.residual_relative <= allowed:
        raise OpenworkError(
            f"The edges do not sum to the nodes they explain: relative residual {graph.residual_relative:.1e}, "
            f"{allowed:g} allowed. No graph was made. Load the model in float32 or float64, or raise the tolerance."
        )
    largest = np.nanmax(np.abs(graph.nodes.value))
    graph.facts["conservation_residual_of_largest_value"] = float(graph.residual / max(largest, 1e-30))
    graph.facts.update({"seconds": time.perf_counter() - start, "freeze_check": frozen.check})
    return graph


def _allowed(frozen: FrozenModel) -> float:
    """1e-5 in float32. In float64 1e-10, or a hundred times the model's own rounding where it computes parts in float32."""
    if frozen.embed.dtype == torch.float64:
        return max(1e-10, 100 * max(frozen.check.values(), default=0.0))
    return 1e-5


def dictionaries_by_layer(model: "TransformerBridge", dictionaries: Sequence[Any]) -> dict[int, Any]:
    """Dictionaries by the layer they replace; BadInput for one that does not read `mlp_in` and predict `mlp_out` of one layer."""
    from probe.sites import parse_site

    found: dict[int, Any] = {}
    for dictionary in dictionaries:
        source, target = parse_site(dictionary.site_in, model), parse_site(dictionary.site_out, model)
        if (source.kind, target.kind) != ("mlp_in", "mlp_out") or source.layer != target.layer or source.layer is None:
            raise BadInput(
                f"A dictionary from {source.short} to {target.short} cannot stand for an MLP in a graph; "
                "a transcoder from mlp_in to mlp_out of one layer can."
            )
        if dictionary.W_enc.shape[0] != model.cfg.d_model:
            raise BadInput(
                f"The dictionary at {source.short} reads {dictionary.W_enc.shape[0]} numbers; this model has {model.cfg.d_model}."
            )
        if source.layer in found:
            raise BadInput(f"Two dictionaries stand for layer {source.layer}; give one.")
        found[source.layer] = dictionary
    return found


def choose_logits(
    model: "TransformerBridge", frozen: FrozenModel, asked: Sequence[str | int], config: TraceConfig
) -> LogitTargets:
    """The logits to explain. With a soft-cap, the value explained is the logit before it; probabilities are after it."""
    raw, cap = frozen.logits[-1], float(model.cfg.output_logits_soft_cap or -1.0)
    probability = (cap * torch.tanh(raw / cap) if cap > 0 else raw).softmax(-1)
    if asked:
        ids = torch.tensor(sorted({_target_id(model, t) for t in asked}, key=lambda i: -probability[i].item()))
    else:
        top = probability.topk(min(config.max_logits, len(probability)))
        enough = int((top.values.cumsum(0) < config.probability_mass).sum()) + 1
        ids = top.indices[: min(enough, len(top.indices))]
    ids = ids.to(raw.device)
    readers = (frozen.W_U[:, ids] - frozen.W_U.mean(1, keepdim=True)).T
    bias = frozen.b_U[ids] - frozen.b_U.mean()
    if frozen.ln_final is not None:
        bias = bias + readers @ frozen.ln_final.bias
    last = torch.full_like(ids, frozen.length - 1)
    rows = Targets(torch.full_like(ids, len(frozen.layers)), last, readers.contiguous())
    return LogitTargets(ids, probability[ids], rows, raw[ids] - raw.mean(), bias, cap)


def _target_id(model: "TransformerBridge", target: str | int) -> int:
    if isinstance(target, int):
        if not 0 <= target < model.cfg.d_vocab:
            raise BadInput(f"Token id {target} is outside the vocabulary (0 to {model.cfg.d_vocab - 1}).")
        return target
    ids = model.tokenizer.encode(target, add_special_tokens=False)
    if len(ids) != 1:
        raise BadInput(
            f"The target {target!r} is {len(ids)} tokens; a target must be one. A leading space often matters: "
            f"try {' ' + target.strip()!r}."
        )
    return int(ids[0])


def choose_units(frozen: FrozenModel, logits: LogitTargets, max_nodes: int) -> Sources:
    """The `max_nodes` units with the largest total attribution to the logits, weighted by their probabilities.

    Every active latent comes first where all of them take up at most half of the nodes: who brings a dictionary wants to
    see it.
    """
    found = total_attribution(frozen, logits.targets, logits.probability.to(frozen.embed.dtype))
    active = {i: x.mlp.activation > 0 for i, x in enumerate(frozen.layers) if isinstance(x.mlp, Latents)}
    if sum(int(a.sum()) for a in active.values()) <= max_nodes // 2:
        first = 1 + max(float(f.max()) for f in found)
        found = [f + first * active[i] if i in active else f for i, f in enumerate(found)]
    flat = torch.cat([f.flatten() for f in found])
    best = flat.topk(min(max_nodes, int((flat > 0).sum()))).indices.sort().values
    sizes = torch.tensor([f.numel() for f in found], device=best.device)
    ends = sizes.cumsum(0)
    layer = torch.searchsorted(ends, best, right=True)
    inner = best - (ends - sizes)[layer]
    widths = torch.tensor([f.shape[1] for f in found], device=best.device)[layer]
    return Sources(layer, inner // widths, inner % widths)


def join_targets(frozen: FrozenModel, sources: Sources, logits: LogitTargets) -> Targets:
    """Chosen units, then logits, as rows to explain."""
    readers = [
        frozen.layers[i].mlp.readers(sources.pos[sources.layer == i], sources.unit[sources.layer == i])
        for i in range(len(frozen.layers))
    ]
    rows = logits.targets
    return Targets(
        torch.cat([sources.layer, rows.layer]), torch.cat([sources.pos, rows.pos]), torch.cat([*readers, rows.reader])
    )


def _unit_values(frozen: FrozenModel, sources: Sources, name: str) -> Tensor:
    """`activation`, `value` or `constant` of every chosen unit."""
    parts = [
        getattr(layer.mlp, name)[sources.pos[sources.layer == i], sources.unit[sources.layer == i]]
        for i, layer in enumerate(frozen.layers)
    ]
    return torch.cat(parts)


@dataclass(frozen=True)
class _Block:
    """Nodes of one kind and the columns of edges they send to all targets."""

    kind: str
    layer: np.ndarray
    pos: np.ndarray
    unit: np.ndarray
    activation: np.ndarray
    columns: np.ndarray


def _leaf_blocks(rows: Rows, ids: list[int]) -> list[_Block]:
    """Embeddings, then per layer its bias, rest and error nodes; those that send nothing anywhere are left out."""
    length = len(ids)
    pos, none = np.arange(length), np.full(length, -1)
    nan = np.full(length, np.nan)
    blocks = [
        _Block("token", none, pos, np.array(ids), nan, rows.token.cpu().numpy()),
        _Block("position", none, pos, none, nan, rows.position.cpu().numpy()),
    ]
    for layer in range(rows.rest.shape[1]):
        where = np.full(length, layer)
        for kind in ("bias", "rest", "error"):
            blocks.append(_Block(kind, where, pos, none, nan, getattr(rows, kind)[:, layer].cpu().numpy()))
    kept = []
    for block in blocks:
        use = (block.columns != 0).any(0)
        if use.any():
            kept.append(
                _Block(
                    block.kind,
                    *(getattr(block, n)[use] for n in ("layer", "pos", "unit", "activation")),
                    block.columns[:, use],
                )
            )
    return kept


def _assemble(
    model: "TransformerBridge",
    prompt: str,
    ids: list[int],
    frozen: FrozenModel,
    sources: Sources,
    logits: LogitTargets,
    rows: Rows,
    dictionaries: Mapping[int, Any],
    config: TraceConfig,
) -> CircuitGraph:
    """Nodes in topological order, edges in one sparse list, and the conservation residual."""
    from probe.tokens import display_tokens

    n_layers, n_logits = len(frozen.layers), len(logits.ids)
    leaves = _leaf_blocks(rows, ids)
    unit_layer = sources.layer.cpu().numpy()
    latent = np.array([isinstance(layer.mlp, Latents) for layer in frozen.layers], bool)[unit_layer]
    kind = np.concatenate(
        [
            *(np.full(len(b.pos), KINDS.index(b.kind)) for b in leaves),
            np.where(latent, KINDS.index("latent"), KINDS.index("neuron")),
            np.full(n_logits, KINDS.index("logit")),
        ]
    )
    columns = np.concatenate([*(b.columns for b in leaves), rows.unit.cpu().numpy()], 1)
    n_leaves = columns.shape[1] - len(sources)
    nans = np.full(n_leaves, np.nan)
    unit_value, unit_constant, unit_activation = (
        _unit_values(frozen, sources, n).double().cpu().numpy() for n in ("value", "constant", "activation")
    )
    value = np.concatenate([nans, unit_value, logits.value.double().cpu().numpy()])
    constant = np.concatenate([np.zeros(n_leaves), unit_constant, logits.constant.double().cpu().numpy()])
    nodes = Nodes(
        kind,
        np.concatenate([*(b.layer for b in leaves), unit_layer, np.full(n_logits, n_layers)]),
        np.concatenate([*(b.pos for b in leaves), sources.pos.cpu().numpy(), np.full(n_logits, frozen.length - 1)]),
        np.concatenate([*(b.unit for b in leaves), sources.unit.cpu().numpy(), logits.ids.cpu().numpy()]),
        value,
        np.concatenate([*(b.activation for b in leaves), unit_activation, np.full(n_logits, np.nan)]),
    )
    residual, relative = _residual(columns, value[n_leaves:], constant[n_leaves:])
    target, source = np.nonzero(columns)
    probability = np.concatenate([np.zeros(len(value) - n_logits), logits.probability.double().cpu().numpy()])
    return CircuitGraph(
        prompt,
        ids,
        display_tokens(model, ids),
        nodes,
        Edges(source, target + n_leaves, columns[target, source]),
        constant,
        probability,
        _unit_tokens(model, nodes),
        residual,
        relative,
        n_layers,
        _model_name(model),
        {str(k): _dictionary_name(d) for k, d in sorted(dictionaries.items())},
        _convention(config, logits, dictionaries),
    )


def _residual(columns: np.ndarray, value: np.ndarray, constant: np.ndarray) -> tuple[float, float]:
    """Largest gap between a value and its sum, absolute and relative (see `CircuitGraph`)."""
    gap = np.abs(columns.sum(1, dtype=np.float64) + constant - value)
    size = np.abs(columns).sum(1, dtype=np.float64) + np.abs(constant)
    return float(gap.max(initial=0.0)), float(
        (gap / np.maximum(np.maximum(np.abs(value), size), 1e-30)).max(initial=0.0)
    )


def _unit_tokens(model: "TransformerBridge", nodes: Nodes) -> list[str]:
    """Text of the tokens that token and logit nodes stand for, empty for other nodes."""
    from probe.tokens import display_tokens

    mask = nodes.where("token", "logit")
    texts = iter(display_tokens(model, [int(u) for u in nodes.unit[mask]]))
    return [next(texts) if m else "" for m in mask]


def _model_name(model: "TransformerBridge") -> str:
    from probe.fingerprint import stamp

    return stamp(model).name


def _dictionary_name(dictionary: Any) -> str:
    """Its artifact's name, or for one that was never stored the fingerprint of its weights."""
    from probe.fingerprint import weights_fingerprint

    return str(getattr(dictionary, "name", "")) or f"unstored, weights {weights_fingerprint(dictionary)[:12]}"


def _convention(config: TraceConfig, logits: LogitTargets, dictionaries: Mapping[int, Any]) -> dict[str, Any]:
    return {
        "conservation_residual": "largest |value - constant - incoming edges| / (|constant| + incoming |edges|)",
        "frozen": "attention patterns, norm divisors, activation ratios",
        "gated_mlp_rule": HALF_RULE,
        "basis": "mixed" if dictionaries else "neurons",
        "logits": "demeaned over the vocabulary" + (", before the soft-cap" if logits.cap > 0 else ""),
        "unit_choice": "total attribution through the frozen model, absolute, weighted by probability; active latents first",
        "max_nodes": config.max_nodes,
        "probability_mass": config.probability_mass,
        "edge_sign": "positive raises the target's value",
    }
