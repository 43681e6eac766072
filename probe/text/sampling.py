"""Draw text from a model token by token: one stream of random numbers for each document, many documents side by side.

The next token is the first at which the cumulative probability passes a uniform number, so one number decides one token and
a document's numbers can be made from the seed and its index alone. Documents that begin with texts of several lengths grow
together: those with a longer beginning read on in it while the others draw already, so no row is padded, and each stands at its
own positions. Documents that have ended make room for the others.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.model.continuing.texts import Texts
from probe.progress import Step
from probe.text.display import end_tokens
from probe.text.document_starts import begins_with

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_BLOCK = 256
"""Tokens whose probabilities are added up before the block that the number falls into is looked at."""
_LIKELY = 1024
"""Tokens that are sorted first for top-p, which are nearly always enough."""


@torch.no_grad()
def draw(
    model: "TransformerBridge | Texts",
    documents: range,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    *,
    top_p: float = 1.0,
    starts: Sequence[Sequence[int]] | None = None,
    step: Step = lambda amount=1: None,
) -> Iterator[tuple[list[int], list[float]]]:
    """Token ids and their surprise (nats at temperature 1) for each document, without the tokens it began with.

    model: or what runs it, found out before. length: tokens drawn, at most; an end token, which is not in it, ends a document
    before. starts: of each document the tokens it begins with; by default one, which begins a text.
    """
    texts = model if isinstance(model, Texts) else Texts(model)
    begun = [*starts] if starts else [begins_with(texts.model)] * len(documents)
    rows = _Rows(begun, documents, length, seed, end_tokens(texts.model))
    predict, choose = texts.begin(rows.given.shape[1] + length), Choice(temperature, top_p)
    while len(rows.going):
        chosen, nats = choose(predict(rows.ids), rows.numbers())
        step(rows.take(chosen.cpu(), nats.cpu()))
        if (left := rows.left()) is not None and (not len(left) or predict.keep(left)):
            rows.keep(left)
    yield from rows.found()


class _Rows:
    """Documents side by side, all of one length so far: what they began with, their numbers, and what was drawn."""

    def __init__(self, starts: Sequence[Sequence[int]], documents: range, length: int, seed: int, ends: set[int]):
        self.lengths = torch.tensor([len(s) for s in starts])
        self.given = torch.zeros(len(starts), int(self.lengths.max()), dtype=torch.int64)
        for row, start in zip(self.given, starts, strict=True):
            row[: len(start)] = torch.tensor([*start])
        self.uniform = torch.stack(
            [torch.rand(length, generator=_generator(seed, i), dtype=torch.float64) for i in documents]
        )
        self.drawn = torch.zeros(len(starts), length, dtype=torch.int64)
        self.costs = torch.zeros(len(starts), length, dtype=torch.float64)
        self.counts = torch.zeros(len(starts), dtype=torch.int64)
        self.over = torch.zeros(len(starts), dtype=torch.bool)
        self.length, self.ends = length, torch.tensor(sorted(ends), dtype=torch.int64)
        self.going = torch.arange(len(starts))
        self.ids = self.given[:, : int(self.lengths.min())]

    def numbers(self) -> Float[Tensor, " doc"]:
        """The uniform number that decides each one's next token."""
        return self.uniform[self.going, self._turn().clamp(0, self.length - 1)]

    def _turn(self) -> Int[Tensor, " doc"]:
        """How many tokens each has drawn; less than none where it still reads what it began with."""
        return self.ids.shape[1] - self.lengths[self.going]

    def take(self, chosen: Int[Tensor, " doc"], nats: Float[Tensor, " doc"]) -> int:
        """Grow by these tokens, or by what they began with; returns how many tokens less there are to draw."""
        turn, at = self._turn(), self.ids.shape[1]
        reading, over = turn < 0, self.over[self.going]
        if at < self.given.shape[1]:
            chosen = torch.where(reading, self.given[self.going, at], chosen)
        rows = (~reading & ~over).nonzero()[:, 0]
        where, end = self.going[rows], torch.isin(chosen[rows], self.ends)
        self.drawn[where, turn[rows]], self.costs[where, turn[rows]] = chosen[rows], nats[rows].double()
        self.counts[where] += (~end).long()
        self.over[where] = end | (turn[rows] + 1 == self.length)
        self.ids = torch.cat([self.ids, chosen[:, None]], 1)
        return len(rows) + int((self.length - turn[rows] - 1)[end].sum())

    def left(self) -> Int[Tensor, " row"] | None:
        """Those that go on, where an eighth has ended since; None where all do still."""
        on = (~self.over[self.going]).nonzero()[:, 0]
        return on if 8 * len(on) <= 7 * len(self.going) else None

    def keep(self, rows: Int[Tensor, " row"]) -> None:
        self.going, self.ids = self.going[rows], self.ids[rows]

    def found(self) -> Iterator[tuple[list[int], list[float]]]:
        for ids, costs, n in zip(self.drawn.tolist(), self.costs.tolist(), self.counts.tolist(), strict=True):
            yield ids[:n], costs[:n]


