"""Estimates by the model's own gradients: of the clean run, of both, and their mean along paths between them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.estimate import GradientEstimate, TwoRuns
from circuits.edge_attribution.gradients import INPUT, Summed
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.scores import SIGN
from probe.doc import Doc
from probe.model.sites import Site

if TYPE_CHECKING:
    pass

Rule = Literal["left", "midpoint", "right"]
RULES = {"left": 0.0, "midpoint": 0.5, "right": 1.0}
"""Where in each of the n pieces of a path, from the corrupted to the clean run, the gradient is taken."""


@dataclass(frozen=True)
class AtClean(GradientEstimate):
    """The gradient of the clean run: EAP."""

    def says(self) -> tuple[str, dict[str, Any]]:
        return "EAP", {"sign": SIGN, "gradient": "of the clean run"}

    def add(self, runs: TwoRuns, found: Float[Tensor, "batch sender receiver"]) -> None:
        runs.add(found, runs.gradient(runs.clean))


@dataclass(frozen=True)
class AtBothEnds(GradientEstimate):
    """The mean of the gradients of both runs: the trapezoid rule with one piece."""

    def says(self) -> tuple[str, dict[str, Any]]:
        return "clean-corrupted", {"sign": SIGN, "gradient": "mean of those of the clean and of the corrupted run"}

    def passes(self, layout: Layout) -> int:
        return 2

    def add(self, runs: TwoRuns, found: Float[Tensor, "batch sender receiver"]) -> None:
        for tokens in (runs.clean, runs.corrupted):
            runs.add(found, runs.gradient(tokens), 0.5)


@dataclass(frozen=True)
class InputPath(GradientEstimate):
    """The gradient's mean along the path on which the input goes from the corrupted to the clean run's."""

    steps: Annotated[int, Doc(least=1, most=1000)] = 5
    "Points of the path."
    rule: Rule = "midpoint"
    "Where in its piece of the path each point is; published code takes `left`."

    def says(self) -> tuple[str, dict[str, Any]]:
        path = "inputs (resid_pre of layer 0), corrupted to clean"
        return f"EAP-IG ({self.steps} points)", {"sign": SIGN, "path": path, "points": self.steps, "rule": self.rule}

    def passes(self, layout: Layout) -> int:
        return self.steps

    def shortest(self) -> "InputPath":
        return replace(self, steps=min(self.steps, 2))

    def add(self, runs: TwoRuns, found: Float[Tensor, "batch sender receiver"]) -> None:
        site, senders = sublayers(runs.made.layout)[0]
        total = Summed()
        for share in points(self.steps, self.rule):
            total.add(runs.gradient(runs.clean, moved=runs.at(site, senders, share)))
        runs.add(found, total, 1 / self.steps)


@dataclass(frozen=True)
class ActivationPaths(GradientEstimate):
    """The gradient's mean along paths on which one sublayer's output after the other goes from the corrupted to the clean run's,
    all before it clean."""

    steps: Annotated[int, Doc(least=1, most=1000)] = 5
    "Points of each path."
    rule: Rule = "midpoint"
    "Where in its piece of the path each point is; published code takes `right`."
    over: Literal["own", "all"] = "own"
    """Over which paths an edge's gradient is averaged: that of its own sender's sublayer, whose edges then add up to what giving
    its whole output the corrupted run's does; or those of `all` sublayers, as published code does."""

    def says(self) -> tuple[str, dict[str, Any]]:
        whose = "the sender's own sublayer" if self.over == "own" else "all sublayers"
        return f"EAP-IG-activations ({self.steps} points)", {
            "sign": SIGN,
            "path": "each sublayer's output in turn, corrupted to clean",
            "gradient": f"mean along the paths of {whose}",
            "points": self.steps,
            "rule": self.rule,
        }

    def passes(self, layout: Layout) -> int:
        return self.steps * len(sublayers(layout))

    def work(self, layout: Layout) -> float:
        back = 1.0 if self.over == "all" else 2 / 3  # on the mean half of the model is run back
        return 2 / 3 + back * self.passes(layout)

    def shortest(self) -> InputPath:
        return InputPath(steps=2, rule=self.rule)  # the input has a path too, and its run has every receiver

    def add(self, runs: TwoRuns, found: Float[Tensor, "batch sender receiver"]) -> None:
        every, own, total = sublayers(runs.made.layout), self.over == "own", Summed()
        for site, senders in every:
            behind: dict[str, Any] = {"begin": site, "readers": runs.behind(senders)} if own else {}
            for share in points(self.steps, self.rule):
                total.add(runs.gradient(runs.clean, moved=runs.at(site, senders, share), **behind))
            if own:
                runs.add(found, total, 1 / self.steps, senders)
                total = Summed()
        if not own:
            runs.add(found, total, 1 / self.steps / len(every))


def points(steps: int, rule: Rule) -> Iterator[float]:
    """The points of a path, as shares of the clean run."""
    return ((k + RULES[rule]) / steps for k in range(steps))


def sublayers(layout: Layout) -> list[tuple[Site, slice]]:
    """Where each sublayer's output is, and who writes it: the input, and every layer's attention and MLP."""
    found = [(INPUT, slice(0, len(layout.inputs)))]
    for layer in range(layout.n_layers):
        mlp = layout.mlp_of(layer)
        found += [(Site("attn_out", layer), layout.heads_of(layer)), (Site("mlp_write", layer), slice(mlp, mlp + 1))]
    return found
