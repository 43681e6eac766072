"""Stored folders, damaged: refused in a sentence or read as what they were. `scripts/damage.py`: a thousand times."""

import os
from contextlib import suppress

import mutations
import pytest
import stored_kinds

from probe.artifacts.untrusted import parse_json, plain_file, read_json, sealed, unsealed
from probe.errors import BadInput, OpenworkError, Unavailable

TRIALS = range(5000, 5040)


@pytest.fixture(scope="module")
def filled(toy, tmp_path_factory):
    before, os.environ["OPENWORK_HOME"] = os.environ["OPENWORK_HOME"], str(tmp_path_factory.mktemp("home"))
    yield stored_kinds.fill(toy)
    os.environ["OPENWORK_HOME"] = before


@pytest.mark.slow
def test_damage_is_refused_in_a_sentence_or_changes_nothing(toy, filled):
    ends, bad = mutations.run(toy, filled, TRIALS)
    assert not bad, "\n".join(" ".join(map(str, one)) for one in bad)
    assert ends["refused"] > len(TRIALS) / 3 and ends["same"] > 0


@pytest.mark.parametrize(
    "made", [lambda p: os.mkfifo(p), lambda p: p.mkdir(), lambda p: p.symlink_to("/dev/zero"), lambda p: None]
)
def test_only_files_are_opened(tmp_path, made):
    made(tmp_path / "x.json")
    with pytest.raises(Unavailable, match=r"a file was wanted|cannot be read"):
        read_json(tmp_path / "x.json")
    with pytest.raises(Unavailable):
        plain_file(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * 100_000, "nested"),
        (b"[" * 300 + b"]" * 300, "nested"),
        (b"[[]," + b"[]," * 4_000_001 + b"[]]", "lists and mappings"),
        (b'{"a": NaN}', "NaN"),
        (b"\xff", "utf-8"),
        (b"", "Expecting"),
        (b"9" * 5000, "digits"),
    ],
)
def test_what_would_grow_in_memory_or_is_no_json_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        parse_json(data)


def test_large_files_are_not_read(tmp_path):
    (tmp_path / "x.json").write_text("[1, 2, 3]")
    assert read_json(tmp_path / "x.json") == [1, 2, 3]
    with pytest.raises(Unavailable, match="bytes; up to"):
        read_json(tmp_path / "x.json", 5)


def test_a_seal_shows_every_change():
    kept = sealed({"a": (1, 2.5), "b": {"c": None}})
    assert unsealed(kept) == {"a": [1, 2.5], "b": {"c": None}} == unsealed({"a": [1, 2.5], "b": {"c": None}})
    for changed in ({**kept, "a": [1, 2.6]}, {**kept, "x": 0}, {k: v for k, v in kept.items() if k != "a"}, [1]):
        with pytest.raises(ValueError, match=r"digest|mapping"):
            unsealed(changed)


def test_a_description_larger_than_its_weights_is_not_built(toy, filled):
    from probe.dictionaries.store import _require_enough

    facts = {"d_dict": 2**31 - 1, "sites_in": ["a"], "widths_in": [2**31 - 1], "sites_out": ["a"], "widths_out": [4]}
    with pytest.raises(BadInput, match="asks for"):
        _require_enough(facts, {})


def test_a_text_that_breaks_off_in_the_middle_is_said(filled):
    """Parquet names no damage before its rows are read."""
    from probe.text.documents import corpus

    path = filled["text"] / "text.parquet"
    whole = path.read_bytes()
    try:
        for at in range(4, len(whole) - 4, 97):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
            with pytest.raises(Unavailable):
                list(corpus("sample:text"))
            with suppress(OpenworkError):
                list(corpus(path))
    finally:
        path.write_bytes(whole)
    assert list(corpus("sample:text"))
