"""The labelled text: labels are what they say, examples know their address, the word list is what its provenance says."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from probe.bundled import bundled
from probe.errors import BadInput
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


def test_a_vocabulary_of_another_kind_gives_the_same_tasks() -> None:
    """SentencePiece-like: `decode` of a lone token drops its leading space, by which words are known."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    backend.train_from_iterator(
        [p.text for p in passages()][::9], trainers.BpeTrainer(vocab_size=800, show_progress=False)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    config = SimpleNamespace(n_ctx=64, default_prepend_bos=True)
    text = labelled_text(SimpleNamespace(tokenizer=tokenizer, cfg=config), context=64, per_class=60)
    tasks = {t.name: t for t in text.tasks}
    assert tokenizer.decode(tokenizer.encode(" the")) == "the"
    for task in text.tasks:
        assert min(task.labels.sum(), (~task.labels).sum()) >= 20, task.name
    for span, label in zip(tasks["capital"].spans, tasks["capital"].labels, strict=True):
        piece = tokenizer.convert_ids_to_tokens(int(text.tokens.tokens[text.row[span], text.first[span]]))
        assert piece[0] == "▁" and piece[1].isupper() == label


def test_a_task_without_two_classes_is_refused(toy, monkeypatch) -> None:
    monkeypatch.setitem(TOKEN_TASKS, "digit", ("never", lambda before, it, after: None))
    with pytest.raises(BadInput, match="'digit'.*not of two classes"):
        labelled_text(toy, context=20, per_class=5)
