"""The two tasks of docs/two-circuits.md: prompts, what is read at the last position, and how well the model does.

greater-than    "The war lasted from the year 1732 to the year 17": this tokenizer writes digits one by one, so the next token
                is the tens digit. later: digits above the start year's, earlier: those below; the equal one is neither.
capital-of      "The capital of France is": the capital against those of all other countries asked about.

The margin of a prompt is a difference of logits: mean of the later digits minus mean of the earlier, or the capital minus the
mean of the other capitals. It is a direction of the final residual stream, so a graph explains it exactly. A pair of prompts that
differ in one token has a contrast: for greater-than the digits between the two start digits minus those above both, for
capitals the first's capital minus the second's. Patching from the second into the first is scored by the share of the way from
one contrast to the other.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.attribution.trace import Direction
from probe.text.tokens import encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_PAIRS = (
    "France:Paris, Germany:Berlin, Italy:Rome, Japan:Tokyo, Greece:Athens, Ireland:Dublin, Portugal:Lisbon, "
    "Hungary:Budapest, England:London, Russia:Moscow, China:Beijing, Austria:Vienna, Poland:Warsaw, Iran:Tehran, "
    "Cuba:Havana, Syria:Damascus, Canada:Ottawa, Norway:Oslo, Sweden:Stockholm, Denmark:Copenhagen, "
    "Finland:Helsinki, Afghanistan:Kabul, Peru:Lima, Ukraine:Kiev, Kenya:Nairobi, Belgium:Brussels, "
    "Scotland:Edinburgh, Chile:Santiago, Israel:Jerusalem, Argentina:Buenos, Bulgaria:Sofia, Philippines:Manila, "
    "Australia:Canberra, Switzerland:Bern, Netherlands:Amsterdam, Spain:Madrid, Egypt:Cairo, Iraq:Baghdad"
)
CAPITALS = dict(pair.split(":") for pair in _PAIRS.split(", "))
N_TRACED = 8
TRACED_YEARS = (("war", 32), ("siege", 47), ("war", 62), ("siege", 24))
NOUNS = ("reign", "voyage")
STARTS = (13, 24, 36, 42, 57, 68, 75, 84)


@dataclass(frozen=True)
class Task:
    """prompts of equal length. more, fewer: the tokens of each whose mean logits the margin sets against each other. varied: the
    position of the token that decides."""

    name: str
    model: "TransformerBridge"
    prompts: list[str]
    more: list[list[int]]
    fewer: list[list[int]]
    varied: int

    @cached_property
    def tokens(self) -> Int[Tensor, "batch pos"]:
        """All prompts as one batch."""
        return torch.tensor([encode_prompt(self.model, p) for p in self.prompts])

    def direction(self, i: int) -> Direction:
        """The margin of prompt i as a root of its graph."""
        W = self.model.W_U.detach()
        return Direction(W[:, self.more[i]].mean(1) - W[:, self.fewer[i]].mean(1), name="margin")

    def margins(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, " batch"]:
        """Mean logit of `more` minus mean of `fewer`, for each prompt."""
        pairs = zip(logits, self.more, self.fewer, strict=True)
        return torch.stack([row[m].mean() - row[f].mean() for row, m, f in pairs])

    def gaps(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, " batch"]:
        """Probability of `more` minus probability of `fewer`."""
        pairs = zip(logits.softmax(-1), self.more, self.fewer, strict=True)
        return torch.stack([row[m].sum() - row[f].sum() for row, m, f in pairs])

    def probabilities(self, logits: Float[Tensor, "batch d_vocab"]) -> Float[Tensor, " batch"]:
        """Probability of `more`."""
        return torch.stack([row[m].sum() for row, m in zip(logits.softmax(-1), self.more, strict=True)])


def digit_ids(model: "TransformerBridge") -> list[int]:
    """Token ids of the ten digits."""
    return [model.tokenizer.encode(str(d), add_special_tokens=False)[0] for d in range(10)]


def year_prompt(noun: str, start: int) -> str:
    """`The war lasted from the year 1732 to the year 17`."""
    return f"The {noun} lasted from the year 17{start:02d} to the year 17"


def greater_than(model: "TransformerBridge", asked: Any) -> Task:
    """asked: nouns with start years."""
    digits, tens = digit_ids(model), [y // 10 for _, y in asked]
    later, earlier = [digits[t + 1 :] for t in tens], [digits[:t] for t in tens]
    return Task("greater-than", model, [year_prompt(n, y) for n, y in asked], later, earlier, 10)


def capital_of(model: "TransformerBridge", countries: Any) -> Task:
    """The other capitals are those of all countries in the list above."""
    ids = {c: model.tokenizer.encode(" " + k, add_special_tokens=False)[0] for c, k in CAPITALS.items()}
    others = [[i for name, i in ids.items() if name != c] for c in countries]
    return Task(
        "capital-of", model, [f"The capital of {c} is" for c in countries], [[ids[c]] for c in countries], others, 4
    )


def traced(model: "TransformerBridge") -> list[Task]:
    """What the graphs are of."""
    return [greater_than(model, TRACED_YEARS), capital_of(model, list(CAPITALS)[:N_TRACED])]


def tested(model: "TransformerBridge") -> list[Task]:
    """Other prompts of the same kinds: what was found in the graphs is tried on these."""
    return [
        greater_than(model, [(n, y) for n in NOUNS for y in STARTS]),
        capital_of(model, list(CAPITALS)[N_TRACED:]),
    ]


@dataclass(frozen=True)
class Pairs:
    """Clean and corrupted prompts that differ in one token. high, low: the contrast's tokens of each pair."""

    name: str
    clean: Int[Tensor, "pair pos"]
    corrupted: Int[Tensor, "pair pos"]
    high: list[list[int]]
    low: list[list[int]]
    varied: int

    def contrast(self, logits: Float[Tensor, "pair d_vocab"]) -> Float[Tensor, " pair"]:
        """Mean logit of `high` minus mean of `low`."""
        return torch.stack(
            [row[h].mean() - row[w].mean() for row, h, w in zip(logits, self.high, self.low, strict=True)]
        )


def year_pairs(model: "TransformerBridge") -> Pairs:
    """Start decades 2 and 6, 3 and 7, and the other way round."""
    digits, clean, corrupted, high, low = digit_ids(model), [], [], [], []
    for noun in NOUNS:
        for a, b in ((2, 6), (3, 7), (6, 2), (7, 3)):
            clean.append(encode_prompt(model, year_prompt(noun, 10 * a + 4)))
            corrupted.append(encode_prompt(model, year_prompt(noun, 10 * b + 4)))
            small, large = sorted((a, b))
            high.append(digits[small + 1 : large])
            low.append(digits[large + 1 :])
    return Pairs("greater-than", torch.tensor(clean), torch.tensor(corrupted), high, low, 10)


def capital_pairs(model: "TransformerBridge", n: int = 12) -> Pairs:
    """Each of n countries with the next one."""
    task = capital_of(model, list(CAPITALS)[N_TRACED : N_TRACED + n])
    ids = list(task.more)
    return Pairs("capital-of", task.tokens, task.tokens.roll(-1, 0), ids, ids[1:] + ids[:1], 4)
