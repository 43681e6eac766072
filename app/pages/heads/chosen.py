"""What the selection of the heads page means: a head, a query and a key, the token explained; and what is known of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.jobs import work
from app.library import memory, prompts
from app.library.prompts import Prompt
from app.pages.heads.work import reading_work, scores_work
from app.selection import Selection, chosen_head, position
from probe.heads.scores import SCORES, HeadTable, put_together
from probe.model.unit_names import unit_name

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns
    from probe.heads.reading import HeadReading

FIRST = "previous_token"


@dataclass(frozen=True)
class Chosen:
    """model, prompt: of the page. heads: all patterns. target: the next token that was chosen to be explained, if one was."""

    model: str
    prompt: Prompt
    heads: "HeadPatterns"
    layer: int
    head: int
    query: int
    key: int
    target: int | None

    @property
    def name(self) -> str:
        return unit_name("head", self.layer, self.head)

    @property
    def scores(self) -> dict[str, Any]:
        """Direct effects and copying scores, if they are in memory."""
        return work.result(scores_work(self.model, self.prompt, self.target).key) or {}

    @property
    def reading_work(self) -> work.Work:
        return reading_work(self.model, self.prompt, self.layer, self.head, self.target)

    @property
    def reading(self) -> "HeadReading | None":
        """The head, if it was read."""
        return work.result(self.reading_work.key)

    def table(self, metric: str) -> HeadTable:
        """All scores that are known so far, at the query."""
        known = self.scores
        return put_together(self.heads, known.get("direct"), known.get("copying"), self.query, metric)


def chosen(args: dict[str, str] | None, selection: Selection | None) -> Chosen | None:
    """What is selected, put right where it is out of range; None while the patterns are being read."""
    if not args or (heads := memory.known("heads", args["model"], (prompt := prompts.load(args["id"])).text)) is None:
        return None
    (layer, head), query = chosen_head(selection, heads), position(selection, heads)
    key = (selection or {}).get("source")
    if not (isinstance(key, int) and 0 <= key <= query):  # else the one the query looks at most
        key = int(heads.patterns[layer, head, query, : query + 1].argmax())
    return Chosen(args["model"], prompt, heads, layer, head, query, key, chosen_target(selection))


def complete(selection: Selection | None, heads: "HeadPatterns") -> Selection:
    """A selection with token and head in range."""
    head = "{}.{}".format(*chosen_head(selection, heads))
    return {**(selection or {}), "token": position(selection, heads), "head": head}


def chosen_metric(text: str | None) -> str:
    """The metric of an address."""
    return text if text in SCORES else FIRST


def chosen_target(selection: Selection | None) -> int | None:
    target = (selection or {}).get("target")
    return target if isinstance(target, int) and target >= 0 else None
