"""Paths as a record: each a chain of stops with its share and factorised edges; together a tree whose branches sum exactly."""

from dataclasses import asdict, dataclass, field, replace
from math import prod
from typing import Any

from circuits.weights.children import PathNode
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted


@dataclass(frozen=True)
class Factor:
    """weights: the input-invariant factor of one reader (`enc`, `in`, `gate`, `logit`); gate: 1 but for neurons, whose frozen
    ratio it is."""

    reader: str
    weights: float
    gate: float


@dataclass(frozen=True, kw_only=True)
class PathEdge(Record):
    """What a source adds to a target's value through the heads (and skips) between, the one nearest to the target first.

    weight: the edge. It is sum of (weights x gate) over `factors`, times `activation`, times `attention`, over `divisor`.
    factors is empty where the edge is not of that form (see `paths_factors`).
    """

    source: PathNode
    target: PathNode
    between: tuple[PathNode, ...]
    weight: float
    factors: tuple[Factor, ...]
    activation: float | None
    attention: tuple[float, ...]
    divisor: float | None

    @property
    def invariant(self) -> float | None:
        """The input-invariant factor; None without factors, and for gated neurons, which have two."""
        return self.factors[0].weights if len(self.factors) == 1 else None

    @property
    def product(self) -> float | None:
        """All factors multiplied: the edge again."""
        if not self.factors or self.activation is None or self.divisor is None:
            return None
        return sum(f.weights * f.gate for f in self.factors) * self.activation * prod(self.attention) / self.divisor

    def to_dict(self, tokens: list[str]) -> dict[str, Any]:
        """Ready for JSON."""
        names = {"source": self.source.name(tokens), "target": self.target.name(tokens)}
        rest = {n: getattr(self, n) for n in ("weight", "activation", "divisor", "product")}
        between = [n.name(tokens) for n in self.between]
        return {
            **names,
            "between": between,
            **rest,
            "attention": list(self.attention),
            "factors": list(map(asdict, self.factors)),
        }


@dataclass(frozen=True)
class Path(Record):
    """nodes: from the target to the end. value: its share of the target; shares: of every beginning of it. complete: whether it
    ends at a leaf (embedding, bias, error) rather than at a unit or head that reads more."""

    nodes: tuple[PathNode, ...]
    value: float
    shares: tuple[float, ...]
    edges: tuple[PathEdge, ...]
    complete: bool

    def __len__(self) -> int:
        return len(self.nodes) - 1

    def name(self, tokens: list[str]) -> str:
        """`logit@4 ' Paris' ← L20N5@4 ← L15H3@4←2 ← embed@2 ' France'`."""
        return " ← ".join(n.name(tokens) for n in self.nodes)


_STEP = "· "  # a page would drop spaces before a name


@dataclass(frozen=True)
class Branch(Record):
    """A stop of the tree. value = constant + rest + the children's values where it was followed; rest: the children that were not
    kept, summed."""

    node: PathNode
    value: float
    children: tuple["Branch", ...]
    constant: float
    rest: float
    followed: bool

    def to_dict(self, tokens: list[str]) -> dict[str, Any]:
        """Ready for JSON."""
        plain = {"node": self.node.name(tokens), "kind": self.node.kind, "value": self.value, "followed": self.followed}
        if not self.followed:
            return plain
        below = [c.to_dict(tokens) for c in self.children]
        return {**plain, "constant": self.constant, "rest": self.rest, "children": below}

    def lines(self, tokens: list[str], depth: int = 0) -> list[dict[str, Any]]:
        """The tree as indented rows."""
        rows = [{"path": _STEP * depth + self.node.name(tokens), "share": self.value}]
        for child in self.children:
            rows += child.lines(tokens, depth + 1)
        if self.followed:
            ends = {"constant": self.constant, "rest": self.rest}
            rows += [{"path": _STEP * (depth + 1) + name, "share": v} for name, v in ends.items() if v]
        return rows


CONVENTION = {
    "value": "share of the target: demeaned logit before any soft-cap, activation of a neuron, pre-activation of a latent",
    "frozen": "attention patterns, norm divisors, activation ratios; gated neurons: half of the product to each factor",
    "search": "greedy: the largest children of the kept paths, by size",
    "residual": "largest |stop - constant - all its children| over the size of that sum, over all stops that were expanded",
}


