"""A wrong type is answered like a wrong value: in public functions and in configs, in a sentence that names it."""

import inspect
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch

from circuits.attribution.config import TraceConfig
from probe.asked_of import asked_of_a_model
from probe.errors import BadInput
from probe.evaluation.suite.run import SuiteConfig
from probe.features.measuring.config import FeatureConfig
from probe.plain_values import Settings, takes_fields
from probe.training.recipes import Recipe
from probe.training.step import TrainConfig

WRONG = ("3", None, [1], {"a": 1}, True, float("nan"), 10**40, object(), 2.5)
SHAPE = Literal["round", "square"]


def door(
    count: int, share: float = 0.5, name: str = "x", shape: SHAPE = "round", most: int | None = None, rest: list = ()
):
    """A public function."""
    return count, share, name, shape, most, rest


@pytest.mark.parametrize("value", WRONG)
def test_functions_answer_wrong_types(value):
    with pytest.raises(BadInput, match="door: count is .*a whole number was wanted") as told:
        asked_of_a_model(door)(value)
    assert len(str(told.value)) < 300


def test_functions_take_what_is_right():
    public = asked_of_a_model(door)
    for count in (3, np.int64(3), torch.tensor(3)):
        assert public(count, share=1, name="y", shape="square", most=None, rest={})[0] == 3
    assert public(3, float("inf"), most=4)[1] == float("inf")
    for wrong in ({"share": "a"}, {"name": 3}, {"shape": "flat"}, {"most": "3"}, {"share": float("nan")}):
        with pytest.raises(BadInput, match="was wanted"):
            public(3, **wrong)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (TrainConfig, "batch"),
        (FeatureConfig, "top"),
        (SuiteConfig, "words"),
        (TraceConfig, "max_nodes"),
        (Recipe, "seed"),
    ],
)
def test_configs_answer_wrong_types(config, field):
    for value in WRONG:
        with pytest.raises(BadInput, match=rf"{config.__name__}: {field} is .*wanted"):
            config(**{field: value})


@pytest.mark.slow
def test_the_packages_functions_do():
    """In a process of their own: here the tests' own checks of shapes stand before them."""
    code = """
import probe
for f, given in ((probe.load_model, (3,)), (probe.place, ("cache", None)), (probe.parse_site, (3.5,))):
    try:
        f(*given)
    except probe.BadInput as error:
        print("said")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and done.stdout, done.stderr


@dataclass(frozen=True)
class Size(Settings):
    wide: int = 2
    high: int = 3


@takes_fields("size", Size)
def area(model, *, size: Size = Size(), unit: str = "m"):
    """Of a rectangle."""
    return size.wide * size.high, unit


def test_fields_of_settings_are_keywords_too():
    assert area(None) == (6, "m") and area(None, wide=5, unit="cm") == (15, "cm")
    assert (
        area(None, size=Size(4, 4)) == (16, "m") == area(None, size=Size(4, 9), high=4)
        and area(None, size=None)[0] == 6
    )
    assert list(inspect.signature(area).parameters) == ["model", "wide", "high", "size", "unit"]
    assert inspect.signature(area).parameters["wide"].default == 2 and area.__doc__ == "Of a rectangle."
    with pytest.raises(BadInput, match="area: wide is 'x'; a whole number was wanted"):
        asked_of_a_model(_unasked)(wide="x")
    with pytest.raises(TypeError, match="takes no `hihg`. Did you mean high"):
        asked_of_a_model(_unasked)(hihg=1)


@takes_fields("size", Size)
def _unasked(*, size: Size = Size()):
    return size


_unasked.__name__ = "area"
