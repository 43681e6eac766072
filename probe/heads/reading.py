"""One attention head on one prompt, read from both ends: where it looks, what it moves, and what that does to the prediction.

Attention of a query is split by the key it comes from: with v_s the value at key s, the head writes sum_s a[q, s] v_s W_O, so
its direct share of a logit (`probe.lens.direct`) is a sum over keys, exact at frozen divisors. What the head's weights alone say
about the prompt's tokens, OV and QK, is in `probe.heads.weights`.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.heads import weights
from probe.heads.margins import entropy, received
from probe.interventions.forward import capture
from probe.interventions.places import Place
from probe.interventions.places import head as head_place
from probe.interventions.values import Mean, Zero
from probe.lens.direct import TOLERANCE, DirectLogits, direct_logits, parts_of, readers
from probe.model.sites import Site, hook_name
from probe.model.unit_names import UnitName, head_of, unit_name
from probe.model.writes import heads_write
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.show.record import Record
from probe.show.values import quoted
from probe.text.prompts import Prompt, encode_prompt
from probe.text.targets import Target
from probe.text.tokens import display_tokens
from probe.words import signed

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_LOGITS = 1 << 26  # numbers in a table of logits at once


@dataclass(frozen=True)
class TopTokens(Record):
    """The tokens a vector of scores raises and lowers most, with the scores."""

    up: list[str]
    up_scores: list[float]
    down: list[str]
    down_scores: list[float]
    up_ids: list[int] = field(default_factory=list)
    down_ids: list[int] = field(default_factory=list)

    def rows(self, names: tuple[str, str] = ("promotes", "suppresses")) -> list[dict[str, Any]]:
        """Both lists side by side."""
        cells = zip(self.up, self.up_scores, self.down, self.down_scores, strict=True)
        return [{names[0]: u, f"{names[0]}, by": a, names[1]: d, f"{names[1]}, by": b} for u, a, d, b in cells]


@dataclass(frozen=True, kw_only=True)
class HeadReading(Record, figure=True, page=True):
    """A head at every position of a prompt.

    received: mean attention each key gets from the queries that can see it. entropy: of each query's attention, nats. target:
    the next token whose logit is explained at each position. by_key[q, s]: what query q's look at key s adds to that logit;
    rows sum to `direct`. in_prompt[s]: tokens that the value at key s promotes and suppresses (times `reach` and the attention
    paid, logits). by_embedding, qk: by token id of the prompt, from weights alone. copying, directions: of the weights, see
    `probe.heads.weights`.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    layer: int
    head: int
    pattern: Float[np.ndarray, "q_pos k_pos"]
    received: Float[np.ndarray, " k_pos"]
    entropy: Float[np.ndarray, " q_pos"]
    targets: list[int]
    target_tokens: list[str]
    direct: Float[np.ndarray, " pos"]
    logit: Float[np.ndarray, " pos"]
    by_key: Float[np.ndarray, "q_pos k_pos"]
    reach: Float[np.ndarray, " pos"]
    in_prompt: list[TopTokens]
    by_embedding: dict[int, TopTokens]
    qk: dict[int, TopTokens]
    copying: float
    directions: list[dict[str, Any]]
    convention: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`L5H3`."""
        return unit_name("head", self.layer, self.head)

    def attended(self, pos: int = -1, k: int = 10) -> list[dict[str, Any]]:
        """The keys one query looks at most, and what each look adds to its logit."""
        pos = pos % len(self.tokens)
        order = np.argsort(-self.pattern[pos, : pos + 1], kind="stable")[:k]
        found = ((int(s), float(self.pattern[pos, s]), float(self.by_key[pos, s])) for s in order)
        return [{"position": s, "token": self.tokens[s], "attention": a, "adds to the logit": d} for s, a, d in found]

    def rows(self, pos: int = -1) -> list[dict[str, Any]]:
        """The same as `attended`."""
        return self.attended(pos)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the pattern is left out for its size, as are tokens' lists beyond the prompt's last token."""
        last = self.token_ids[-1]
        plain = {n: getattr(self, n) for n in ("prompt", "tokens", "layer", "head", "targets", "target_tokens")}
        arrays = {
            n: getattr(self, n).astype(float).round(7).tolist() for n in ("received", "entropy", "direct", "logit")
        }
        weighed = {"copying": self.copying, "directions": self.directions, "convention": self.convention}
        lists = {
            "attended": self.attended(),
            "promoted_in_prompt": [t.rows() for t in self.in_prompt],
            "promoted_by_embedding": self.by_embedding[last].rows(),
            "qk": self.qk[last].rows(("prefers", "avoids")),
        }
        return {**plain, **arrays, **lists, **weighed}

    def summary(self) -> str:
        """One sentence: what the head adds at the last token, and where it looks there."""
        seen = self.attended(k=1)[0]
        return (
            f"{self.name} on {quoted(self.prompt)}: at the last token it looks at {seen['token']!r} ({seen['attention']:.2f}) "
            f"and adds {signed(self.direct[-1])} to the logit of {self.target_tokens[-1]!r}."
        )