@dataclass(frozen=True, kw_only=True)
class TopPaths(Record, figure=True):
    """The strongest paths of every length into one target. residual: see `CONVENTION`; near the model's rounding."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    model: str
    value: float
    constant: float
    paths: list[Path]
    tree: Branch
    residual: float
    dictionaries: dict[str, str] = field(default_factory=dict)
    convention: dict[str, str] = field(default_factory=lambda: dict(CONVENTION))
    told: int = 1

    @property
    def target(self) -> str:
        """The name of what is explained."""
        return self.tree.node.name(self.tokens)

    def of_length(self, length: int) -> list[Path]:
        """Paths of so many steps, strongest first."""
        return [p for p in self.paths if len(p) == length]

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """One row per path, by length, then size."""
        return [{"steps": len(p), "share": p.value, "path": p.name(self.tokens)} for p in self.paths[:k]]

    def edge_rows(self, path: Path) -> list[dict[str, Any]]:
        """The edges of one path with their two factors."""
        rows = []
        for e in path.edges:
            through = " ".join(n.name(self.tokens) for n in e.between)
            said = ", ".join(f"{f.reader} {f.weights:.4g} × {f.gate:.4g}" for f in e.factors)
            ends = {"source": e.source.name(self.tokens), "through": through, "target": e.target.name(self.tokens)}
            dependent = {"activation": e.activation, "attention": prod(e.attention), "1 / divisor": _inverse(e.divisor)}
            rows.append({**ends, "weights × gate": said, **dependent, "edge": e.weight})
        return rows

    def panels(self) -> list[Panel]:
        """The tree as a figure and as lines, and the edges of the strongest of the longest paths (`told` of them)."""
        longest = sorted(self.paths, key=lambda p: (-len(p), -abs(p.value)))[: self.told]
        return [
            Figure("Strongest paths", self.figure),
            Rows("Paths from the target back", self.tree.lines(self.tokens)),
            *[Rows(f"Edges of {path.name(self.tokens)}", self.edge_rows(path)) for path in longest],
            Sentence(self.summary()),
        ]

    def masked(self, labels: list[str]) -> "TopPaths":
        """The same paths without the text: tokens become `labels`, ids and the target's token go."""
        return replace(
            self,
            prompt="",
            token_ids=[],
            tokens=labels,
            tree=_masked_branch(self.tree),
            paths=[_masked_path(p) for p in self.paths],
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        plain = {n: getattr(self, n) for n in ("prompt", "token_ids", "tokens", "model", "target", "value", "constant")}
        paths = [
            {
                "path": p.name(self.tokens),
                "steps": len(p),
                "share": p.value,
                "shares": list(p.shares),
                "complete": p.complete,
                "edges": [e.to_dict(self.tokens) for e in p.edges],
            }
            for p in self.paths
        ]
        about = {"residual": self.residual, "dictionaries": self.dictionaries, "convention": self.convention}
        return {**plain, "paths": paths, "tree": self.tree.to_dict(self.tokens), **about}

    def summary(self) -> str:
        """One sentence: the target, how many paths, how exactly they add up."""
        return (
            f"{counted(len(self.paths), 'path')} into {self.target} ({self.value:.4g}) in {quoted(self.prompt)}, "
            f"residual {self.residual:.1e}."
        )


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value


def _masked_node(node: PathNode) -> PathNode:
    """A node that says neither which token it stands for nor, of a logit, its text."""
    hidden = node.kind in ("token", "logit")
    return replace(node, unit=-1, part="") if hidden else node


def _masked_branch(branch: Branch) -> Branch:
    below = tuple(_masked_branch(c) for c in branch.children)
    return replace(branch, node=_masked_node(branch.node), children=below)


def _masked_path(path: Path) -> Path:
    edges = tuple(replace(e, source=_masked_node(e.source), target=_masked_node(e.target)) for e in path.edges)
    return replace(path, nodes=tuple(map(_masked_node, path.nodes)), edges=edges)
