"""Declarations: what is read of them, what a call lets in, how it is written again, what a record remembers."""

import inspect

import numpy as np
import pytest
import sample_method
import torch

import probe
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.methods import call_of, chosen_layers
from probe.methods import catalogue as catalogue_
from probe.methods.call import Call
from probe.methods.catalogue import method_named, methods, tools
from probe.methods.read_declarations import HANDED, REQUIRED, declared_in, said_of
from probe.model.fingerprint import stamp
from probe.model.toy import native
from probe.show.opening import came_from
from probe.text.targets import Difference

PROMPT = "The capital of France is"


@pytest.fixture
def counted(monkeypatch):
    """The sample method, as if it were public."""
    (found,) = declared_in("sample_method")
    known = (*methods(), found)
    monkeypatch.setattr(catalogue_, "methods", lambda: known)
    return found


def test_a_declaration_is_read_without_importing(counted):
    assert (counted.name, counted.group, counted.function) == ("count-tokens", "sample", "count_tokens")
    assert counted.summary == "The number of a prompt's tokens." and counted.about.endswith("The rest says more.")
    assert (
        counted.of_model and counted.handed == ("model", "progress") and counted.parameter("prompt").default is REQUIRED
    )
    assert counted.parameter("times").default == 2 and counted.parameter("times").doc == "How often it is counted."
    assert counted.parameter("by").kind.options == ("one", "two") and counted.parameter("names").several


def plain(default):
    """A tuple of defaults is a list in JSON."""
    return list(default) if isinstance(default, tuple) else default


@pytest.mark.parametrize("about", [*methods(), *tools(), *declared_in("sample_method")], ids=lambda one: one.name)
def test_what_is_read_is_what_python_sees(about):
    """Names, order and defaults of every method, against `inspect`; each parameter has its sentence."""
    import importlib

    signature = inspect.signature(getattr(importlib.import_module(about.module), about.function))
    handed = (*HANDED, *about.in_python, *(p.settings for p in about.parameters))
    seen = {n: p for n, p in signature.parameters.items() if n not in handed}
    assert list(seen) == [p.name for p in about.parameters]
    for p in about.parameters:
        default = seen[p.name].default
        assert p.default is REQUIRED if default is inspect.Parameter.empty else plain(p.default) == plain(default)
        assert p.by_name == (seen[p.name].kind is inspect.Parameter.KEYWORD_ONLY)
        assert p.doc or p.name in ("prompt", "prompts", "unit")


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("times", 10, "times is 10; a whole number from 1 to 9 was wanted"),
        ("times", 1.5, "times is 1.5; a whole number"),
        ("times", True, "times is True"),
        ("share", float("nan"), "share is nan; a number from 0 to 1"),
        ("share", "much", "share is 'much'"),
        ("ratio", 10**400, "a number of 1329 bits; a number was wanted. Numbers are finite, and at most 9e+18."),
        ("ratio", float("inf"), "ratio is inf; a number was wanted. Numbers are finite"),
        ("names", ["a", "\ud800"], "a list, each a text, was wanted. It holds half of a character that takes two."),
        ("target", "\udfff", "It holds half of a character that takes two."),
        ("by", "three", 'by is \'three\'; one of "one", "two" was wanted'),
        ("again", "yes", "again is 'yes'; True or False"),
        ("layers", "x", "layers is 'x'; layers (3, "),
        ("layers", [1.5], "layers is"),
        ("target", {"token": "a"}, "target is"),
        ("target", "", "target is ''"),
        ("names", [3], "names is"),
        ("prompt", "", "prompt is ''; a prompt (text, token ids or chat messages) was wanted. It is empty"),
        ("prompt", [-1], "There is no token -1."),
        ("prompt", [5, "a"], "Among the token ids is 'a'; whole numbers were wanted."),
        ("prompt", ["a", "b"], "2 prompts were given"),
        ("prompt", {"role": "user"}, "prompt is"),
    ],
)
def test_a_wrong_value_is_one_sentence_from_every_door(counted, toy, argument, value, words):
    arguments = {"prompt": PROMPT, argument: value}
    with pytest.raises(BadInput) as by_file:
        Call.checked("count-tokens", "toy", arguments)
    with pytest.raises(BadInput) as by_python:
        sample_method.count_tokens(toy, **arguments)
    assert words in str(by_file.value) and str(by_file.value) == str(by_python.value)


def test_what_is_not_known_is_said(counted):
    with pytest.raises(BadInput, match="Did you mean count-tokens"):
        method_named("count-token")
    with pytest.raises(BadInput, match="takes no 'depth'"):
        Call.checked("count-tokens", "toy", {"prompt": PROMPT, "depth": 3})
    with pytest.raises(BadInput, match="needs prompt"):
        Call.checked("count-tokens", "toy", {})


