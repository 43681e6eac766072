"""What a page asks of a trace beside its prompt: what is explained, what the nodes are, how many. Texts and numbers only.

A token is its id, or a text. A text that is one of the predictions without its space means that prediction: who writes `Paris`
after "The capital of France is" means the token " Paris".
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from circuits.attribution.config import TraceConfig
from probe.artifacts.json import Json
from probe.errors import BadInput, brief
from probe.methods.kinds import KINDS

if TYPE_CHECKING:
    from probe.text.targets import Difference


MAX_NODES = TraceConfig.max_nodes  # units of a graph
Token = int | str


@dataclass(frozen=True)
class TraceAsked:
    """dictionaries: names of stored ones, none for neurons. basis: `auto`, or `components` for whole MLPs and all heads. heads:
    layers whose heads are nodes, as people write them (`3,5-7`, `all`), or "". target: the token that is explained, None for the
    likeliest ones; minus: explained is by how much the target's logit is above this token's."""

    max_nodes: int = MAX_NODES
    dictionaries: tuple[str, ...] = ()
    basis: str = "auto"
    heads: str = ""
    target: Token | None = None
    minus: Token | None = None

    def to_dict(self) -> Json:
        """Ready for JSON."""
        return {**asdict(self), "dictionaries": list(self.dictionaries)}

    @classmethod
    def of(cls, plain: Json) -> "TraceAsked":
        """What `to_dict` gave; other keys are left out. TypeError where something else is in it."""
        known = {k: plain[k] for k in cls.__dataclass_fields__ if k in plain}
        found = cls(**{**known, "dictionaries": tuple(known.get("dictionaries", ()))})
        texts = (found.basis, found.heads, *found.dictionaries)
        tokens = (found.target, found.minus)
        if not all(isinstance(t, str) for t in texts) or not all(isinstance(t, int | str | None) for t in tokens):
            raise TypeError("a text or a number was wanted")
        return found

    @property
    def words(self) -> str:
        """`components, heads all, 5 minus 7`: what differs from the plain trace, for a name and a title."""
        parts = [f"{self.max_nodes}" if self.max_nodes != MAX_NODES else "", ",".join(self.dictionaries)]
        parts += [self.basis if self.basis != "auto" else "", f"heads {self.heads}" if self.heads else ""]
        parts += [f"target {self.target!r}" if self.target is not None else ""]
        parts += [f"minus {self.minus!r}" if self.minus is not None else ""]
        return ":".join(p for p in parts if p)

    def targets(self) -> "int | str | Difference | None":
        """What `circuits.trace` takes as its target. BadInput for a difference without its first token."""
        if self.minus is None:
            return self.target
        if self.target is None:
            raise BadInput("Choose the token to explain, too: a difference is of two.")
        from probe.text.targets import Difference

        return Difference(self.target, self.minus)

    def head_layers(self) -> bool | list[int]:
        """Layers whose heads are nodes. BadInput for what names no layers."""
        kind = KINDS["HeadLayers"]
        try:
            return kind.given(kind.check(self.heads.strip() or False))
        except ValueError as error:
            asked = brief(self.heads)
            raise BadInput(f"The choice of layers of heads is {asked}; write layers like 3,5-7, or all.") from error

    def config(self) -> "TraceConfig":
        """What `circuits.trace` takes."""
        return TraceConfig(max_nodes=self.max_nodes, basis=self.basis, heads=self.head_layers())


def meant(text: object, predicted: Sequence[tuple[int, str]]) -> Token | None:
    """The token of a choice: an id as the menu gives it (`#123`), or a text; None for nothing. predicted: ids and texts."""
    if not isinstance(text, str) or not text.strip():
        return None
    if text.startswith("#") and text[1:].isdecimal() and len(text) < 11:
        return int(text[1:])
    same = [i for i, word in predicted if text in (word, word.strip())]
    return same[0] if same else text[:80]
