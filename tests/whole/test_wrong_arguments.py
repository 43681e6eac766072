"""A wrong type in any argument of any public function is answered in a sentence; so is one in a value, when it is made."""

import os
import subprocess
import sys

import pytest
import torch
from paths import PYTHONPATH, ROOT

import probe
from probe.asked_of import asked_of_a_model, looked_at
from probe.errors import BadCall, BadInput
from probe.interventions.change_text import parse_change
from probe.model.unit_names import nearly
from probe.wanted import wanted

TESTS = ROOT / "tests" / "support"


@pytest.mark.slow
def test_every_public_function_answers_none_and_an_object():
    """In a process of its own: here the tests' checks of shapes take the hints away."""
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    command = [sys.executable, str(TESTS / "wrong_arguments.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    *faults, last = done.stdout.splitlines() or [""]
    assert not faults and done.returncode == 0, "\n".join(faults) + done.stderr[-2000:]
    assert int(last.split()[0]) > 400


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: probe.Scale("L1H0", None), "Scale: factor is None; a number was wanted"),
        (lambda: probe.Scale("L1H0", "x"), "Scale: factor is 'x'; a number was wanted"),
        (lambda: probe.Clamp("L1H0", [1]), r"Clamp: level is \[1\]; a number"),
        (lambda: probe.Mean("L1H0", "x"), "Mean: mean is 'x'; a number or a tensor"),
        (lambda: probe.Patch("L1H0", None), "Patch: value is None; a number or a tensor"),
        (lambda: probe.Freeze("z.1", None), "Freeze: value is None"),
        (lambda: probe.Steer("L1N0", scale=None), "Steer: scale is None"),
        (lambda: probe.Zero(None), "A place is a unit by name like 'L5H3'.*None came"),
        (lambda: probe.Zero("l1h0"), "'l1h0' names no place. Did you mean L1H0?"),
        (lambda: probe.Zero("banana"), "There is no site 'banana'"),
        (lambda: probe.Zero("resid_pots.1"), "Did you mean resid_post"),
        (lambda: probe.Knockout(1, None, 0), "Knockout: query is None; a whole number"),
        (lambda: probe.UnitEdit("zero", None), "UnitEdit: unit is None"),
        (lambda: probe.Place("resid_post.1"), "Place: site is 'resid_post.1'; a site like"),
        (lambda: probe.Splice(None), "Splice puts a dictionary in"),
        (lambda: probe.Difference(None, " a"), "Each side of a Difference is a token.*None came"),
        (lambda: probe.Site("nope"), "There is no kind of site 'nope'"),
        (lambda: probe.Scale("L1H0", factr=2.0), "Scale takes no `factr`. Did you mean factor?"),
    ],
)
def test_values_are_looked_at_when_they_are_made(make, said):
    with pytest.raises(BadInput, match=said):
        make()


def test_values_take_what_is_right():
    for at in (
        "L1H0",
        "L1H0@-1",
        "l1H0",
        "L4F650",
        "resid_post.-1",
        "blocks.1.attn.hook_z",
        probe.head(1, 0),
        probe.resid_post(1),
    ):
        assert probe.Zero(at).at == at
    assert probe.Scale("L1H0", torch.tensor(2.0)).factor == 2 and probe.Steer("L1N0", scale=3).direction is None
    assert probe.Patch("z.1", [1.0, 2.0]).value == [1.0, 2.0] and probe.Mean("z.1", torch.ones(3)).mean.shape == (3,)


class Standing:
    sites_in, encode, layout, n_tokens = (), None, None, 3


@pytest.mark.parametrize(
    ("hint", "right", "wrong", "words"),
    [
        ("Cache | None", (None, Standing()), ("x", 3), "a cache of harvest() or open_cache() or None"),
        ("str | UnitName | tuple[int, int]", ("L1N0", (1, 2)), (None, 3), "a unit, by name like L5N120"),
        (list[int] | None, ([1], None, ()), (3, 2.5), "a list, each a whole number, or None"),
        ("Sequence[str | Site]", (["a"], "a", probe.resid_post(1)), (None, 3), "a list, each a text or a site"),
        ("Callable[[int], int] | int", (len, 3), ("x", None), "a function or a whole number"),
        (int | slice | None, (3, slice(2), None), ("x", 2.5), "a whole number or a slice or None"),
    ],
)
def test_what_a_hint_lets_in(hint, right, wrong, words):
    found = wanted(hint)
    assert found is not None and words in found.words
    assert all(map(found.is_met, right)) and not any(map(found.is_met, wrong))


