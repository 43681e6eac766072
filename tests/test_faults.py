"""A sample of what `scripts/faults.py` does to every writer at every file operation."""

import os
import random
from pathlib import Path

import pytest
from fault_writers import template, writers
from faults import KILL, REFUSALS, Trial, mended, warm

import probe.models


@pytest.fixture(scope="module")
def trials(toy, tmp_path_factory):
    """Writers on copies of one home, in memory where there is one; each is first run undisturbed."""
    shared = Path("/dev/shm")
    folder = shared / f"openwork-faults-{os.getpid()}" if shared.is_dir() else tmp_path_factory.mktemp("faults")
    folder.mkdir(exist_ok=True)
    before, load = os.environ["OPENWORK_HOME"], probe.models.load_model
    os.environ["OPENWORK_HOME"] = str(folder / "template")
    try:
        template(toy, folder / "template")
        found = writers(toy)
        warm(folder / "template", [*(found[name].begin for name in WRITERS), mended], folder)
        yield {name: Trial(found[name], folder / "template", folder) for name in WRITERS}
    finally:
        os.environ["OPENWORK_HOME"], probe.models.load_model = before, load
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


WRITERS = (
    *("harvest", "train", "sweep", "features", "sample", "label", "eval", "trace", "patch", "pin", "prune"),
    *("graph export", "export"),
)


@pytest.mark.slow
@pytest.mark.parametrize("what", [KILL, *REFUSALS])
@pytest.mark.parametrize("name", WRITERS)
def test_kills_and_refusals_leave_nothing_wrong(name, what, trials):
    """One operation of each."""
    trial = trials[name]
    at = random.Random(f"{name} {what}").randint(1, trial.operations)
    wrong = trial.kill(at) if what == KILL else trial.refuse(what, at)
    assert not wrong, f"{name}, {what} at operation {at} ({trial.seen[at - 1]}): {wrong}"
