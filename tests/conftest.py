"""What every test gets: no network, two torch threads, a scratch home, shape checks on all of probe and circuits."""

import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OPENWORK_HOME"] = tempfile.mkdtemp(prefix="openwork-tests-")

from jaxtyping import install_import_hook  # nothing of ours may be imported before the hook is in place

install_import_hook(["probe", "circuits"], "shapes.checked")

import shutil
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # tiny models run faster on one, whatever else the machine does


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of the default model where it was not fetched, and say how to fetch it."""
    from probe.embedded import model_cache

    if (model_cache() / "smollm2-135m" / "openwork.json").is_file():
        return
    missing = pytest.mark.skip(reason=f"the default model is not in {model_cache()}; `make model` fetches it")
    for item in items:
        if item.get_closest_marker("model"):
            item.add_marker(missing)


def pytest_sessionfinish() -> None:
    shutil.rmtree(os.environ["OPENWORK_HOME"], ignore_errors=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty artifact home of this test alone."""
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def toy():
    """The toy model, shared: tests must leave no hook and no changed weight behind."""
    from probe.models import load_model

    return load_model("toy")


@pytest.fixture(scope="session")
def default_model():
    """The real default model, in float32. Mark tests that use it with `@pytest.mark.model`."""
    from probe.models import load_model

    return load_model()