@pytest.mark.parametrize("hint", [torch.Tensor, "Prompt", "Root | Sequence[Root] | None", list[torch.Tensor], object])
def test_what_is_not_understood_is_its_readers(hint):
    assert wanted(hint) is None


def test_a_door_says_what_does_not_fit():
    def door(first: int, *, kind: str = "", second: int = 0, **rest: object):
        return first, kind, second, rest

    public = asked_of_a_model(door)
    assert public(1, kind="a", other=3) == (1, "a", 0, {"other": 3}) == public(first=1, kind="a", other=3)
    for given, named, said in (
        ((), {}, "door: missing a required argument: 'first'. It takes first, kind"),
        ((1, 2), {}, "door: too many positional arguments"),
        ((1,), {"first": 2}, "door: multiple values for argument 'first'"),
    ):
        with pytest.raises(BadCall, match=said):
            public(*given, **named)
    with pytest.raises(BadInput, match="first is 'x'; a whole number was wanted. By name, kind takes a text: door"):
        public("x")


def test_a_methods_door_leaves_self_alone():
    class Made:
        @looked_at
        def __init__(self, n: int = 1):
            self.n = n

    assert Made(3).n == Made(n=3).n == 3 and Made().n == 1
    with pytest.raises(BadInput, match="Made: n is 'x'"):
        Made("x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("l1h0", "Did you mean L1H0?"),
        ("L1.h3@2", "Did you mean L1H3@2?"),
        ("1N7", "Did you mean L1N7?"),
        ("L1", "a head of it is written L1H0"),
        ("layer 2", "a neuron L2N0"),
    ],
)
def test_nearly_a_unit(text, said):
    assert said in nearly(text)


def test_others_are_not():
    assert [nearly(text) for text in ("L1H0", "resid_post.1", "banana", "", "embed", " Paris")] == [""] * 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("banana", "'banana' is no change: 'banana' names no unit and no site. Write ablate:L9H6"),
        ("clamp:L1N7=3", "has its amount behind the place; write clamp=3:L1N7."),
        ("L1N7=3", "write ablate:L1N7."),
        ("add:L1N7@2=3", "write add=3:L1N7@2."),
        ("zero:l1h0", "Did you mean L1H0?"),
        ("L1", "That is a layer: a head of it is written L1H0"),
        ("zeroo:L1H0", "Did you mean zero?"),
        ("zero:resid_pots.1", "Did you mean resid_post.1"),
    ],
)
def test_a_change_written_otherwise(text, said):
    with pytest.raises(BadInput) as told:
        parse_change(text)
    assert said in str(told.value)


MISSING = "this model has layers 0 to 3"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda m: probe.edited_run(m, "a b", ["zero:L9H6"]), f"no head L9H6: {MISSING}, heads 0 to 3"),
        (lambda m: probe.edited_run(m, "a b", [probe.Zero("L9H6")]), f"no head L9H6: {MISSING}, heads 0 to 3"),
        (
            lambda m: probe.edited_run(m, "a b", [probe.Zero(probe.head(1, 6))]),
            f"no head L1H6: {MISSING}, heads 0 to 3",
        ),
        (lambda m: probe.edited_run(m, "a b", ["zero:L9N6"]), f"no neuron L9N6: {MISSING}, neurons 0 to"),
        (lambda m: probe.edited_run(m, "a b", [probe.Zero("L1N99999")]), f"no neuron L1N99999: {MISSING}, neurons"),
        (lambda m: probe.read_head(m, "a b", "L9H6"), f"no head L9H6: {MISSING}, heads 0 to 3"),
        (lambda m: probe.ablate_head(m, "a b", "L9H6"), f"no head L9H6: {MISSING}, heads 0 to 3"),
        (lambda m: probe.on_text(m, "a b", "L9N6"), f"no neuron L9N6: {MISSING}, neurons 0 to"),
        (lambda m: connections()(m, "L9N6"), f"no neuron L9N6: {MISSING}, neurons 0 to"),
        (lambda m: connections()(m, "L3N6", through=[(9, 0)]), f"no head L9H0: {MISSING}, heads 0 to 3"),
        (lambda m: connections()(m, "l3n6"), "Did you mean L3N6?"),
        (lambda m: probe.read_head(m, "a b", "l1h0"), "Did you mean L1H0?"),
        (lambda m: probe.on_text(m, "a b", "l1n0"), "Did you mean L1N0?"),
    ],
)
def test_a_unit_that_is_not_there_is_named(toy, ask, said):
    with pytest.raises(BadInput, match=said):
        ask(toy)


def connections():
    import circuits

    return circuits.connections
