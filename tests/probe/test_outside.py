"""Files at places that people name: whole or not at all, on disk when it is said, and what a kill left beside them goes."""

import os
import signal
import stat
from pathlib import Path

import pytest

from probe.artifacts.exports import write_file, write_files
from probe.artifacts.folder import home as artifacts
from probe.artifacts.folder import require_writable
from probe.artifacts.leftovers import leftovers, mend
from probe.errors import BadInput


def killed_at_the_rename(work) -> None:
    """Run it in a child that is killed when it renames a file at its place (its note in the home comes first)."""
    if not (pid := os.fork()):
        real = os.replace

        def replace(beside, path) -> None:
            real(beside, path) if "exporting" in str(path) else os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace  # type: ignore[assignment]
        try:
            work()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


WRITES = {
    "file": lambda to, text: write_file(to / "g.json", text),
    "files": lambda to, text: write_files(to, [("g.json", text), ("h.json", text)]),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_kill_leaves_the_old_file_and_the_next_write_tidies_up(what, home, tmp_path):
    to, write = tmp_path / "to", WRITES[what]
    write(to, "one")
    (to / ".mine.json").write_text("a person's own")
    whole = names(to)
    killed_at_the_rename(lambda: write(to, "two"))
    assert (to / "g.json").read_text() == "one" and len(names(to)) > len(whole)
    write(to, "three")
    assert (to / "g.json").read_text() == "three" and names(to) == whole
    assert stat.S_IMODE((to / "g.json").stat().st_mode) == 0o644
    assert not names(artifacts() / "exporting") and names(tmp_path) == ["home", "to"]


@pytest.mark.parametrize("what", WRITES)
def test_the_doctor_finds_what_a_kill_left_at_a_place_it_was_told(what, home, tmp_path):
    to = tmp_path / "to"
    killed_at_the_rename(lambda: WRITES[what](to, "one"))
    assert leftovers() and mend()
    assert names(to) == [] and leftovers() == []


def test_everything_is_on_disk_when_it_is_said(home, tmp_path, monkeypatch):
    """Every file is synced with its last bytes in it, and its folder after the last rename."""
    seen: list[tuple[str, int]] = []
    real = os.fsync

    def watched(handle: int) -> None:
        found = Path(os.readlink(f"/proc/self/fd/{handle}"))
        seen.append(
            (found.name.lstrip(".").split(".json")[0], len(names(found)) if found.is_dir() else found.stat().st_size)
        )
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    for what, write in WRITES.items():
        seen.clear()
        write(tmp_path / what, "four")
        assert ("g", 4) in seen and any(name == what for name, _ in seen)


def test_a_device_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="device or a pipe"):
        require_writable(tmp_path / "pipe")
