"""The doctor sees libraries outside the range that was tested, and text generated wrongly, whatever the versions say."""

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from transformers import DynamicCache

import probe.model.key_value_cache
from app.cli import main
from probe.doctor import libraries
from probe.doctor.examine import examine

ROOT = Path(__file__).resolve().parents[2]


def told(capsys) -> tuple[int, dict]:
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--json"])
    return int(stopped.value.code or 0), json.loads(capsys.readouterr().out)


def test_all_is_well_here(home, capsys):
    code, found = told(capsys)
    assert (code, found["generation"], found["broken"]) == (0, "ok", False), found
    names = {c["name"] for c in found["checks"]}
    assert {"torch", "transformers", "transformer-lens", "dash", "plotly", "generation"} <= names


def test_a_cache_that_forgets_is_broken(home, capsys, monkeypatch):
    def forget(model):
        for module in model.modules():
            if module.__class__.__name__.endswith("AttentionBridge"):
                module.register_forward_pre_hook(
                    lambda m, args, kwargs: (
                        args,
                        {k: v for k, v in kwargs.items() if not isinstance(v, DynamicCache)},
                    ),
                    with_kwargs=True,
                )

    monkeypatch.setattr(probe.model.key_value_cache, "hand_over", forget)
    code, found = told(capsys)
    assert code == 1 and found["generation"].startswith("After 5 tokens")
    assert next(c for c in found["checks"] if c["name"] == "generation")["state"] == "broken"


def test_wrong_numbers_of_a_full_cache_are_broken(home, monkeypatch):
    monkeypatch.setattr(libraries, "largest_gap", lambda model, prompt: 2.5)
    assert (
        examine().generation == "over 10 tokens, log-probabilities with keys and values kept are off by up to 2.5 nats"
    )


def test_a_library_outside_its_range_is_named(home, monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(libraries, "version", lambda name: "99.0" if name == "plotly" else real(name))
    found = {name: (text, good) for name, text, good in libraries.ranges()}
    assert found["plotly"][0].startswith("99.0; tested with") and found["plotly"][1] is False
    assert all(good for name, (_, good) in found.items() if name != "plotly"), found
    assert any(c.name == "plotly" and c.state == "broken" for c in examine().checks)


def test_the_lock_is_within_the_ranges_and_of_what_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "requirements.lock").read_text()
    locked = re.findall(r"^([\w.-]+)==([^ ;\\]+)", text, re.MULTILINE)  # a name stands twice where Pythons differ
    for wanted in map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["dev"]]):
        versions = [v for name, v in locked if name == wanted.name]
        assert wanted.name == "torch" or versions, f"{wanted}: run `make lock`"
        assert all(wanted.specifier.contains(v) for v in versions), f"{wanted}: run `make lock`"
    assert "nvidia" not in text and "torch==" not in text.replace("-torch==", "")
    bare = [line for line in text.splitlines() if re.match(r"[\w.-]+==", line) and not line.endswith("\\")]
    assert not bare, "a line without a hash"
    assert "http://" not in text and "https://" not in text
