"""The labelled text: labels are what they say, examples know their address, the word list is what its provenance says."""

import hashlib

import numpy as np
import pytest

from probe.bundled import bundled
from probe.labelled import PASSAGE_TASKS, TOKEN_TASKS, labelled_text, passages, words


@pytest.fixture(scope="module")
def text(toy):
    return labelled_text(toy, context=64, per_class=100)


def test_the_word_list_is_what_its_provenance_says() -> None:
    said, raw = bundled("PROVENANCE.md").read_text(encoding="utf8"), bundled("words.txt").read_bytes()
    assert hashlib.sha256(raw).hexdigest() in said and f"{len(raw)} bytes" in said
    found = words()
    assert f"{len(found)}, one a line" in said
    assert found == sorted(set(found)) and all(w.isalpha() and w.islower() and 4 <= len(w) <= 10 for w in found)


def test_passages_begin_with_a_sentence_and_know_their_place() -> None:
    found = list(passages(seed=1))
    assert found == list(passages(seed=1)) != list(passages(seed=2))
    assert all(p.text[0].isupper() for p in found)
    assert {p.where for p in found} == {"opening", "closing", "middle"}
    assert len({p.address for p in found}) > 220


def test_every_task_has_two_classes_from_many_addresses(text) -> None:
    assert {t.name for t in text.tasks} == set(PASSAGE_TASKS) | set(TOKEN_TASKS)
    for task in text.tasks:
        for label in (True, False):
            addresses = text.address[task.spans[task.labels == label]]
            assert len(addresses) >= 50 and len(np.unique(addresses)) >= 15, (task.name, label)


def test_labels_are_what_they_say(toy, text) -> None:
    tasks = {t.name: t for t in text.tasks}

    def around(span: int) -> tuple[str, str, str]:
        row, at = text.row[span], text.first[span]
        ids = text.tokens.tokens[row].tolist()
        return tuple(toy.tokenizer.decode(part) for part in (ids[1:at], ids[at : at + 1], ids[at + 1 :]))

    for span, label in zip(tasks["digit"].spans, tasks["digit"].labels, strict=True):
        assert any(c.isdigit() for c in around(span)[1]) == label
    for span, label in zip(tasks["after_comma"].spans, tasks["after_comma"].labels, strict=True):
        assert around(span)[0].endswith(",") == label
    for span, label in zip(tasks["quoted"].spans, tasks["quoted"].labels, strict=True):
        assert ('"' in around(span)[0]) == label
    for span in tasks["century"].spans[:50]:
        assert text.last[span] > text.first[span] > 0
