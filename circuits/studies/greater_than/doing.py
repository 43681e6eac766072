"""How well a model does greater-than, and how sharply its answer changes at the start year."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from circuits.studies.component_circuits.halves import measured_on
from circuits.studies.greater_than.components_found import Components
from circuits.studies.greater_than.years import Table as ByValue
from circuits.studies.greater_than.years import order
from circuits.studies.study import Bench, Found, Line, Lines, Table

Number = Callable[[ByValue, Int[np.ndarray, " pair"]], Float[np.ndarray, " pair"]]


def gap(chances: ByValue, start: Int[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    """Probability of the later values minus that of the earlier ones."""
    return (chances * order(start, chances.shape[1])).sum(1)


def sharpness(chances: ByValue, start: Int[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    """The value after the start against the one before it: the difference of their probabilities over the sum."""
    rows = np.arange(len(start))
    after, before = chances[rows, start + 1], chances[rows, start - 1]
    return (after - before) / np.maximum(after + before, 1e-30)


def doing(bench: Bench) -> Found:
    """Later years rather than earlier ones, with a sharp boundary."""
    found, scale = Components.of(bench), bench.scale
    years = found.tested.years
    draw = np.random.default_rng(scale.seed)
    orders = [draw.permutation(len(years.pairs)) for _ in range(scale.sets)]

    def claim(number: Number):  # type: ignore[no-untyped-def]
        draws = np.array([number(years.chances, years.start[some]).mean() for some in orders])
        return measured_on(years.pairs, number(years.chances, years.start), draws, scale.seed)

    row = {
        "pairs": len(years.pairs),
        "later minus earlier": float(gap(years.chances, years.start).mean()),
        "of all that are years": float(years.chances.sum(1).mean()),
    }
    return Found(
        measured={"done": claim(gap), "sharp": claim(sharpness)},
        tables=[Table("How well the model does greater-than", [row])],
        pictures=[
            by_distance("Probability of a year, by how much later than the start it is", years.chances, years.start)
        ],
    )


def by_distance(title: str, table: ByValue, start: Int[np.ndarray, " pair"], name: str = "years") -> Lines:
    """A table's mean by how much later than the start a value is, with its error over prompts."""
    return Lines(title, "value minus start", "mean over prompts", [distance_line(name, table, start)])


def distance_line(name: str, table: ByValue, start: Int[np.ndarray, " pair"]) -> Line:
    """One line of such a picture."""
    far = np.arange(table.shape[1])[None] - start[:, None]
    x = [d for d in range(int(far.min()), int(far.max()) + 1) if (far == d).sum() > 1]
    some = [table[far == d] for d in x]
    return Line(
        name,
        [float(d) for d in x],
        [float(v.mean()) for v in some],
        [float(v.std(ddof=1) / len(v) ** 0.5) for v in some],
    )
