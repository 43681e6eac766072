"""What one head does on a prompt (`probe.heads.reading`), as a record: of a query what it looks at, of a key what is moved, of
the weights what they prefer."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.heads.looking import MARGINS, key_of, looks, token_named
from probe.lens.token_facts import beside_mean
from probe.model.unit_names import unit_name
from probe.show.html import shown
from probe.show.panels import Chosen, Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import number, signed


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

    def table(self, title: str, names: tuple[str, str] = ("promotes", "suppresses"), factor: float = 1.0) -> Rows:
        """Both lists under a title, their scores times a factor."""
        rows = [{k: v if isinstance(v, str) else v * factor for k, v in row.items()} for row in self.rows(names)]
        return Rows(title, rows, kinds=dict.fromkeys(names, "token"))


@dataclass(frozen=True, kw_only=True)
class HeadReading(Record, figure=True, page=True):
    """A head at every position of a prompt.

    received: mean attention each key gets from the queries that can see it. entropy: of each query's attention, nats. target:
    the next token whose logit is explained at each position. by_key[q, s]: what query q's look at key s adds to that logit;
    rows sum to `direct`. in_prompt[s]: tokens that the value at key s promotes and suppresses (times `reach` and the attention
    paid, logits). by_embedding, qk: by token id of the prompt, from weights alone. copying, directions: of the weights, see
    `probe.heads.weights`. query, key: the positions that are told of, unless others are asked for; the key that the query looks
    at most, where none is.
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
    query: int = -1
    key: int | None = None

    @property
    def name(self) -> str:
        """`L5H3`."""
        return unit_name("head", self.layer, self.head)

    def attended(self, pos: int | None = None, k: int = 10) -> list[dict[str, Any]]:
        """The keys one query looks at most, and what each look adds to its logit."""
        pos = (self.query if pos is None else pos) % len(self.tokens)
        order = np.argsort(-self.pattern[pos, : pos + 1], kind="stable")[:k]
        found = ((int(s), float(self.pattern[pos, s]), float(self.by_key[pos, s])) for s in order)
        return [{"position": s, "token": self.tokens[s], "attention": a, "adds to the logit": d} for s, a, d in found]

    def rows(self, pos: int | None = None) -> list[dict[str, Any]]:
        """The same as `attended`."""
        return self.attended(pos)

    def panels(self) -> list[Panel]:
        """Where it looks, what it moves, which keys it prefers: of the query and the key."""
        pattern = Figure(f"Attention of {self.name}: {MARGINS}", self.figure, axes=("source", "token"))
        query, key = self.at(self.query, self.key)
        return [pattern, *self.told(), looks(self.tokens, self.pattern, query, key), Sentence(self.summary())]

    def told(self) -> list[Panel]:
        """What it moves, which keys it prefers, what it adds: of the query and the key. Where it looks stands elsewhere."""
        ends = Rows("Its strongest directions (OV), both ends of each", self.ends(), kinds={"share": "share"})
        start = {"token": self.at(self.query, None)[0]}
        return [Chosen({"token": len(self.tokens)}, self._of_query, start), ends]

    def _of_query(self, token: int) -> list[Panel]:
        named, found = token_named(self.tokens, token, "query"), self.attended(token, 12)
        qk = f"QK: keys that {named} prefers, by weights (score before the softmax)"
        query, key = self.at(self.query, self.key)
        start = key_of(self.pattern, token, key if token == query else None)
        return [
            Sentence(self.adds(token)),
            Rows(f"{named} looks at most", found, [{"source": row["position"]} for row in found]),
            self.qk[self.token_ids[token]].table(qk, ("prefers", "avoids")),
            Chosen({"source": token + 1}, partial(self._of_key, token), {"source": start}),
        ]

    def _of_key(self, query: int, source: int) -> list[Panel]:
        named, paid = token_named(self.tokens, source, "key"), float(self.pattern[query, source])
        here = f"OV: {named} as it stands here, logits at query {query} with attention {paid:.2f}"
        alone = f"OV: any {shown(self.tokens[source])}, by its embedding alone"
        return [
            self.in_prompt[source].table(here, factor=paid * float(self.reach[query])),
            self.by_embedding[self.token_ids[source]].table(alone),
        ]

    def at(self, query: int, key: int | None) -> tuple[int, int]:
        """Positions counted from the start; of a key that is not given, or lies ahead, the one looked at most."""
        query = query % len(self.tokens)
        return query, key_of(self.pattern, query, None if key is None else key % len(self.tokens))

    def ends(self) -> list[dict[str, Any]]:
        """The strongest directions of OV, a row for each end."""
        rows = []
        for one in self.directions:
            for end, share in (("", one["share"]), ("_other_end", None)):
                tokens = {"looking at tokens like": one[f"in{end}"], "promotes tokens like": one[f"out{end}"]}
                rows.append({"share": share, **tokens})
        return rows

    def adds(self, query: int) -> str:
        """What it adds to the logit explained at one position."""
        return (
            f"At token {query} {shown(self.tokens[query])}, {self.name} adds {number(float(self.direct[query]))} to the logit of "
            f"{shown(self.target_tokens[query])}, which is {beside_mean(float(self.logit[query]), self.convention)}; "
            f"copying {number(self.copying, 2)}."
        )

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
        """One sentence: what the head adds at the query (the last token), and where it looks there."""
        pos, _ = self.at(self.query, None)
        seen, where = self.attended(k=1)[0], "the last token" if pos == len(self.tokens) - 1 else f"token {pos}"
        return (
            f"{self.name} on {quoted(self.prompt)}: at {where} it looks at {seen['token']!r} ({seen['attention']:.2f}) "
            f"and adds {signed(self.direct[pos])} to the logit of {self.target_tokens[pos]!r}."
        )


@dataclass(frozen=True)
class HeadTold(Record):
    """A reading without where the head looks, for who sees that already."""

    reading: HeadReading

    def panels(self) -> list[Panel]:
        """What it moves, which keys it prefers, what it adds."""
        return [*self.reading.told(), Sentence(self.summary())]

    def summary(self) -> str:
        """One sentence, that of the reading."""
        return self.reading.summary()
