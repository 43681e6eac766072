"""What drawn documents begin with: one token that begins a text, and behind it the first tokens of the documents of a source."""

from itertools import islice
from typing import TYPE_CHECKING

from probe.errors import BadInput
from probe.text.display import tokenizer_of
from probe.text.documents import corpus
from probe.text.tokens import bos_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def begins_with(model: "TransformerBridge") -> list[int]:
    """BOS, or what ends a document where there is no BOS (as GPT-2 was trained); BadInput where there is neither."""
    first = next((i for i in (bos_of(model, True), tokenizer_of(model).eos_token_id) if i is not None), None)
    if first is None:
        raise BadInput(
            "This model's tokenizer has neither a BOS nor an EOS token, so there is nothing to begin a text with."
        )
    return [int(first)]


def first_tokens(model: "TransformerBridge", source: str, n: int, most: int, seed: int) -> list[list[int]]:
    """The first `most` tokens of each of n documents of a source, in the order that the seed gives; over again where it holds
    fewer documents."""
    texts = [document.text[: 100 * most] for document in islice(corpus(source, seed=seed), n)]
    read = tokenizer_of(model)(texts, add_special_tokens=False, verbose=False)["input_ids"]
    found = [ids[:most] for ids in read if ids]
    return [found[i % len(found)] for i in range(n)]
