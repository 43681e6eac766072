"""Direct logit attribution: what each head, each MLP and the embedding add to one logit at every position.

The final norm's divisor held, the unembedding is linear and the stream is a sum of writes, so a logit minus the mean logit is

    logit[t] - mean = sum over parts w of  direction(t) . w  + constant        direction: W_U[:, t] - mean, back through the norm

A head's write is z W_O; behind a post-norm (Gemma, OLMo 2) it is divided by the divisor the whole attention output had. The
parts are summed and compared with the logit of the model before a record is returned. A final soft-cap is a curve on top: what
is explained is the logit before it. (Elhage et al. 2021; Wang et al. 2022, arXiv:2211.00593.)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from probe.errors import OpenworkError
from probe.interventions.forward import capture, require_finite
from probe.lens.token_facts import beside_mean
from probe.methods import Doc, method
from probe.model.anatomy import spot
from probe.model.norms import NormParts, norm_parts
from probe.model.sites import Site, hook_name, resid_pre
from probe.model.unit_names import unit_name
from probe.model.writes import heads_write, unembedding, wide
from probe.show.opening import came_from
from probe.show.panels import Chosen, Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.show.values import quoted
from probe.text.prompts import Prompt, read_prompt
from probe.text.targets import Asked, Target, asked
from probe.text.tokens import display_tokens
from probe.words import signed

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
"How far, relative to the size of the parts, their sum may be from the logit; half precision gets 0.05."


@dataclass(frozen=True, kw_only=True)
class DirectLogits(Record, figure=True, page=True):
    """What every part adds to `logit`, the logit of `targets[pos]` minus the mean logit, at each position; of a `Difference`,
    minus the logit of `others[pos]`.

    bias: attention output biases. constant: the final norm's and the unembedding's biases. write_norm: length of what a head
    adds to the stream. reach: one over the divisors between a head's write and the logits. gap: |sum - logit|, largest,
    relative to the summed size of the parts.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    targets: list[int]
    target_tokens: list[str]
    heads: Float[np.ndarray, "layer head pos"]
    mlps: Float[np.ndarray, "layer pos"]
    bias: Float[np.ndarray, "layer pos"]
    embed: Float[np.ndarray, " pos"]
    constant: Float[np.ndarray, " pos"]
    logit: Float[np.ndarray, " pos"]
    write_norm: Float[np.ndarray, "layer head pos"]
    reach: Float[np.ndarray, "layer pos"]
    gap: float
    convention: dict[str, Any] = field(default_factory=dict)
    others: list[int] = field(default_factory=list)

    def total(self) -> Float[np.ndarray, " pos"]:
        """The sum of all parts, which is the logit."""
        return self.heads.sum((0, 1)) + self.mlps.sum(0) + self.bias.sum(0) + self.embed + self.constant

    if TYPE_CHECKING:

        def figure(self, pos: int = -1) -> go.Figure: ...

    def rows(self, pos: int = -1, k: int | None = 12) -> list[dict[str, Any]]:
        """The k heads and MLPs that add or take most at one position, and what is left."""
        heads = [(unit_name("head", i, h), float(v)) for (i, h), v in np.ndenumerate(self.heads[..., pos])]
        parts = sorted([*heads, *((f"MLP {i}", float(v)) for i, v in enumerate(self.mlps[:, pos]))], key=_size)
        rest = float(self.bias[:, pos].sum() + self.constant[pos]) + sum(
            v for _, v in parts[len(parts) if k is None else k :]
        )
        sums = [("other heads, MLPs and biases", rest), ("embedding", float(self.embed[pos]))]
        return [{"part": name, "adds to the logit": value} for name, value in [*parts[:k], *sums]]

    def panels(self) -> list[Panel]:
        """The logit after each token, and of one of them what every head and MLP adds."""
        return [
            Tokens(f"logit, {self.convention.get('logit', 'minus the mean logit')}", self.tokens, self.logit.tolist()),
            Chosen({"token": len(self.tokens)}, self._at),
            Sentence(self.summary()),
        ]

    def _at(self, token: int) -> list[Panel]:
        said = f"After {self.tokens[token]!r} (position {token}), to {self.target_tokens[token]!r}"
        return [Figure(f"{said}: heads", lambda: self.figure(token)), Rows(said, self.rows(token))]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        names = ("heads", "mlps", "bias", "embed", "constant", "logit", "write_norm")
        plain = {n: getattr(self, n) for n in ("prompt", "tokens", "targets", "target_tokens", "gap", "convention")}
        return {**plain, **{n: np.round(getattr(self, n).astype(float), 7).tolist() for n in names}}

    def summary(self) -> str:
        """One sentence: whose logit is split, and what adds most to it."""
        most = self.rows(k=1)[0]
        return (
            f"What adds to the logit of {self.target_tokens[-1]!r} ({beside_mean(float(self.logit[-1]), self.convention)}) after "
            f"{quoted(self.prompt)}: most of all {most['part']} ({signed(most['adds to the logit'])})."
        )