class Choice:
    """Draws tokens: the token at which the cumulative probability passes a uniform number, and its surprise at temperature 1.

    Weights are added up block by block, and token by token in the one block that the number falls into. top_p: only the likeliest
    tokens that have this much of the probability together (and any as likely as the last of them).
    """

    def __init__(self, temperature: float = 1.0, top_p: float = 1.0):
        self.temperature, self.top_p = temperature, top_p
        self._room: Tensor | None = None

    def __call__(
        self, logits: Float[Tensor, "doc d_vocab"], uniform: Float[Tensor, " doc"]
    ) -> tuple[Int[Tensor, " doc"], Float[Tensor, " doc"]]:
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        top = logits.amax(-1, keepdim=True)
        padded = self._padded(logits)
        weights, blocks = padded[:, : logits.shape[1]], padded.view(len(logits), -1, _BLOCK)
        torch.sub(logits, top, out=weights)
        whole = weights.exp().sum(-1).double() if self.temperature != 1 else None
        if self.temperature != 1:
            weights /= self.temperature
        weights.exp_()
        sums = blocks.sum(-1).double()
        whole = sums.sum(-1) if whole is None else whole
        if self.top_p < 1:
            _leave_likely(weights, self.top_p * sums.sum(-1))
            sums = blocks.sum(-1).double()
        chosen = _at(blocks, sums, uniform.to(logits.device))
        return chosen, whole.log() - (logits.gather(1, chosen[:, None]) - top)[:, 0].double()

    def _padded(self, logits: Float[Tensor, "doc d_vocab"]) -> Float[Tensor, "doc padded"]:
        """Room for weights in whole blocks, zero behind the vocabulary; kept, since taking it anew costs more than filling it."""
        n, size = len(logits), -(-logits.shape[1] // _BLOCK) * _BLOCK
        if self._room is None or len(self._room) < n:
            self._room = logits.new_zeros(n, size)
        return self._room[:n]


def _at(
    blocks: Float[Tensor, "doc block token"], sums: Float[Tensor, "doc block"], uniform: Float[Tensor, " doc"]
) -> Int[Tensor, " doc"]:
    """The first token at which the sum of all weights so far is above that share of the whole."""
    below = sums.cumsum(-1)
    whole = below[:, -1]
    wanted = (uniform * whole).minimum(
        torch.nextafter(whole, torch.zeros_like(whole))
    )  # rounding must not pass the end
    block = torch.searchsorted(below, wanted[:, None], right=True).clamp_max(sums.shape[1] - 1)
    rest = wanted - (below - sums).gather(1, block)[:, 0]
    inside = blocks[torch.arange(len(blocks), device=blocks.device), block[:, 0]].double().cumsum(-1)
    last = inside[:, -1]
    rest = rest.clamp_min(0).minimum(torch.nextafter(last, torch.zeros_like(last)))
    return block[:, 0] * blocks.shape[2] + torch.searchsorted(inside, rest[:, None], right=True)[:, 0]


def _leave_likely(weights: Float[Tensor, "doc d_vocab"], enough: Float[Tensor, " doc"]) -> None:
    """Set to zero what is not among the likeliest tokens that weigh enough together."""
    k = min(_LIKELY, weights.shape[1])
    while True:
        best = weights.topk(k, -1).values
        total = best.double().cumsum(-1)
        if k == weights.shape[1] or bool((total[:, -1] >= enough).all()):
            break
        k = min(8 * k, weights.shape[1])
    last = torch.searchsorted(total, enough[:, None]).clamp_max(k - 1)
    weights[weights < best.gather(1, last)] = 0


def _generator(seed: int, document: int) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed}:{document}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))
