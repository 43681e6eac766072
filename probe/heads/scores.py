"""Every head of a model on one prompt, by numbers: where it looks, what it adds to the prediction, whether its weights copy.

Puts together `probe.heads.patterns` (attention), `probe.lens.direct` (direct share of the logit) and `probe.heads.weights`
(copying score). Nothing here needs torch until a model is read, so pages can name the scores.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from jaxtyping import Float

from probe.artifacts.json import finite
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.model.unit_names import require_position, unit_name
from probe.progress import SILENT, Progress
from probe.show.html import shown
from probe.show.opening import came_from
from probe.show.panels import Chosen, Figure, Panel, Rows, Sentence
from probe.show.record import Record

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from transformer_lens.model_bridge import TransformerBridge

    from probe.heads.patterns import HeadPatterns
    from probe.lens.direct import DirectLogits
    from probe.text.prompts import Prompt  # it names tensors, and the dashboard's pages read the scores without torch
    from probe.text.targets import Target

SCORES: dict[str, tuple[str, str]] = {
    "entropy": ("entropy", "spread of its attention, nats, averaged over queries"),
    "first_token": ("first token", "attention paid to the prompt's first token"),
    "previous_token": ("previous token", "attention paid to the token before"),
    "self": ("itself", "attention paid to the query's own token"),
    "induction": ("induction", "attention paid to what followed earlier copies of the query's token"),
    "direct": ("direct effect", "what it adds to the logit of the next token, at the selected token"),
    "write": ("write", "length of what it adds to the residual stream, at the selected token"),
    "copying": ("copying", "whether its weights raise the token looked at: 1 for any token, −1 never"),
}
"""Names of the scores, each with a short label and its meaning."""
SIGNED = ("direct", "copying")
AT_TOKEN = ("direct", "write")
BY_WEIGHTS = ("copying",)
"""Scores of one token, and of no token at all; all others are means over the queries of the prompt."""


@dataclass(frozen=True)
class HeadTable(Record, figure=True, page=True):
    """scores by name, see `SCORES`; `direct` and `write` are those at position `pos`, where `target` is what the model is
    asked about (its likeliest next token unless one was chosen). The others are means over queries, `copying` is of weights
    alone; the columns say which. metric: the score that orders the rows and colours the figure, unless another is asked for;
    top: how many rows it is shown with, all for None. split: the logits of all positions, where they are known."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    pos: int
    target: str
    scores: dict[str, Float[np.ndarray, "layer head"]]
    convention: dict[str, Any] = field(default_factory=dict)
    metric: str = "direct"
    top: int | None = None
    split: "DirectLogits | None" = None

    def at(self, pos: int) -> "HeadTable":
        """The table at another position; the same, where the logits of others are not known."""
        if self.split is None or pos == self.pos:
            return self
        here = {"direct": self.split.heads[..., pos], "write": self.split.write_norm[..., pos]}
        return replace(self, pos=pos, target=self.split.target_tokens[pos], scores={**self.scores, **here})

    def column(self, metric: str) -> str:
        """The heading of a score's column, which says what it is of: `write at 5`, `entropy, mean`, `copying, by weights`."""
        label = SCORES[metric][0]
        if metric in AT_TOKEN:
            return f"{label} at {self.pos}"
        return f"{label}, {'by weights' if metric in BY_WEIGHTS else 'mean'}"

    def about(self, metric: str) -> str:
        """What a score is, of which token and towards which."""
        label, said = SCORES[check_score(metric)]
        if metric in AT_TOKEN:
            said = said.replace("the selected token", f"token {self.pos} {shown(self.tokens[self.pos])}")
            said = said.replace("the next token", shown(self.target)) if self.target else said
        return f"{label}: {said}"

    if TYPE_CHECKING:

        def figure(self, metric: str | None = None) -> go.Figure: ...

    def rows(self, metric: str | None = None, k: int | None = 20) -> list[dict[str, Any]]:
        """Heads by the size of one score, largest first; all of them with k=None."""
        values = self.scores[check_score(metric or self.metric)]
        size = np.abs(values) if (metric or self.metric) in SIGNED else values
        order = np.argsort(-np.nan_to_num(size, nan=-1.0), axis=None, kind="stable")[:k]
        heads = [np.unravel_index(i, values.shape) for i in order]
        shown = [m for m in dict.fromkeys((*AT_TOKEN, *SCORES)) if m in self.scores]  # the token's own first
        return [
            {"head": unit_name("head", int(i), int(h)), **{self.column(m): float(self.scores[m][i, h]) for m in shown}}
            for i, h in heads
        ]

    def panels(self) -> list[Panel]:
        """All heads by the score, as a grid and as a table, and among the other parts what they add to the logit."""
        if self.split is None:
            return [*self._of_token(self.pos), Sentence(self.summary())]
        return [Chosen({"token": len(self.tokens)}, self._of_token, {"token": self.pos}), Sentence(self.summary())]

    def _of_token(self, token: int) -> list[Panel]:
        here, rows = self.at(token), self.at(token).rows(k=self.top)
        metrics = [self.metric, *(m for m in SCORES if m in self.scores and m != self.metric)]
        layers, heads = self.scores[self.metric].shape
        axes = ("layer", "head") if layers >= heads else ("head", "layer")  # as `grid_figure` lays them out
        table = Rows(f"Heads by {SCORES[self.metric][0]}", rows, [picked(row["head"]) for row in rows], whole=True)
        return [Figure("Heads by layer", here.figure, {"metric": metrics}, axes), table, *self._parts(token)]

    def _parts(self, token: int) -> list[Panel]:
        """What heads and MLPs add to the logit after one token, what is left, and their sum."""
        if self.split is None:
            return []
        whole = {"part": "together: the logit", "adds to the logit": float(self.split.total()[token])}
        rows = [*self.split.rows(token, 10), whole]
        title = f"What adds to the logit of {shown(self.split.target_tokens[token])}, after {shown(self.tokens[token])}"
        return [Rows(title, rows, [picked(row["part"]) for row in rows], sums=3)]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        scores = {m: [[finite(x) for x in row] for row in v] for m, v in self.scores.items()}
        plain = {n: getattr(self, n) for n in ("prompt", "tokens", "pos", "target", "metric", "convention")}
        return {**plain, "scores": scores}

    def summary(self) -> str:
        """One sentence: what the heads were scored for."""
        layers, heads = next(iter(self.scores.values())).shape
        return (
            f"{layers} × {heads} heads; direct effect and write are at token {self.pos} {self.tokens[self.pos]!r}, towards "
            f"{self.target!r}; attention is a mean over queries. By {SCORES[self.metric][0]} most: {self._first()}."
        )

    def _first(self) -> str:
        return ", ".join(row["head"] for row in self.rows(k=3))


