"""What may be seen of a unit before its text: weights, circuits on hidden prompts, and numbers. No example's text is in it.

Words appear in one place only: the weights evidence ranks the vocabulary, and is the same whatever text the unit was measured on.
In the circuits tokens are numbered afresh for each study (#1, #2, ...; equal tokens have equal numbers), so that repetition can
be seen and words cannot. (The blind case studies of Dunefsky et al. 2024 allow weights, circuits and activations.)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from circuits.weights.connections import Connections, connections
from circuits.weights.paths import top_paths
from circuits.weights.tokens import Embeddings, TokenRanking, deembed, embeddings, promoted
from circuits.weights.units import weight_view
from probe.errors import BadInput
from probe.features import FeatureTable
from probe.model.unit_names import UnitName, head_of
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

SOURCES, HEADS = 5, 3
"Earlier units whose own words are shown, and heads through which tokens are ranked."


def weights_evidence(
    model: "TransformerBridge",
    name: UnitName,
    dictionaries: Sequence[Any],
    k: int,
    vocabulary: Embeddings | None = None,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Tokens the unit reads, directly and through its strongest heads; tokens it promotes; its strongest earlier units and what
    those read and promote. Nothing of it was measured on text.

    Readers behind MLP 0 see the extended embedding too, where MLP 0 can be run alone: early MLPs recompute what a token is.
    """
    given: dict[str, Any] = {"dictionaries": dictionaries}
    found: dict[str, Any] = {"promotes": _tokens(promoted(model, name, k=k, **given))}
    if weight_view(model, dictionaries).bank(name).read_point is None:
        return {**found, "note": "An SAE of an MLP's output reads nothing of the stream by fixed weights."}
    words = _Vocabulary(model, vocabulary, given, k)
    wired = connections(model, name, k=4 * k, tokens=0, progress=progress, **given)
    reads = words.read_by(str(name), name.layer)
    heads = [head_of(h.head, None) for h in wired.heads][: 2 * HEADS]
    for head in list(dict.fromkeys(heads))[:HEADS]:
        reads += words.read_by(str(name), head[0], through=[head])[:2]
    units = {c.source: _words(model, c.source, words) for c in _distinct(wired)[:SOURCES]}
    return {**found, "reads": [_tokens(r) for r in reads], "connections": wired.rows(k), "sources": units}


class _Vocabulary:
    """Embeddings, plain and extended, made once for all rankings of a study."""

    def __init__(self, model: "TransformerBridge", extended: Embeddings | None, given: dict[str, Any], k: int):
        self.model, self.given, self.k, self.plain = model, given, k, embeddings(model)
        try:
            self.extended = extended or embeddings(model, extended=True)
        except BadInput:  # this MLP cannot be run alone
            self.extended = None

    def read_by(self, name: str, layer: int, through: Sequence[tuple[int, int]] = ()) -> list[TokenRanking]:
        """Rankings of what is read at this layer; the extended embedding's first, where it is there already."""
        behind = self.extended is not None and layer > 0
        found: list[TokenRanking] = []
        for words in ([self.extended] if behind else []) + [self.plain]:
            found += deembed(self.model, name, through=through, k=self.k, vocabulary=words, **self.given)
        return found


def _distinct(wired: Connections) -> list[Any]:
    """The strongest connection of each source."""
    return list({c.source: c for c in reversed(wired.units)}.values())[::-1]


def _words(model: "TransformerBridge", source: str, words: _Vocabulary) -> dict[str, Any]:
    """What an earlier unit reads and promotes, by weights."""
    view = weight_view(model, words.given["dictionaries"])
    unit = view.name(source)
    reads = [] if view.bank(unit).read_point is None else words.read_by(source, unit.layer)[:1]
    return {
        "reads": [_tokens(r) for r in reads],
        "promotes": _tokens(promoted(model, source, k=words.k, **words.given)),
    }


def _tokens(ranking: TokenRanking) -> dict[str, Any]:
    ends = {"highest": ranking.highest, "lowest": ranking.lowest}
    scored = {n: [[t.token, t.score] for t in end] for n, end in ends.items()}
    reader = f"{ranking.reader} (extended)" if "extended" in ranking.embedding else ranking.reader
    return {"reader": reader, "through": list(ranking.through), "spread": ranking.spread, **scored}


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
    from probe.interventions.forward import capture

    view = weight_view(model, dictionaries)
    tokens = torch.tensor([list(ids)], device=model.W_E.device)
    with torch.no_grad():
        if name.kind == "neuron":
            [value] = capture(model, tokens, [f"mlp_post.{name.layer}"]).values()
            return value[0, :, name.unit].float().tolist()
        placed = view.placed[name.layer]
        [value] = capture(model, tokens, [placed.read]).values()
        return placed.dictionary.encode(value[0].to(placed.dictionary.W_enc))[:, name.unit].float().tolist()