@pytest.mark.parametrize(
    "prompt", [PROMPT, [5, 6, 7], torch.tensor([5, 6, 7]), torch.tensor([[5, 6, 7]]), np.array([5, 6, 7]), (5, 6, 7)]
)
def test_a_record_remembers_its_call_and_the_call_makes_it_again(counted, toy, prompt):
    record = sample_method.count_tokens(toy, prompt, layers=range(2), target=Difference(" a", 3), times=2, share=1)
    call = call_of(record)
    assert call.arguments["layers"] == "0,1" and call.arguments["target"] == {"token": " a", "other": 3}
    assert "times" not in call.arguments and call.arguments["share"] == 1.0
    again = Call.checked(**call.to_dict())
    assert again == call and again.run(toy).to_dict() == record.to_dict()
    assert call_of(again.run(toy)) == call


def test_a_stored_record_still_says_how_it_was_made(counted, toy, tmp_path):
    record = sample_method.count_tokens(toy, PROMPT, layers=1)
    record.save(tmp_path / "r")
    found = sample_method.Counted.load(tmp_path / "r")
    assert found == record and call_of(found) == call_of(record) and call_of(found)
    assert "sample count-tokens" in (tmp_path / "r" / "manifest.json").read_text()


def test_a_line_for_the_shell_is_written_when_it_is_wanted(counted, toy, tmp_path, monkeypatch):
    written, shell = [], Call.shell
    monkeypatch.setattr(Call, "shell", lambda call: written.append(call) or shell(call))
    record = sample_method.count_tokens(toy, PROMPT)
    assert repr(record) and not written
    record.save(tmp_path / "r")
    assert len(written) == 1


def test_a_stored_record_bears_the_stamp_of_its_model(tmp_path):
    model = native(0, None, n_layers=2, d_vocab=20)
    record = probe.logit_lens(model, [3, 4, 5], top_k=1)
    assert read_manifest(record.save(tmp_path / "own")).model == stamp(model)
    with torch.no_grad():
        model.W_E[0] += 1  # what it came from is no more
    assert read_manifest(record.save(tmp_path / "edited")).model is None
    lost = came_from(sample_method.Counted(prompt="", count=1, layers=[]), "runs/graphs/x")
    assert read_manifest(lost.save(tmp_path / "of a folder")).model is None


def test_what_everyone_reads_of_a_docstring_says_nothing_of_exceptions():
    text = "Reads `a.b` of it. Raises BadInput for x.y, and\nwhere z.  More.\n\nRaises Unavailable.\n\n>>> 1\n1"
    assert said_of(text) == "Reads `a.b` of it.  More."
    assert not [m.name for m in methods() if "Raises" in m.about or ">>>" in m.about or not m.about]


def test_a_call_is_written_for_python_and_the_shell(counted):
    call = Call.checked("count-tokens", "toy", {"prompt": "it's", "layers": "-1", "again": True, "target": 4})
    assert (
        call.shell()
        == "openwork sample count-tokens --prompt 'it'\"'\"'s' --target id:4 --layers=-1 --again --model toy"
    )
    assert call.python().splitlines()[-2:] == [
        "record = ow.count_tokens(model, \"it's\", target=4, layers='-1', again=True)",
        "record",
    ]
    ids = Call.checked("count-tokens", "toy", {"prompt": [1, 2], "names": ["a", "b"]})
    assert ids.shell() == "openwork sample count-tokens --ids 1,2 --names a --names b --model toy"
    chat = Call.checked("count-tokens", "toy", {"prompt": [{"role": "user", "content": "hi"}]})
    assert chat.shell().endswith("--prompt hi --chat --model toy") and "'role': 'user'" in chat.python()
    talk = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    assert Call.checked("count-tokens", "toy", {"prompt": talk}).shell() is None
    two = Call.checked("count-tokens", "toy", {"prompt": "x", "target": {"token": "-a", "other": 3}})
    assert "--target=-a --minus id:3" in two.shell()


def test_layers_are_chosen_by_number_range_and_from_the_end():
    assert chosen_layers(4, None) == chosen_layers(4, "all") == [0, 1, 2, 3]
    assert (
        chosen_layers(4, -1) == [3] and chosen_layers(4, "0, 2-3") == [0, 2, 3] and chosen_layers(4, (3, 1)) == [1, 3]
    )
    for wrong in (4, -5, "3-1", "2-9", [], 1.5, "x", True):
        with pytest.raises(BadInput, match="layer"):
            chosen_layers(4, wrong)
