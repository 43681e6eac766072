"""Draw text from a model token by token: one stream of random numbers for each document, many documents side by side.

The next token is the first at which the cumulative probability passes a uniform number, so one number decides one token and
a document's numbers can be made from the seed and its index alone.
"""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import BadInput
from probe.model.key_value_cache import NextToken
from probe.progress import Step
from probe.text.display import end_tokens, tokenizer_of
from probe.text.tokens import bos_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@torch.no_grad()
def draw(
    model: "TransformerBridge",
    documents: range,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    *,
    cached: bool = True,
    step: Step = lambda amount=1: None,
) -> Iterator[tuple[list[int], list[float]]]:
    """Token ids and their surprise (nats at temperature 1) for each document, without the token it began with.

    cached: keep keys and values between tokens where the model can; without, every token runs the whole text again.
    """
    first, ends = _first_token(model), end_tokens(model)
    uniform = torch.stack([torch.rand(length, generator=_generator(seed, i), dtype=torch.float64) for i in documents])
    ids = torch.full((len(documents), 1), first, dtype=torch.int64)
    surprise, going = [], torch.ones(len(documents), dtype=torch.bool)
    predict = NextToken(model, cached)
    for t in range(length):
        chosen, nats = _choose(predict(ids), uniform[:, t], temperature)
        ids = torch.cat([ids, chosen[:, None]], 1)
        surprise.append(nats)
        going &= ~torch.isin(chosen, torch.tensor(sorted(ends), dtype=torch.int64))
        step(len(documents))
        if not going.any():
            break
    costs = torch.stack(surprise, 1).tolist()
    for row, cost in zip(ids[:, 1:].tolist(), costs, strict=True):
        n = next((i for i, token in enumerate(row) if token in ends), len(row))
        yield row[:n], cost[:n]


def _choose(
    logits: Float[Tensor, "doc d_vocab"], uniform: Float[Tensor, " doc"], temperature: float
) -> tuple[Int[Tensor, " doc"], Float[Tensor, " doc"]]:
    """The token at which the cumulative probability passes the uniform number, and its surprise at temperature 1."""
    exact = logits.double().cpu()
    total = (exact / temperature).softmax(-1).cumsum(-1)
    # scaled by the sum, which is 1 but for rounding: a number above the last step would fall off the end
    chosen = torch.searchsorted(total, (uniform * total[:, -1])[:, None], right=True).squeeze(1)
    chosen = chosen.clamp_max(logits.shape[1] - 1)
    return chosen, -exact.log_softmax(-1).gather(1, chosen[:, None]).squeeze(1)


def _generator(seed: int, document: int) -> torch.Generator:
    digest = hashlib.blake2b(f"{seed}:{document}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big"))


def _first_token(model: "TransformerBridge") -> int:
    """What a document begins with: BOS, or what ends one where there is no BOS (as GPT-2 was trained)."""
    tokenizer = tokenizer_of(model)
    first = next((i for i in (bos_of(model, True), tokenizer.eos_token_id) if i is not None), None)
    if first is None:
        raise BadInput(
            "This model's tokenizer has neither a BOS nor an EOS token, so there is nothing to begin a text with."
        )
    return first
