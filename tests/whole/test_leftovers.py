"""What killed writers leave: shown by the doctor, mended with --mend; nothing that is in use or could be resumed is touched."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from every_kind import every_kind

from app.cli import run
from circuits.graph.store import load_graph, save_graph
from probe.artifacts.folder import home as artifacts
from probe.artifacts.folder import place
from probe.artifacts.leftovers import announced, leftovers, mend, unfinished
from probe.artifacts.locks.claims import lock_of
from probe.artifacts.locks.lock import exclusive
from probe.artifacts.renames import aside
from probe.exchange import files

LONG_AGO = (1e9, 1e9)


def old(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, LONG_AGO)
    return path


def half(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "part").write_text("x")
    return folder


@pytest.fixture
def littered(home, tmp_path):
    """Every sort of leftover, and beside it what must stay."""
    whole, lost = (save_graph(every_kind(), place("graph", name)) for name in ("whole", "lost"))
    lost.rename(aside(lost))
    gone = [
        half(whole.with_name(".whole.abcdefgh")),
        half(aside(whole)),
        half(whole.with_name(".never.abcdefgh")),
        old(lock_of(place("text", "t"))),
        half(place("dictionary", "d").with_name("d.partial")),
        half(whole.with_name("whole.partial")),
        old(whole / ".labels.json.abcdefgh"),
        old(artifacts() / "jobs" / ".a.json.abcdefgh"),
        old(artifacts() / "incoming" / "tmpabc"),
    ]
    (whole.with_name("whole.partial") / "checkpoint.safetensors").write_text("x")
    waiting = half(place("cache", "c").with_name("c.partial"))
    (waiting / "journal.jsonl").write_text("{}\n")
    fresh = artifacts() / "jobs" / ".b.json.abcdefgh"
    fresh.write_text("being written this moment")
    return gone, [waiting, fresh, whole]


def test_mending_takes_leftovers_away_and_nothing_else(littered, capsys):
    gone, kept = littered
    found = {item.path for item in leftovers()}
    assert set(gone) <= found and not found & set(kept)
    assert run(["doctor", "--mend", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["mended"]) >= len(gone) and said["unfinished"] == [str(kept[0])]
    assert not any(path.exists() for path in gone) and all(path.exists() for path in kept)
    assert load_graph("lost").prompt == load_graph("whole").prompt == every_kind().prompt
    assert leftovers() == [] and run(["doctor", "--mend"]) == 0
    assert "nothing to mend" in capsys.readouterr().out


def test_what_somebody_writes_is_left_alone(littered):
    gone, _ = littered
    script = "import sys, pathlib; from probe.artifacts.locks.claims import exclusive, lock_of; p = pathlib.Path(sys.argv[1])\n"
    script += "with exclusive(lock_of(p), 'x'): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(place("graph", "never"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        mend()
        other.communicate("")
    assert gone[2].exists() and not gone[0].exists()
    assert mend() and not gone[2].exists()


def test_unfinished_work_says_who_is_at_it(littered):
    with exclusive(lock_of(place("cache", "c")), "c"):
        assert unfinished()[0].by.startswith(f"process {os.getpid()}")
    assert [left.by for left in unfinished()] == [""]


def test_an_export_that_was_cut_off_elsewhere_is_found(home, tmp_path, monkeypatch):
    target = tmp_path / "elsewhere" / "out"
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)

    def killed() -> None:
        with files.whole_folder(target) as scratch:
            (scratch / "part").write_text("x")
            notes = artifacts() / "exporting"
            kept.update({p.name: p.read_text() for p in notes.iterdir()})
            raise KeyboardInterrupt

    kept: dict[str, str] = {}
    with pytest.raises(KeyboardInterrupt):
        killed()
    monkeypatch.undo()
    monkeypatch.setenv("OPENWORK_HOME", str(home))
    assert leftovers() == []
    for name, text in kept.items():  # as a kill would have left it
        (artifacts() / "exporting" / name).write_text(text)
    lock_of(target).touch()
    assert len(leftovers()) == 3 and mend()
    assert not os.listdir(target.parent) and not os.listdir(artifacts() / "exporting")


def test_the_note_of_an_export_goes_after_its_lock(home, tmp_path, monkeypatch):
    """For without the note nobody finds the lock again."""
    target, unlink, seen = tmp_path / "out", Path.unlink, []

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        if path.suffix in (".json", ".lock"):
            seen.append((path.suffix, lock_of(target).exists()))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlinked)
    with files.whole_folder(target) as scratch:
        (scratch / "part").write_text("x")
    assert seen == [(".lock", True), (".json", False)] and sorted(os.listdir(tmp_path)) == [home.name, "out"]


def test_a_home_that_cannot_be_written_does_not_stop_an_export(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "file" / "home"))
    with announced(tmp_path / "out"):
        pass


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a device"])
def test_what_lies_among_the_jobs_and_is_no_file_hangs_no_table(kind, home):
    from app.jobs.table import Jobs

    path = artifacts() / "jobs" / "1-a.json"
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    assert Jobs(path.parent).all() == []
