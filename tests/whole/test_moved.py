"""A module of before the rooms says where it went."""

import importlib
import importlib.util
import re
import subprocess
import sys

import pytest
from paths import ROOT

import circuits
import probe
from probe.moved import moved


@pytest.mark.parametrize("old", sorted(moved()))
def test_an_old_name_says_the_new_one_and_that_one_is_there(old):
    new = moved()[old]
    folder = old.rpartition(".")[0]
    with pytest.raises(ImportError, match=new[0].rpartition(".")[0] if folder in moved() else new[0]):
        importlib.import_module(old)
    assert all(importlib.util.find_spec(name) for name in new)


def test_from_a_package_too():
    with pytest.raises(ImportError, match=r"probe\.model\.load.*from probe import"):
        exec("from probe import models")


def test_a_name_of_a_module_that_is_a_room_now():
    with pytest.raises(ImportError, match=r"no app\.library\.offer any more: look in app\.library\.models\.$"):
        exec("from app.library import offer")
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from app.library import nonsense")


def test_rooms_with_the_name_of_a_module_hand_its_names_on():
    from circuits.graph import KINDS, CircuitGraph
    from probe.heads import head_patterns
    from probe.interventions import Zero
    from probe.lens import logit_lens
    from probe.neurons import top_units
    from probe.text import corpus

    assert (Zero, logit_lens, head_patterns) == (probe.Zero, probe.logit_lens, probe.head_patterns)
    assert CircuitGraph is circuits.CircuitGraph
    assert KINDS
    assert callable(corpus)
    assert callable(top_units)


@pytest.mark.parametrize(
    "asked", [["-c", "import app.main"], ["-c", "from app.analyses import lens"], ["-m", "app.main"]]
)
def test_the_first_import_of_all_is_answered_too(asked):
    done = subprocess.run([sys.executable, *asked], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.search(r"no app\.\w+ any more.*in app\.(server\.main|library)", done.stderr)


def test_a_name_that_never_was_stays_unknown():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("probe.nonsense")
