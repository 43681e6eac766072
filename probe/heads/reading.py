"""One attention head on one prompt, read from both ends: where it looks, what it moves, and what that does to the prediction.

Attention of a query is split by the key it comes from: with v_s the value at key s, the head writes sum_s a[q, s] v_s W_O, so
its direct share of a logit (`probe.lens.direct`) is a sum over keys, exact at frozen divisors. What the head's weights alone say
about the prompt's tokens, OV and QK, is in `probe.heads.weights`.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput
from probe.heads import weights
from probe.heads.margins import entropy, received
from probe.heads.reading_record import HeadReading as HeadReading
from probe.heads.reading_record import TopTokens as TopTokens
from probe.interventions.forward import capture
from probe.interventions.places import Place
from probe.interventions.places import head as head_place
from probe.interventions.values import Mean, Zero
from probe.lens.direct import TOLERANCE, DirectLogits, direct_logits, parts_of, readers
from probe.methods import Doc, Unit, method
from probe.model.sites import Site, hook_name
from probe.model.unit_names import UnitName, head_of, require_position, unit_name
from probe.model.writes import heads_write
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.opening import came_from
from probe.text.prompts import Prompt, encode_prompt
from probe.text.targets import Target
from probe.text.tokens import display_tokens

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_LOGITS = 1 << 26  # numbers in a table of logits at once


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


@method("one-head", group="heads", paper="A Mathematical Framework for Transformer Circuits (Elhage et al. 2021)")
def one_head(
    model: "TransformerBridge",
    prompt: Prompt,
    head: Annotated[Unit, Doc("Which one, like L5H3.")],
    *,
    pos: Annotated[int, Doc("The query: the token that looks; -1 is the last.")] = -1,
    key: Annotated[int | None, Doc("The token looked at; by default the one that it looks at most.")] = None,
    target: Annotated[Target | None, Doc("Whose logit is explained; by default the likeliest next token.")] = None,
    k: Annotated[int, Doc("Tokens of each list.", least=1)] = 10,
    progress: Progress = SILENT,
) -> HeadReading:
    """One attention head from both ends: where it looks, what it moves (OV), which keys its weights prefer (QK), and what it adds
    to the prediction. The same as `read_head`, which tells of all positions.

    Raises BadInput for a head, position or token there is not.

    >>> ow.one_head(model, "When Mary and John went to", "L1H0", pos=2).rows()[0]["position"] <= 2
    True
    """
    found = read_head(model, prompt, head, target=target, k=k, progress=progress)  # type: ignore[arg-type]
    for at in (pos, 0 if key is None else key):
        require_position(at, len(found.tokens))
    query = pos % len(found.tokens)
    if key is not None and key % len(found.tokens) > query:
        raise BadInput(f"Token {key} stands behind the query, token {query}, which cannot see it.")
    return came_from(replace(found, query=query, key=key), model)


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
