"""What may be seen of a unit before its text: weights, circuits on hidden prompts, and numbers. No example's text is in it.

Words appear in one place only: the weights evidence ranks the vocabulary, and is the same whatever text the unit was measured on.
In the circuits tokens are numbered afresh for each study (#1, #2, ...; equal tokens have equal numbers), so that repetition can
be seen and words cannot. (The blind case studies of Dunefsky et al. 2024 allow weights, circuits and activations.)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from circuits.paths import top_paths
from circuits.weights import Connections, connections
from circuits.weights_tokens import TokenRanking, deembed, embeddings, promoted
from circuits.weights_units import UnitName, weight_view
from probe.features import FeatureTable
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SOURCES, HEADS = 5, 3
"Earlier units whose own words are shown, and heads through which tokens are ranked."


def weights_evidence(
    model: "TransformerBridge", name: UnitName, dictionaries: Sequence[Any], k: int, progress: Progress = SILENT
) -> dict[str, Any]:
    """Tokens the unit reads, directly and through its strongest heads; tokens it promotes; its strongest earlier units and what
    those read and promote. Nothing of it was measured on text."""
    given: dict[str, Any] = {"dictionaries": dictionaries}
    found: dict[str, Any] = {"promotes": _tokens(promoted(model, name, k=k, **given))}
    if weight_view(model, dictionaries).bank(name).read_point is None:
        return {**found, "note": "An SAE of an MLP's output reads nothing of the stream by fixed weights."}
    wired = connections(model, name, k=4 * k, progress=progress, **given)
    given["vocabulary"] = embeddings(model)
    reads = deembed(model, name, k=k, **given)
    heads = [_head(h.head) for h in wired.heads][: 2 * HEADS]
    for head in list(dict.fromkeys(heads))[:HEADS]:
        reads += deembed(model, name, through=[head], k=k, **given)
    units = {c.source: _words(model, c.source, given, k) for c in _distinct(wired)[:SOURCES]}
    return {**found, "reads": [_tokens(r) for r in reads], "connections": wired.rows(k), "sources": units}


def _distinct(wired: Connections) -> list[Any]:
    """The strongest connection of each source."""
    return list({c.source: c for c in reversed(wired.units)}.values())[::-1]


def _head(name: str) -> tuple[int, int]:
    layer, head = name[1:].split("H")
    return int(layer), int(head)


def _words(model: "TransformerBridge", source: str, given: dict[str, Any], k: int) -> dict[str, Any]:
    """What an earlier unit reads and promotes, by weights."""
    learned = given["dictionaries"]
    view = weight_view(model, learned)
    reads = [] if view.bank(view.name(source)).read_point is None else deembed(model, source, k=k, **given)[:1]
    return {
        "reads": [_tokens(r) for r in reads],
        "promotes": _tokens(promoted(model, source, dictionaries=learned, k=k)),
    }


def _tokens(ranking: TokenRanking) -> dict[str, Any]:
    ends = {"highest": ranking.highest, "lowest": ranking.lowest}
    scored = {n: [[t.token, t.score] for t in end] for n, end in ends.items()}
    return {"reader": ranking.reader, "through": list(ranking.through), "spread": ranking.spread, **scored}


def statistics_evidence(table: FeatureTable, unit: int) -> dict[str, Any]:
    """Density, histogram, and how strong its strongest examples are; numbers only."""
    record = table.unit(unit)
    names = ("fired", "n_tokens", "density", "mean_active", "max", "min", "edges", "counts")
    numbers = {n: getattr(record, n) for n in names}
    return {**numbers, "strongest": [e.value for e in record.top]}


def hidden_prompts(table: FeatureTable, unit: int, n: int) -> list[list[int]]:
    """Token ids of the n strongest examples, each from the beginning of its row up to its peak. Not to be shown."""
    return [table.text.tokens[e.row, : e.pos + 1].tolist() for e in table.unit(unit).top[:n]]


def labels(prompts: Sequence[Sequence[int]]) -> list[list[str]]:
    """A number for each token, the same for equal tokens, in order of appearance."""
    numbers: dict[int, str] = {}
    return [[numbers.setdefault(t, f"#{len(numbers) + 1}") for t in ids] for ids in prompts]


def circuits_evidence(
    model: "TransformerBridge",
    name: UnitName,
    dictionaries: Sequence[Any],
    prompts: Sequence[Sequence[int]],
    *,
    length: int,
    branches: int,
    progress: Progress = SILENT,
) -> list[dict[str, Any]]:
    """The strongest paths into the unit at the peak of each prompt, and its activation at every position, tokens as numbers."""
    found = []
    for ids, masks in zip(prompts, labels(prompts), strict=True):
        paths = top_paths(
            model, ids, name, dictionaries=dictionaries, length=length, branches=branches, progress=progress
        )
        values = activations(model, name, dictionaries, ids)
        shown = paths.masked(masks)
        circuit = {"paths": shown.rows(), "tree": shown.tree.lines(masks), "residual": paths.residual}
        found.append({"tokens": masks, "activations": values, **circuit})
    return found


def activations(
    model: "TransformerBridge", name: UnitName, dictionaries: Sequence[Any], ids: Sequence[int]
) -> list[float]:
    """The unit's activation at every position of a prompt."""
    from probe.forward import capture

    view = weight_view(model, dictionaries)
    tokens = torch.tensor([list(ids)], device=model.W_E.device)
    with torch.no_grad():
        if name.kind == "neuron":
            [value] = capture(model, tokens, [f"mlp_post.{name.layer}"]).values()
            return value[0, :, name.unit].float().tolist()
        placed = view.placed[name.layer]
        [value] = capture(model, tokens, [placed.read]).values()
        return placed.dictionary.encode(value[0].to(placed.dictionary.W_enc))[:, name.unit].float().tolist()