def _size(part: tuple[str, float]) -> float:
    return -abs(part[1])


@torch.no_grad()
@method("direct-logits", group="lens", paper="A Mathematical Framework for Transformer Circuits (Elhage et al. 2021)")
def direct_logits(
    model: "TransformerBridge",
    prompt: Prompt,
    target: Annotated[
        Target | None, Doc("Whose logit is split; by default the likeliest next token at each position.")
    ] = None,
) -> DirectLogits:
    """A logit split over heads, MLPs, embedding and biases, which sum to it.

    target: a token as text or id, or a `Difference` of two; by default the likeliest next token at each position.

    Raises BadInput for a token the vocabulary lacks, OpenworkError where the parts do not sum to the model's logit.

    >>> direct = ow.direct_logits(model, "When Mary and John went to", ow.Difference(" the", " of"))
    >>> direct.heads.shape  # layer, head, position
    (4, 4, 8)
    """
    prompt, ids = read_prompt(model, prompt)
    wanted = None if target is None else asked(model, target)
    found = _run(model, ids)
    logits = wide(require_finite(found[Site("logits").name])[0])
    targets, others = _targets(logits, wanted)
    toward = readers(model, found, targets, others)
    parts = [_layer_parts(model, found, i, toward) for i in range(model.cfg.n_layers)]
    heads, norms, mlps, bias, reach = (torch.stack(x) for x in zip(*parts, strict=True))
    embed = (wide(found[resid_pre(0).name][0]) * toward).sum(-1)
    constant = _constant(model, targets, others)
    logit = logits.gather(1, targets[:, None])[:, 0] - _reference(logits, others)
    size = heads.abs().sum((0, 1)) + mlps.abs().sum(0) + embed.abs() + constant.abs()
    gap = float(((heads.sum((0, 1)) + mlps.sum(0) + bias.sum(0) + embed + constant - logit).abs() / size).max())
    _check_sum(gap, found[resid_pre(0).name].dtype)
    arrays = {"heads": heads, "mlps": mlps, "bias": bias, "embed": embed, "constant": constant, "logit": logit}
    arrays |= {"write_norm": norms, "reach": reach}
    words = display_tokens(model, [*ids, *targets.tolist()])
    names = words[len(ids) :] if wanted is None else [wanted.name] * len(ids)
    record = DirectLogits(
        prompt=prompt,
        token_ids=ids,
        tokens=words[: len(ids)],
        targets=targets.tolist(),
        target_tokens=names,
        **{name: x.cpu().numpy() for name, x in arrays.items()},
        gap=gap,
        convention={
            "logit": f"minus {'the mean' if others is None else 'the other'} logit, before any soft-cap",
            "frozen": "divisors of the final norm and of post-norms",
        },
        others=[] if others is None else others.tolist(),
    )
    return came_from(record, model)


def _targets(
    logits: Float[Tensor, "pos d_vocab"], wanted: Asked | None
) -> tuple[Int[Tensor, " pos"], Int[Tensor, " pos"] | None]:
    """The token explained at each position, and the one it is set against, if any."""
    if wanted is None:
        return logits.argmax(-1), None
    first = torch.full_like(logits[:, 0], wanted.id, dtype=torch.long)
    return first, None if wanted.other is None else torch.full_like(first, wanted.other)


