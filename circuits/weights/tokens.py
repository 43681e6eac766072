"""Which tokens excite a unit, by weights alone: the token's embedding, as such or through heads, along what the unit reads.

    de-embedding(token, i) = W_E[token] . N1 W_V W_O P1 ... N2 . W_enc[:, i]      (Dunefsky et al. 2024)

Scores are demeaned over the vocabulary: what all tokens share is no evidence for one of them. Divisors of norms and attention
weights are left out; whether a head looks at that token at all is another question.

Two further readings are our choice and named as such in the record. `extended` adds what MLP 0 makes of the token alone (no
attention, no position) to its embedding, since early MLPs recompute the embedding in many models. `alone` is a neuron's own
activation on each token's embedding, through the model's own norm: that of a gated neuron is a product, so that neither reader
ranks its tokens.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.replacement.points import final
from circuits.weights.through_heads import pull_back_along
from circuits.weights.units import weight_view, wide
from probe.errors import BadInput
from probe.features.effects import EMBEDDING, TOKENS, _normed, tokens_alone
from probe.model.sites import Site
from probe.model.unit_names import UnitName, unit_name
from probe.model.writes import activation, unembedding
from probe.model.writes import norm_of as final_norm
from probe.show.html import shown
from probe.show.record import Record
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.interventions.places import Place


@dataclass(frozen=True)
class TokenScore:
    """A token of the vocabulary and its score."""

    id: int
    token: str
    score: float


@dataclass(frozen=True, kw_only=True)
class TokenRanking(Record, figure=True):
    """Tokens that raise what a unit reads most, and those that lower it most. spread: standard deviation over the vocabulary, so
    that a score can be read in units of it."""

    target: str
    reader: str
    through: tuple[str, ...]
    embedding: str
    highest: list[TokenScore]
    lowest: list[TokenScore]
    spread: float
    convention: dict[str, str] = field(default_factory=dict)

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """Highest and lowest side by side."""
        return [
            {"raises": shown(up.token), "score": up.score, "lowers": shown(down.token), "score ": down.score}
            for up, down in list(zip(self.highest, self.lowest, strict=True))[:k]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def summary(self) -> str:
        """One sentence: whose tokens, by which way."""
        by = " ".join(self.through) or "directly"
        return f"{self.target} ({self.reader}), tokens {by}: {self.embedding}."


CONVENTION = {
    "score": "embedding . (norm weights, W_V W_O of each head) . what the unit reads, demeaned over the vocabulary",
    "left out": "divisors of the norms, attention weights",
}


@dataclass(frozen=True)
class Embeddings(Record):
    """Every token's embedding as the model itself scales it, made once for many rankings. name: what it is called."""

    table: Float[Tensor, "d_vocab d_model"]
    name: str


@torch.no_grad()
def embeddings(model: "TransformerBridge", extended: bool = False) -> Embeddings:
    """The embedding of all tokens; `extended`: with what MLP 0 makes of each token alone.

    >>> ow.embeddings(model).table.shape  # d_vocab, d_model
    torch.Size([466, 64])
    """
    if not extended:
        return Embeddings(tokens_alone(model, Site("embed")), "token embedding")
    try:
        return Embeddings(tokens_alone(model, Site("resid_post", 0)), "extended embedding (our choice): " + EMBEDDING)
    except BadInput as error:
        raise BadInput(
            "This model's MLP 0 cannot be run alone, so there is no extended embedding; leave it out."
        ) from error


