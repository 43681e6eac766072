"""A sample of what `scripts/faults.py` does to every writer at every file operation."""

import os
import random
from pathlib import Path

import pytest
from fault_writers import template, writers
from faults import KILL, REFUSALS, Trial, mended, warm

import probe.model.load
from probe.system_errors import NO_MEMORY


@pytest.fixture(scope="module")
def trials(toy, tmp_path_factory):
    """Writers on copies of one home, in memory where there is one; each is first run undisturbed."""
    shared = Path("/dev/shm")
    folder = shared / f"openwork-faults-{os.getpid()}" if shared.is_dir() else tmp_path_factory.mktemp("faults")
    folder.mkdir(exist_ok=True)
    before, load = os.environ["OPENWORK_HOME"], probe.model.load.load_model
    os.environ["OPENWORK_HOME"] = str(folder / "template")
    try:
        template(toy, folder / "template")
        found = writers(toy)
        warm(folder / "template", [*(found[name].begin for name in WRITERS), mended], folder)
        yield {name: Trial(found[name], folder / "template", folder) for name in WRITERS}
    finally:
        os.environ["OPENWORK_HOME"], probe.model.load.load_model = before, load
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


WRITERS = (
    *("harvest", "train", "sweep", "features", "sample", "label", "eval", "trace", "patch", "pin", "prune"),
    *("graph export", "export", "import", "study", "guess", "edit", "prompt", "job"),
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trace", "sample", "pin"])
def test_a_home_that_is_taken_away_meanwhile_is_said_in_a_sentence(name, trials):
    assert not trials[name].remove(trials[name].operations // 2)


@pytest.mark.slow
def test_too_few_addresses_are_said_in_a_sentence(trials):
    """Of a command that needs far more than its process may still have."""

    def harvested() -> int:
        from app.cli import run

        sizes = ["--context", "128", "--tokens", "40000", "--batch", "256"]
        return run(["harvest", "--model", "toy", "--sites", "mlp_in.1", "--name", "big", *sizes])

    trial = trials["harvest"]
    outcome = trial.starved(harvested, 16 << 20)
    assert outcome.code == 1 and NO_MEMORY in outcome.said, outcome
