"""What every test gets: no network, one torch thread, a scratch home, shape checks on all of probe and circuits.

Each process of pytest-xdist is such a surrounding of its own: home, ports, loaded models and environment are the process's.
"""

import os
import tempfile
import time

BEGUN = time.monotonic()
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start: there are as many of ours as there are cores
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OPENWORK_HOME"] = tempfile.mkdtemp(prefix="openwork-tests-")

from jaxtyping import install_import_hook  # nothing of ours may be imported before the hook is in place

install_import_hook(["probe", "circuits"], "shapes.checked")

import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # tiny models run faster on one, whatever else the machine does

QUICK = "not slow and not browser and not model"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help=f"leave out what is {QUICK.replace('not ', '').replace('and', 'or')}"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.quick:
        config.option.markexpr = QUICK


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests of the default model where it was not fetched, and say how to fetch it."""
    from probe.model.models_folder import model_cache

    if hasattr(config, "workerinput"):
        items.sort(key=costliest_file_first(items))
    if (model_cache() / "smollm2-135m" / "openwork.json").is_file():
        return
    missing = pytest.mark.skip(reason=f"the default model is not in {model_cache()}; `make model` fetches it")
    for item in items:
        if item.get_closest_marker("model"):
            item.add_marker(missing)


COST = {"model": 30.0, "slow": 10.0, "browser": 5.0}
"""Seconds that a test takes, roughly, by its mark; others take a third of one."""


def costliest_file_first(items: list[pytest.Item]) -> Callable[[pytest.Item], float]:
    """Files are handed out whole, since their tests share what is made once. With the long ones first, all processes end at
    about the same time."""
    costs: dict[Path, float] = defaultdict(float)
    for item in items:
        costs[item.path] -= max((COST[mark] for mark in COST if item.get_closest_marker(mark)), default=0.3)
    return lambda item: costs[item.path]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    shutil.rmtree(os.environ["OPENWORK_HOME"], ignore_errors=True)
    config = session.config
    if (suite := suite_of(config)) and not hasattr(config, "workerinput"):
        run = {"seconds": time.monotonic() - BEGUN, "tests": session.testscollected, "passed": exitstatus == 0}
        config.cache.set(f"openwork/{suite}", {**run, "processes": len(getattr(config.option, "tx", [])) or 1})


def suite_of(config: pytest.Config) -> str:
    """Which of the suites that `make measures` times this is, if all of it was asked for."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    narrowed = any(
        getattr(config.option, name, None) for name in ("keyword", "deselect", "lf", "stepwise", "collectonly")
    )
    return {"": "test", QUICK: "quick"}.get(config.option.markexpr, "") if whole and not narrowed else ""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty artifact home of this test alone."""
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def toy():
    """The toy model, shared: tests must leave no hook and no changed weight behind."""
    from probe.model.load import load_model

    return load_model("toy")


@pytest.fixture(scope="session")
def default_model():
    """The real default model, in float32. Mark tests that use it with `@pytest.mark.model`."""
    from probe.model.load import load_model

    return load_model()