@dataclass(frozen=True, eq=False)
class KnownOfHeads(Settings):
    """What may be known already when a head is read."""

    direct: DirectLogits | None = None
    "Direct logit attribution of the prompt."
    copying: float | None = None
    "The head's copying score."


@takes_fields("known", KnownOfHeads)
def read_head(
    model: "TransformerBridge",
    prompt: Prompt,
    layer: int | str | UnitName | Place,
    head: int | None = None,
    *,
    target: Target | None = None,
    k: int = 10,
    known: KnownOfHeads = KnownOfHeads(),
    progress: Progress = SILENT,
) -> HeadReading:
    """Read one head on a prompt, by layer and number or by its name (`L5H3`).

    target: token (text or id) or `Difference` whose logit is explained (by default the likeliest token at each position). known:
    spares what it holds; its fields are keywords too. Raises BadInput for a head or token there is not.

    >>> one = ow.read_head(model, "When Mary and John went to", "L1H0")
    >>> one.pattern.shape  # query, key; each row sums to 1
    (8, 8)
    """
    layer, head = head_of(layer, head)
    weights.check_head(model, layer, head)
    if not 1 <= k <= model.cfg.d_vocab:
        raise BadInput(f"k is {k}; it must be between 1 and the vocabulary's {model.cfg.d_vocab}.")
    with progress.stage(f"read {unit_name('head', layer, head)}", total=4, unit="step") as step:
        whole = known.direct or direct_logits(model, prompt, target)
        step(1)
        pattern, by_key, values = _on_prompt(model, whole, layer, head)
        in_prompt = _top(model, layer, values, k)
        step(1)
        distinct = sorted(set(whole.token_ids))
        embedded = _top(model, layer, weights.ov_writes(model, layer, head, distinct), k)
        step(1)
        qk = _keys(model, layer, head, distinct, k)
        step(1)
    score = float(weights.copying_scores(model)[layer, head]) if known.copying is None else known.copying
    shown = np.tril(pattern)
    found = HeadReading(
        prompt=whole.prompt,
        token_ids=whole.token_ids,
        tokens=whole.tokens,
        layer=layer,
        head=head,
        pattern=pattern,
        received=received(shown),
        entropy=entropy(shown),
        targets=whole.targets,
        target_tokens=whole.target_tokens,
        direct=whole.heads[layer, head],
        logit=whole.logit,
        by_key=by_key,
        reach=whole.reach[layer],
        in_prompt=in_prompt,
        by_embedding=dict(zip(distinct, embedded, strict=True)),
        qk=dict(zip(distinct, qk, strict=True)),
        copying=score,
        directions=_directions(model, layer, head),
        convention={**weights.CONVENTION, **whole.convention},
    )
    return came_from(found, model)


def ablate_head(
    model: "TransformerBridge",
    prompt: Prompt,
    layer: int | str | UnitName | Place,
    head: int | None = None,
    how: str = "zero",
    pos: int | None = None,
) -> list[Zero | Mean]:
    """Interventions that take a head away, for `intervene` and `edited_run`: `zero`, or the `mean` of what it has mixed over the
    prompt's positions; at one position, or at all. The head by layer and number, or by its name (`L5H3`).

    >>> changes = ow.ablate_head(model, "When Mary and John went to", "L1H0", how="mean")
    >>> ow.edited_run(model, "When Mary and John went to", changes).edits
    ['mean L1H0']
    """
    layer, head = head_of(layer, head)
    weights.check_head(model, layer, head)
    place = head_place(layer, head, pos)
    if how == "zero":
        return [Zero(place)]
    if how != "mean":
        raise BadInput(f"A head is taken away by 'zero' or by 'mean', not by '{how}'.")
    site = Site("z", layer)
    mixed = capture(model, torch.tensor([encode_prompt(model, prompt)], device=model.W_E.device), [site])[site.name]
    return [Mean(place, mixed[0, :, head].mean(0))]


