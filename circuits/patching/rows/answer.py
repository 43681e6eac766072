"""A prompt, the answer that is asked about, and how likely it is in changed runs of the prompt."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.patching.pair import last_logits
from probe.methods import Token
from probe.text.display import display_tokens
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import token_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class Asked:
    """text, ids, words: the prompt as text, token ids, tokens to read. tokens: its ids as a row. answer: the token that is asked
    about, named as people read it; clean: its probability after the last token in the plain run."""

    text: str
    ids: list[int]
    words: list[str]
    tokens: Int[Tensor, "1 pos"]
    answer: int
    named: str
    clean: float

    def probability(self, logits: Float[Tensor, "row d_vocab"]) -> Float[np.ndarray, " row"]:
        """The answer's probability by these logits."""
        return logits.double().softmax(-1)[:, self.answer].cpu().numpy()


def asked_about(model: "TransformerBridge", prompt: Prompt, target: Token | None) -> Asked:
    """A prompt and its answer, by default the likeliest token."""
    text, ids = read_prompt(model, prompt)
    logits = last_logits(model, ids)
    answer = int(logits.argmax()) if target is None else token_id(model, target)
    return Asked(
        text=text,
        ids=ids,
        words=display_tokens(model, ids),
        tokens=torch.tensor([ids], device=model.W_E.device),
        answer=answer,
        named=display_tokens(model, [answer])[0],
        clean=float(logits.softmax(-1)[answer]),
    )