@torch.no_grad()
def deembed(
    model: "TransformerBridge",
    target: "str | UnitName | Place | tuple[int, int]",
    *,
    dictionaries: Sequence[Any] = (),
    through: Sequence[tuple[int, int]] = (),
    extended: bool = False,
    k: int = 10,
    vocabulary: Embeddings | None = None,
) -> list[TokenRanking]:
    """Tokens ranked for each reader of a unit, and for neurons read directly the activation of each token alone.

    through: heads (layer, head), the one nearest to the token first. vocabulary: what `embeddings` returned, to save its time.

    >>> [ranking.reader for ranking in ow.deembed(model, "L2N5")]
    ['alone', 'gate', 'in']
    """
    view = weight_view(model, dictionaries)
    name = view.name(target)
    bank = view.bank(name)
    readers = bank.readers(torch.tensor([name.unit], device=model.W_E.device))
    named = tuple(unit_name("head", layer, head) for layer, head in through)
    words = vocabulary or embeddings(model, extended)
    found = []
    if name.kind == "neuron" and not through:
        said = f"activation of the neuron itself on {words.name}, through the model's own norm"
        alone = token_activations(model, name, words.table)
        found.append(_ranking(model, alone, k, target=str(name), reader="alone", through=(), embedding=said))
    for reader, row in readers.items():
        back, _ = pull_back_along(model, row, through, bank.read_point or 0)
        scores = words.table.to(back) @ back[0]
        scores = scores - scores.mean()
        found.append(_ranking(model, scores, k, target=str(name), reader=reader, through=named, embedding=words.name))
    return found


def _ranking(model: "TransformerBridge", scores: Float[Tensor, " d_vocab"], k: int, **said: Any) -> TokenRanking:
    k = min(k, len(scores))
    ends = [scores.topk(k, largest=largest) for largest in (True, False)]
    up, down = (
        [_score(model, i, v) for i, v in zip(*(x.tolist() for x in (e.indices, e.values)), strict=True)] for e in ends
    )
    alone = {"score": "activation of the neuron, not demeaned"} if said["reader"] == "alone" else {}
    return TokenRanking(highest=up, lowest=down, spread=float(scores.std()), convention={**CONVENTION, **alone}, **said)


def token_text(model: "TransformerBridge", token: int) -> str:
    """A token as it is shown, or its number where the model has no tokenizer."""
    has = getattr(model, "tokenizer", None) is not None
    return display_tokens(model, [token])[0] if has else f"⟨id {token}⟩"


def _score(model: "TransformerBridge", token: int, value: float) -> TokenScore:
    return TokenScore(token, token_text(model, token), value)


def token_activations(
    model: "TransformerBridge", name: UnitName, table: Float[Tensor, "d_vocab d_model"]
) -> Float[Tensor, " d_vocab"]:
    """A neuron's activation on every token alone: the model's own norm, this neuron's weights, the model's nonlinearity."""
    mlp, act, unit = model.blocks[name.layer].mlp, activation(model, name.layer), name.unit
    gated = getattr(mlp, "W_gate", None) is not None
    x = torch.cat([_normed(model, name.layer, "ln2", some) for some in table.split(TOKENS)])
    linear = _column(x, mlp.W_in, getattr(mlp, "b_in", None), unit)
    return act(_column(x, mlp.W_gate, getattr(mlp, "b_gate", None), unit)) * linear if gated else act(linear)


def _column(x: Tensor, W: Tensor, b: Tensor | None, unit: int) -> Float[Tensor, " d_vocab"]:
    return wide(x) @ wide(W[:, unit]).to(wide(x)) + (0 if b is None else wide(b[unit]))


@torch.no_grad()
def promoted(
    model: "TransformerBridge",
    target: "str | UnitName | Place | tuple[int, int]",
    *,
    dictionaries: Sequence[Any] = (),
    k: int = 10,
) -> TokenRanking:
    """Tokens whose demeaned logits what a unit writes raises and lowers most: W_dec W_U through the final norm's weight.

    >>> ranking = ow.promoted(model, "L2N5", k=5)
    >>> len(ranking.rows())
    5
    """
    view = weight_view(model, dictionaries)
    name = view.name(target)
    written = view.bank(name).writers(slice(name.unit, name.unit + 1), final(model.cfg.n_layers))
    assert written is not None
    norm = final_norm(model, "ln_final", None, written)
    effect = (written if norm is None else norm.scaled(written))[0] @ unembedding(model)[0].to(written)
    said = {"score": "demeaned logit at activation 1, the final norm's divisor left out"}
    scores = effect - effect.mean()
    ranking = _ranking(model, scores, k, target=str(name), reader="writes", through=(), embedding="unembedding")
    return replace(ranking, convention=said)