@torch.no_grad()
def _on_prompt(
    model: "TransformerBridge", whole: DirectLogits, layer: int, head: int
) -> tuple[np.ndarray, np.ndarray, Float[Tensor, "k_pos d_model"]]:
    """The head's pattern, each look's share of the logit, and what the head would write if it looked at one key alone."""
    final = [s for s in (Site("final_scale"), Site("ln1_post_scale", layer)) if hook_name(s, model)]
    wanted = [Site("pattern", layer), Site("v", layer), *final]
    found = capture(model, torch.tensor([whole.token_ids], device=model.W_E.device), wanted, stop=False)
    pattern = weights.wide(found[wanted[0].name][0, head])
    v = found[wanted[1].name][0]
    v = v[:, head // weights.group(model, layer)]
    values = weights.wide(v) @ heads_write(model, layer)[0][head]
    others = torch.tensor(whole.others, device=values.device) if whole.others else None
    toward = readers(model, found, torch.tensor(whole.targets, device=values.device), others)
    post, through = parts_of(model.blocks[layer], "ln1_post", values), values
    if post is not None:
        through = post.scaled(values)
        toward = toward / weights.wide(found[Site("ln1_post_scale", layer).name][0])
    by_key = (pattern * (toward @ through.T)).cpu().numpy()
    gap = np.abs(by_key.sum(1) - whole.heads[layer, head]).max()
    if not gap <= TOLERANCE.get(values.dtype, 0.05) * max(np.abs(by_key).sum(1).max(), 1e-30):
        raise BadInput(
            f"What {unit_name('head', layer, head)} writes is not a sum over the tokens it looks at: this model does something "
            "to values or heads in between (a gate, a norm), so its looks cannot be told apart."
        )
    return pattern.cpu().numpy(), by_key, values


def _top(model: "TransformerBridge", layer: int, writes: Float[Tensor, "row d_model"], k: int) -> list[TopTokens]:
    """The tokens each write promotes and suppresses."""
    rows = max(1, _LOGITS // int(model.cfg.d_vocab))
    found = [_best(row, k) for part in writes.split(rows) for row in weights.logits_of(model, layer, part)]
    return _named(model, found)


def _keys(model: "TransformerBridge", layer: int, head: int, tokens: list[int], k: int) -> list[TopTokens]:
    """The key tokens that each query token prefers and avoids."""
    rows = max(1, _LOGITS // int(model.cfg.d_vocab))
    parts = [weights.qk_scores(model, layer, head, tokens[i : i + rows]) for i in range(0, len(tokens), rows)]
    return _named(model, [_best(row, k) for part in parts for row in part])


def _best(scores: Float[Tensor, " d_vocab"], k: int) -> tuple[list[int], list[float], list[int], list[float]]:
    up, down = scores.topk(k), scores.topk(k, largest=False)
    return up.indices.tolist(), up.values.tolist(), down.indices.tolist(), down.values.tolist()


def _named(
    model: "TransformerBridge", found: list[tuple[list[int], list[float], list[int], list[float]]]
) -> list[TopTokens]:
    """Ids as texts, all asked for at once."""
    words = iter(display_tokens(model, [i for up, _, down, _ in found for i in [*up, *down]]))
    made = []
    for up, rise, down, fall in found:
        names = [next(words) for _ in up], [next(words) for _ in down]
        made.append(TopTokens(names[0], rise, names[1], fall, up, down))
    return made


def _directions(model: "TransformerBridge", layer: int, head: int, k: int = 3, n: int = 6) -> list[dict[str, Any]]:
    """The strongest directions of OV: tokens that mean one end of it, and the tokens promoted for them."""
    share, into, out = weights.ov_directions(model, layer, head, k)
    ids = [x.topk(n, -1, largest=up).indices.tolist() for up in (True, False) for x in (into, out)]
    words = iter(display_tokens(model, [i for rows in ids for row in rows for i in row]))
    taken = [[[next(words) for _ in row] for row in rows] for rows in ids]
    names = ("in", "out", "in_other_end", "out_other_end")
    return [{"share": float(s), **{name: taken[j][i] for j, name in enumerate(names)}} for i, s in enumerate(share)]
