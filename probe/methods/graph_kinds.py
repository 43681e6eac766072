"""The kinds of parameter that speak of graphs: a stored graph by its name, some of its nodes, a way through attention heads, and
what a path leads to.

What only the graph can know (is this a node?) the method asks itself.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from probe.methods.plain_kinds import Choice, Kind, NotPlain, Plain, Text, is_text, scalar
from probe.model.unit_names import as_text, unit_name
from probe.show.opening import origin

_NODE = re.compile(r"""(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^,'"])+""")
"""One name in a list of nodes; a root's and a token's quote what they are of."""


@dataclass(frozen=True)
class GraphKind(Text):
    """A stored graph by its name; Python takes a loaded one or a folder too, which a call can tell of only if it is stored."""

    def plain(self, given: Any) -> Plain:
        if isinstance(given, str) and re.fullmatch(self.pattern, given):
            return given
        if isinstance(given, str | PathLike) and is_at_place(given):
            raise NotPlain
        if not hasattr(given, "nodes"):
            raise ValueError
        if (name := _stored_as(given)) is None:
            raise NotPlain
        return name

    def advice(self, value: Any) -> str:
        at_a_path = isinstance(value, PathLike) or (isinstance(value, str) and "/" in value)
        return "Python and the command line take its folder too, which has a manifest.json." if at_a_path else ""


def is_at_place(given: "str | PathLike[str]") -> bool:
    """Whether this names a file or the folder of an artifact."""
    from probe.artifacts.manifest import is_place

    return bool(given) and is_place(given)


def _stored_as(graph: Any) -> str | None:
    """The name of a graph that was read from where graphs are stored."""
    from probe.artifacts.folder import KINDS, home

    folder = Path(found) if isinstance(found := origin(graph), str) else None
    there = folder is not None and folder.resolve().parent == (home() / KINDS["graph"]).resolve()
    return folder.name if folder is not None and there else None


@dataclass(frozen=True)
class NodesKind(Kind):
    """Nodes of a graph by name or number, `top:20` for the most influential units, `pinned`; Python takes rules too."""

    def check(self, value: Plain) -> Plain:
        nodes = node_list(value) if isinstance(value, str) else value
        if not isinstance(nodes, list) or not nodes or not all(map(_is_node, nodes)):
            raise ValueError
        return [str(one).strip() for one in nodes]

    def plain(self, given: Any) -> Plain:
        if callable(given):
            if not isinstance(rule := getattr(given, "written", None), str):
                raise NotPlain
            return [rule]
        given = as_text(given.tolist() if hasattr(given, "tolist") else given)
        alone = isinstance(given, str | int) or not isinstance(given, Iterable)
        if not alone and not _listed(given, alone):
            raise NotPlain  # what no node means, the method knows
        return self.check(given if isinstance(given, str) else [as_text(scalar(one)) for one in _listed(given, alone)])

    def text(self, plain: Plain) -> str | None:
        written = ",".join(plain)
        return written if node_list(written) == plain else None


def _listed(given: Any, alone: bool) -> list[Any]:
    return [given] if alone else list(given)


def _is_node(value: Any) -> bool:
    named = is_text(value) and bool(value.strip())
    return named or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def node_list(text: str) -> list[str]:
    """`L5N120@3,L6N4` as names. A comma between quotes is a token's; where quotes do not end, the text is one name."""
    parts = _NODE.findall(text)
    return [part.strip() for part in ([text] if _NODE.sub("", text).strip(",") else parts) if part.strip()]


@dataclass(frozen=True)
class ThroughKind(Text):
    """`direct`, `heads`, `all`, or a path of heads like `L2H3,L4H0`; Python takes the heads as (layer, head) too."""

    def plain(self, given: Any) -> Plain:
        if isinstance(given, str) or not isinstance(given, Iterable):
            return self.check(given)
        heads = [
            tuple(map(scalar, one)) if isinstance(one, Iterable) and not isinstance(one, str) else one for one in given
        ]
        if any(not isinstance(one, tuple) or len(one) != 2 for one in heads):
            raise NotPlain
        return self.check(",".join(unit_name("head", *one) for one in heads))


@dataclass(frozen=True)
class ModeKind(Choice):
    """What is done to nodes, by the one word that is kept for it."""

    def check(self, value: Plain) -> Plain:
        return super().check({"zero": "ablate", "restore": "patch"}.get(value, value))


MODES = ("ablate", "scale", "clamp", "patch")


@dataclass(frozen=True)
class BasisKind(Choice):
    """What stands for the MLPs of a graph; Python takes a word for each layer too, which a call cannot tell of."""

    def plain(self, given: Any) -> Plain:
        if isinstance(given, list | tuple):
            raise NotPlain
        return self.check(given)


BASES = ("auto", "neurons", "latents", "mixed", "components")


@dataclass(frozen=True)
class HeadLayersKind(Kind):
    """Layers whose heads are nodes: none (False), all (True), or some as they are written: `3,5-7`."""

    def check(self, value: Plain) -> Plain:
        if isinstance(value, bool) or value in ("none", "all"):
            return value in (True, "all")
        if not isinstance(value, str) or not re.fullmatch(_LAYERS, written := "".join(value.split())):
            raise ValueError
        return written

    def plain(self, given: Any) -> Plain:
        given = given.tolist() if hasattr(given, "tolist") else given
        if isinstance(given, str | bool) or not isinstance(given, Iterable):
            return self.check(given)
        return self.check(",".join(str(scalar(one)) for one in given))

    def given(self, plain: Plain, model: Any = None) -> Any:
        return plain if isinstance(plain, bool) else layer_list(plain)

    def text(self, plain: Plain) -> str | None:
        return {False: "none", True: "all"}.get(plain, plain)

    def python(self, plain: Plain) -> str:
        return repr(self.given(plain))


_LAYERS = r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*"


def layer_list(written: str) -> list[int]:
    """`3,5-7` as 3, 5, 6, 7."""
    ends = [[int(end) for end in part.split("-")] for part in written.split(",")]
    return sorted({layer for pair in ends for layer in range(pair[0], pair[-1] + 1)})


class TaskKind(Text):
    """A task by its name, or a file of its examples; Python takes pairs that are made already, which no file holds."""

    def plain(self, given: Any) -> Plain:
        if not isinstance(given, str) and hasattr(given, "examples"):
            raise NotPlain
        return self.check(fspath(given) if isinstance(given, PathLike) else given)
