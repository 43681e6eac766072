"""Checksums that are remembered: not read again for a day, and always where the file is another one."""

import json
import os
import time

import pytest

from probe.artifacts import digest as verified
from probe.artifacts.digest import recent_sha256, sha256


@pytest.fixture
def reads(monkeypatch):
    """Files that were read, in order."""
    seen: list[str] = []
    monkeypatch.setattr(verified, "sha256", lambda path: (seen.append(path.name), sha256(path))[1])
    return seen


def test_a_file_is_read_once_a_day(tmp_path, reads, monkeypatch):
    file, memory = tmp_path / "weights", tmp_path / ".checked.json"
    file.write_bytes(b"one")
    assert recent_sha256(file, memory) == recent_sha256(file, memory) == sha256(file) and reads == ["weights"]
    monkeypatch.setattr(time, "time", lambda now=time.time(): now + 90_000)
    assert recent_sha256(file, memory) == sha256(file) and len(reads) == 2


@pytest.mark.parametrize("change", ["length", "time", "another file"])
def test_a_changed_file_is_read_again(tmp_path, reads, change):
    file, memory = tmp_path / "weights", tmp_path / ".checked.json"
    file.write_bytes(b"one")
    recent_sha256(file, memory)
    then = file.stat()
    if change == "another file":
        (tmp_path / "beside").write_bytes(b"two")
        os.replace(tmp_path / "beside", file)
    else:
        file.write_bytes(b"other" if change == "length" else b"two")
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns + (change == "time")))
    assert recent_sha256(file, memory) == sha256(file) and len(reads) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 3}', '"é"', "null"])
def test_a_damaged_memory_is_no_memory(tmp_path, reads, text):
    file, memory = tmp_path / "weights", tmp_path / ".checked.json"
    file.write_bytes(b"one")
    memory.write_text(text, encoding="latin1")
    assert recent_sha256(file, memory) == sha256(file)
    assert recent_sha256(file, memory) == sha256(file) and len(reads) == 1
    known = json.loads(memory.read_text())
    known[str(file)][4] = "yesterday"
    memory.write_text(json.dumps(known))
    assert recent_sha256(file, memory) == sha256(file) and len(reads) == 2


def test_where_nothing_can_be_remembered_the_file_is_read(tmp_path, reads):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    assert recent_sha256(file, tmp_path / "missing" / "x.json") == recent_sha256(file, tmp_path / "missing" / "x.json")
    assert len(reads) == 2