def picked(part: str) -> dict[str, str]:
    """What a reader chooses by a head's name, as `5.3`; nothing by that of another part."""
    return {"head": part[1:].replace("H", ".")} if part.startswith("L") else {}


def check_score(metric: str) -> str:
    """The name, if there is such a score; BadInput otherwise."""
    if metric not in SCORES:
        raise BadInput(f"There is no score '{metric}'; heads are told apart by {', '.join(SCORES)}.")
    return metric


def put_together(
    heads: "HeadPatterns",
    direct: "DirectLogits | None" = None,
    copying: Float[np.ndarray, "layer head"] | None = None,
    pos: int = -1,
    metric: str = "direct",
) -> HeadTable:
    """The table from what is known already; scores of what is not are left out."""
    at = pos % len(heads.tokens)
    scores = dict(heads.metrics)
    if direct is not None:
        scores |= {"direct": direct.heads[..., at], "write": direct.write_norm[..., at]}
    if copying is not None:
        scores["copying"] = copying
    target = direct.target_tokens[at] if direct is not None else ""
    convention = direct.convention if direct is not None else {}
    return HeadTable(heads.prompt, heads.token_ids, heads.tokens, at, target, scores, convention, metric, split=direct)


@method("head-table", group="heads")
def head_table(
    model: "TransformerBridge",
    prompt: "Prompt",
    *,
    pos: Annotated[int, Doc("The token whose heads are scored; -1 is the last.")] = -1,
    target: Annotated["Target | None", Doc("Whose logit is split; by default the likeliest next token.")] = None,
    metric: Annotated[
        Literal["direct", "write", "copying", "entropy", "first_token", "previous_token", "self", "induction"],
        Doc("The score that orders the table and colours the grid."),
    ] = "direct",
    top: Annotated[int | None, Doc("So many heads in the table; all of them by default.", least=1)] = None,
    progress: Progress = SILENT,
) -> HeadTable:
    """Where every head looks, what it adds to the prediction, and whether its weights copy.

    target: the token (text or id) or `Difference` whose logit is split, by default the likeliest next token.

    Raises BadInput for a position or token that is not there, and for models whose heads cannot be read apart.

    >>> table = ow.head_table(model, "When Mary and John went to", target=" the")
    >>> len(table.rows("direct", k=3))
    3
    """
    from probe.heads.patterns import head_patterns
    from probe.heads.weights import copying_scores
    from probe.lens.direct import direct_logits

    with progress.stage("heads", total=3, unit="step") as step:
        heads = head_patterns(model, prompt)
        require_position(pos, len(heads.tokens))
        step(1)
        direct = direct_logits(model, prompt, target)
        step(1)
        copying = copying_scores(model).cpu().numpy()
        step(1)
    return came_from(replace(put_together(heads, direct, copying, pos, metric), top=top), model)
