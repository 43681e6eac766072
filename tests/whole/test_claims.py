"""One writer a name: locks taken first, renames that refuse, replacements in one step, names that hide nothing."""

import os
import threading
import time
from pathlib import Path

import pytest
import torch
from every_kind import every_kind, same
from harvests import SITES, token_set

from app.cli import run
from circuits.graph.store import choose_nodes, load_graph, save_graph
from probe.activations.harvest import harvest
from probe.artifacts import renames
from probe.artifacts.folder import place
from probe.artifacts.locks import claims
from probe.artifacts.locks.claims import claim, leftovers_of, lock_of
from probe.artifacts.locks.lock import exclusive, locked
from probe.artifacts.manifest import Manifest, writing
from probe.dictionaries import SAE, Dictionary, TopK, Transcoder, save_dictionary
from probe.errors import BadInput, Unavailable
from probe.exchange import export_dictionary
from probe.text.model_samples import sample_text
from probe.training.pairs import TensorPairs
from probe.training.trainer import TrainConfig, train

BAD = [".x", "x.partial", "x.PARTIAL", "x.old", "x.lock", "x.new", "a\nb", "a\x1bb", "a\ud800b", " x", "x\u202e", "", 3]


@pytest.mark.parametrize("name", BAD)
def test_names_that_hide_or_destroy_are_refused(name, home):
    with pytest.raises(BadInput, match="name"):
        place("dictionary", name)


def test_the_same_by_folder_and_by_command(toy, tmp_path, home, capsys):
    with pytest.raises(BadInput, match=r"\.partial"):
        harvest(toy, token_set(), SITES, tmp_path / "x.partial")
    with pytest.raises(BadInput, match="dot"):
        save_graph(every_kind(), tmp_path / ".g")
    assert run(["sample", "--name", "x.old", "--model", "toy"]) == 2 and "'.old'" in capsys.readouterr().err


class Elsewhere:
    """Another process that writes a name, as far as this one can tell: the lock held on a file of its own."""

    def __init__(self, folder: Path):
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.handle = os.open(lock_of(folder), os.O_RDWR | os.O_CREAT, 0o644)

    def __enter__(self):
        assert locked(self.handle)
        os.pwrite(self.handle, b"process 4321, since 2026-01-01 10:00:00", 0)

    def __exit__(self, *_):
        os.close(self.handle)


def pairs() -> TensorPairs:
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    return TensorPairs(x, x)


def small() -> Dictionary:
    return Transcoder(8, 16, 8, sparsifier=TopK(2))


WRITERS = {
    "harvest": lambda m, f: harvest(m, token_set(), SITES, f),
    "train": lambda m, f: train(small(), pairs(), TrainConfig(batch=32, epochs=1), f),
    "train --resume": lambda m, f: train(small(), pairs(), TrainConfig(batch=32, epochs=1), f, resume=True),
    "sample": lambda m, f: sample_text(m, f, 2, length=4, resume=True),
    "graph": lambda m, f: save_graph(every_kind(), f, replace=True),
    "dictionary": lambda m, f: save_dictionary(small(), f),
    "export": lambda m, f: export_dictionary(SAE(8, 16, sparsifier=TopK(2)), f, "saelens"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_the_second_writer_of_a_name_is_refused_at_once_and_told_who_is_at_it(writer, toy, tmp_path):
    folder = tmp_path / "mine"
    with Elsewhere(folder):
        start = time.perf_counter()
        with pytest.raises(BadInput, match="right now by process 4321, since 2026-01-01") as refused:
            WRITERS[writer](toy, folder)
        assert "delete" not in str(refused.value) and time.perf_counter() - start < 5
    assert not folder.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--cache", "none", "--name", "x"],
        ["sweep", "--cache", "none", "--name", "x"],
        ["harvest", "--name", "x", "--model", "no-such"],
        ["sample", "--name", "x", "--model", "no-such", "--resume"],
        ["features", "--layer", "0", "--cache", "none", "--name", "x"],
        ["trace", "--prompt", "a", "--save", "x", "--model", "no-such"],
        ["patch", "--clean", "a", "--corrupted", "b", "--save", "x", "--model", "no-such"],
        ["eval", "--dictionary", "none", "--cache", "none", "--name", "x"],
        ["graph", "import", "no-such.json", "--save", "x"],
        ["heads", "--prompt", "a", "--save", "x", "--model", "no-such"],
    ],
    ids=lambda c: c[0],
)
def test_commands_take_the_name_before_anything_else(command, home, capsys):
    kinds = ("cache", "dictionary", "result", "graph", "text", "features")
    held = [Elsewhere(place(kind, "x")) for kind in kinds]
    for one in held:
        one.__enter__()
    assert run(command) == 2 and "process 4321" in capsys.readouterr().err
    for one in held:
        one.__exit__()


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(home):
    folder = place("result", "x")

    def second() -> None:
        with writing(folder, Manifest("result", "x")) as scratch:
            (scratch / "a").write_text("second")
            folder.mkdir()
            (folder / "a").write_text("first")

    with pytest.raises(BadInput, match="exists already"):
        second()
    assert (folder / "a").read_text() == "first" and os.listdir(folder.parent) == ["x"]