def _reference(logits: Float[Tensor, "pos d_vocab"], others: Int[Tensor, " pos"] | None) -> Float[Tensor, " pos"]:
    return logits.mean(-1) if others is None else logits.gather(1, others[:, None])[:, 0]


def _check_sum(gap: float, dtype: torch.dtype) -> None:
    allowed = TOLERANCE.get(dtype, 0.05)
    if not gap <= allowed:
        raise OpenworkError(
            f"Heads, MLPs and embedding do not sum to this model's logit (relative gap {gap:.1e}, {allowed:g} is allowed). "
            "It reads its logits from something else than one sum of writes, so they were not split."
        )


def _run(model: "TransformerBridge", ids: list[int]) -> dict[str, Tensor]:
    """All writes, the divisors they pass, and the logits."""
    layers = range(model.cfg.n_layers)
    spot(resid_pre(0), model)  # says what is no decoder
    norms = [Site("final_scale"), *(Site(k, i) for k in ("ln1_post_scale",) for i in layers)]
    mlps = [Site("mlp_write", i) for i in layers if getattr(model.blocks[i], "mlp", None) is not None]
    wanted = [resid_pre(0), *(Site("z", i) for i in layers), *mlps, Site("logits")]
    wanted += [s for s in norms if hook_name(s, model)]
    return capture(model, torch.tensor([ids], device=model.W_E.device), wanted, stop=False)


def parts_of(owner: Any, name: str, like: Tensor) -> NormParts | None:
    """The parts of the norm `owner.name`; None where the model has none, or one that changes nothing."""
    norm = getattr(owner, name, None)
    plain = norm is None or isinstance(getattr(norm, "original_component", None), torch.nn.Identity)
    return None if plain else norm_parts(norm, like)


def readers(
    model: "TransformerBridge",
    found: Mapping[str, Tensor],
    targets: Int[Tensor, " pos"],
    others: Int[Tensor, " pos"] | None = None,
) -> Float[Tensor, "pos d_model"]:
    """For each position the direction in the stream whose dot product with a write is its share of the target's logit, minus the
    mean logit or that of another token."""
    W_U, _ = unembedding(model)
    norm = parts_of(model, "ln_final", W_U)
    toward = W_U[:, targets].T - (W_U.mean(1) if others is None else W_U[:, others].T)
    if norm is None or Site("final_scale").name not in found:
        return toward
    back = norm.weight * toward / wide(found[Site("final_scale").name][0])
    return back - back.mean(-1, keepdim=True) if norm.centred else back


def _layer_parts(
    model: "TransformerBridge", found: dict[str, Tensor], layer: int, toward: Float[Tensor, "pos d_model"]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Shares of a layer's heads, lengths of their writes, shares of its MLP and of its biases, and its reach."""
    W_O, bias = heads_write(model, layer)
    writes = einsum(
        wide(found[Site("z", layer).name][0]), W_O, "pos head d_head, head d_head d_model -> head pos d_model"
    )
    post, reach = parts_of(model.blocks[layer], "ln1_post", writes), torch.ones_like(toward[:, :1])
    if Site("final_scale").name in found:
        reach = reach / wide(found[Site("final_scale").name][0])
    shift = torch.zeros_like(bias)
    if post is not None:
        scale = wide(found[Site("ln1_post_scale", layer).name][0])
        writes, bias, shift, reach = post.scaled(writes) / scale, post.scaled(bias) / scale, post.bias, reach / scale
    write = found.get(Site("mlp_write", layer).name)  # models of attention alone have none
    mlp = torch.zeros_like(toward[:, 0]) if write is None else (wide(write[0]) * toward).sum(-1)
    shares = einsum(writes, toward, "head pos d_model, pos d_model -> head pos")
    return shares, writes.norm(dim=-1), mlp, ((bias + shift) * toward).sum(-1), reach[:, 0]


def _constant(
    model: "TransformerBridge", targets: Int[Tensor, " pos"], others: Int[Tensor, " pos"] | None
) -> Float[Tensor, " pos"]:
    """What the biases behind the stream add."""
    W_U, offset = unembedding(model)
    norm = parts_of(model, "ln_final", W_U)
    if norm is not None:
        offset = offset + norm.bias @ W_U
    return offset[targets] - (offset.mean() if others is None else offset[others])
