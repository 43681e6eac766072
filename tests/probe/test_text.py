import hashlib
import json
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from probe.errors import BadInput, Unavailable
from probe.text.bundled import bundled
from probe.text.documents import Document, corpus

HOSTILE = ["<script>alert(1)</script>", "a\x00b\x1b[31m", "\u202eabc", "=cmd|' /C calc'!A0", "naïve 🙂 e\u0301"]


def texts(spec, **options) -> list[str]:
    return [d.text for d in corpus(spec, **options)]


def test_bundled_corpus_is_what_its_provenance_says():
    documents = list(corpus("sotu"))
    said = bundled("PROVENANCE.md").read_text(encoding="utf8")
    assert hashlib.sha256(bundled("sotu.parquet").read_bytes()).hexdigest() in said
    assert bundled("sotu.parquet").stat().st_size <= 5_000_000
    assert f"{len(documents)} ({documents[0].id} to {documents[-1].id})" in said
    assert f"{sum(len(d.text) for d in documents):,}" in said
    assert (documents[0].id, documents[-1].id) == ("1790-george-washington", "2016-barack-obama")
    assert len({d.id for d in documents}) == len(documents) == 228


def test_bundled_corpus_is_clean():
    whole = "\n".join(texts("sotu"))
    for debris in (
        r"&[a-z]+;",
        r"\[[Aa]pplause\]",
        r"\[p\.\d+\]",
        r"\.{6,}",
        r"_{3,}",
        r"  ",
        r"[\x00-\x08]",
        "\ufffd",
    ):
        assert not re.search(debris, whole), debris
    assert "4 and 4 1/2 per cent bonds" in whole


def test_shuffle_is_seeded_and_complete():
    first, again, other = (list(corpus("sotu", seed=s)) for s in (0, 0, 1))
    assert first == again != other
    assert sorted(first, key=lambda d: d.id) == sorted(corpus("sotu"), key=lambda d: d.id)
    years = [int(d.id[:4]) for d in first[:12]]
    assert min(years) < 1880 and max(years) > 1940


def test_a_text_file_is_one_document_unchanged(tmp_path):
    whole = "\n\n".join(HOSTILE) + "\r\n"
    (tmp_path / "notes.txt").write_bytes(b"\xef\xbb\xbf" + whole.encode())
    assert list(corpus(tmp_path / "notes.txt")) == [Document("notes.txt", whole)]


def test_jsonl_and_parquet_agree(tmp_path):
    rows = [{"id": f"row {i}", "text": t} for i, t in enumerate([*HOSTILE, "", "   "])] + [{"id": None, "text": None}]
    (tmp_path / "a.jsonl").write_text("\n\n".join(json.dumps(r) for r in rows), encoding="utf8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert list(corpus(tmp_path / "a.jsonl")) == list(corpus(tmp_path / "a.parquet"))
    assert texts(tmp_path / "a.parquet") == HOSTILE
    assert next(corpus(tmp_path / "a.jsonl")).id == "row 0"


def test_another_column(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "hello"}')
    assert list(corpus(tmp_path / "a.jsonl", column="body")) == [Document("a.jsonl:1", "hello")]
    with pytest.raises(BadInput, match="line 1 has no field 'text'; it has body"):
        list(corpus(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.txt", b"fine\nca\xe9\n", r"not UTF-8: byte 0xe9 in line 2, byte 3"),
        ("bad.jsonl", b'{"text": "fine"}\n{"text": "ca\xe9"}\n', r"not UTF-8: byte 0xe9 in line 2"),
        ("bad.jsonl", b'{"text": "fine"}\n{"text": \n', r"line 2 is not JSON"),
        ("bad.jsonl", b"[1]\n", r"line 1 has no field 'text'; it has a list"),
        ("bad.jsonl", b'{"text": 3}\n', r"'text' holds a int where text was wanted"),
        ("empty.txt", b" \n", r"holds no text"),
        ("empty.jsonl", b"", r"holds no text"),
        ("table.csv", b"a,b", r"rename or convert it to .txt, .jsonl, .parquet"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=message):
        list(corpus(tmp_path / name))


def test_bad_parquet(tmp_path):
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="no column 'text'; it has body"):
        list(corpus(tmp_path / "a.parquet"))
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    with pytest.raises(Unavailable, match="truncated"):
        list(corpus(tmp_path / "cut.parquet"))


def test_unknown_specs_suggest_what_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters.txt").write_text("x")
    with pytest.raises(BadInput, match="Did you mean 'sotu'"):
        corpus("stou")
    with pytest.raises(BadInput, match="Did you mean 'letters.txt'"):
        corpus("leters.txt")
    with pytest.raises(BadInput, match="is a folder"):
        corpus(tmp_path)


def test_dataset_ids(monkeypatch):
    with pytest.raises(BadInput, match=r"ID\[:split"):
        corpus("datasets:")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(Unavailable, match="pip install datasets"):
        corpus("datasets:org/name")


def test_dataset_rows(monkeypatch):
    class Rows(list):
        column_names = ("body",)

    asked = []
    fake = type(sys)("datasets")
    fake.load_dataset = lambda *args, **options: asked.append((args, options)) or Rows([{"body": "a"}, {"body": ""}])
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert [d.text for d in corpus("datasets:org/name/small:test:body")] == ["a"]
    assert asked == [(("org/name", "small"), {"split": "test", "streaming": True})]
    with pytest.raises(BadInput, match="no column 'text'; it has body"):
        corpus("datasets:org/name")


def test_bundled_refuses_paths_and_names_what_is_missing():
    with pytest.raises(BadInput, match="no bundled file"):
        bundled("../pyproject.toml")
    with pytest.raises(Unavailable, match=r"nothing\.parquet is missing"):
        bundled("nothing.parquet")