def test_a_claim_ends_with_its_process_and_says_whose_it_is(tmp_path):
    folder = tmp_path / "x"
    ready, go = os.pipe(), os.pipe()
    if not (child := os.fork()):
        with claim(folder):
            os.write(ready[1], b"1")
            os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    with pytest.raises(BadInput, match=f"process {child}, since 20"), claim(folder):
        pass
    os.kill(child, 9)
    os.waitpid(child, 0)
    with claim(folder):
        assert lock_of(folder).exists()
    assert not os.listdir(tmp_path)


def test_a_claim_is_of_one_thread_and_may_be_made_again_inside(tmp_path):
    said = []

    def second():
        try:
            with claim(tmp_path / "x"):
                said.append("taken")
        except BadInput as error:
            said.append(str(error))

    with claim(tmp_path / "x"), claim(tmp_path / "x"):
        other = threading.Thread(target=second)
        other.start()
        other.join()
    assert "right now" in said[0]


@pytest.fixture(params=["in one step", "in two renames"])
def how(request, monkeypatch):
    """Systems that exchange folders, and those that cannot."""
    if request.param == "in two renames":
        monkeypatch.setattr(renames, "exchange", lambda a, b: False)


def test_readers_beside_an_editor_never_fail(tmp_path, how):
    folder = save_graph(every_kind(), tmp_path / "g")
    stop, failed, read = threading.Event(), [], [0]

    def reader():
        while not stop.is_set():
            try:
                assert load_graph(folder).prompt
                read[0] += 1
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(40):
        choose_nodes(folder, pinned=[14 + i % 3])
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed and read[0] > 10
    assert os.listdir(tmp_path) == ["g"]


def test_an_exchange_leaves_no_moment_without_the_folder(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    assert renames.exchange(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path / "a") == ["b"] and os.listdir(tmp_path / "b") == ["a"]
    with pytest.raises(OSError, match="No such file"):
        renames.exchange(tmp_path / "a", tmp_path / "none")


@pytest.mark.parametrize("door", ["load", "list", "find", "write"])
def test_what_was_set_aside_when_a_kill_came_is_given_its_name_back(door, home):
    folder = save_graph(every_kind(), place("graph", "g"))
    folder.rename(renames.aside(folder))
    scratch = folder.with_name(".g.abcdefgh")
    scratch.mkdir()
    from app.library.artifacts import library, registered

    if door == "list":
        assert [path.name for path, _ in library().kinds["graph"]] == ["g"]
    elif door == "find":
        assert registered("graph", "g") == folder
    elif door == "write":
        with pytest.raises(BadInput, match="exists already"):
            save_graph(every_kind(), folder)
        assert not scratch.exists()
    same(every_kind(), load_graph("g"))


def test_an_older_finished_artifact_with_the_name_of_unfinished_work_is_not_used_as_that(toy, home):
    old = place("dictionary", "new").with_name("new.partial")
    old.mkdir(parents=True)
    (old / "manifest.json").write_text("{}")
    with pytest.raises(BadInput, match="finished artifact"):
        train(small(), pairs(), TrainConfig(batch=32, epochs=1), place("dictionary", "new"))
    assert old.is_dir()


def test_a_trained_dictionary_is_not_trained_again_when_clearing_up_was_cut_off(tmp_path):
    folder, config = tmp_path / "d", TrainConfig(batch=32, epochs=1, log_every=1)
    first = train(small(), pairs(), config, folder)
    scratch = folder.with_name("d.partial")
    scratch.mkdir()
    (scratch / "checkpoint.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    again = train(small(), pairs(), config, folder, resume=True)
    assert again.metrics == first.metrics and not scratch.exists()


def test_waiting_for_a_turn_ends_in_a_sentence(tmp_path):
    lock = lock_of(tmp_path / "x")
    with Elsewhere(tmp_path / "x"), pytest.raises(Unavailable, match="process 4321"), exclusive(lock, "x", wait=0.05):
        pass


def test_what_is_half_written_belongs_to_one_name_alone(tmp_path):
    for name in (".a.abcdefgh", ".a.b.abcdefgh", ".ab.abcdefgh", ".a.lock", "a"):
        (tmp_path / name).mkdir()
    assert leftovers_of(tmp_path / "a") == [tmp_path / ".a.abcdefgh"]
    assert claims.owner(tmp_path / ".a.b.abcdefgh") == "a.b" and claims.owner(tmp_path / ".a.lock") == "a"
