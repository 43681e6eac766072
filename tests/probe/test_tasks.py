"""Tasks on small models whose tokenizers have the words: what every pair keeps, what is right in each task, what is refused."""

import json
import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import probe
from probe.errors import BadInput
from probe.model.toy import native, toy_model
from probe.tasks import agreement
from probe.tasks.catalogue import TASKS
from probe.tasks.chance import require_done
from probe.tasks.words import listed, pairs_listed

LISTS = ("capitals", "languages", "men", "names", "nouns", "plurals", "women")
BESIDE = "is are has have was were she he " + " ".join("abcdefghijklmnopqrstuvwxyz")


@cache
def model_of(digits: str = "in twos"):
    """A model whose tokenizer writes every word of the lists as one token, and digits in twos or one by one."""
    split = pre_tokenizers.Split(Regex(r"\d{1,2}" if digits == "in twos" else r"\d"), "isolated")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4000, initial_alphabet=alphabet, show_progress=False)
    words = " ".join(word.replace("\t", " ") for name in LISTS for word in listed(name))
    numbers = " ".join(f"{n:02}" for n in range(100))
    backend.train_from_iterator([f" {words} {BESIDE} {numbers}"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="\n", name_or_path="words")
    return native(0, tokenizer, n_layers=1, d_model=16, n_heads=2, d_mlp=16, d_vocab=len(tokenizer), n_ctx=256)


def written(model, ids):
    return [model.tokenizer.decode([i]) for i in ids]


@pytest.mark.parametrize("task", TASKS)
def test_every_pair_of_a_task_fits_its_model(task):
    """Equal lengths, answers of one token, right and wrong apart, nothing twice, the same again from the same seed."""
    model = model_of()
    pairs = probe.task_pairs(model, task, n=12, seed=3)
    assert len(pairs) == len(pairs.examples) == len(pairs.right) == 12 and pairs.measure == TASKS[task].measure
    for i, one in enumerate(pairs.examples):
        assert pairs.clean[i] == probe.encode_prompt(model, one.clean)
        assert pairs.corrupted[i] == probe.encode_prompt(model, one.corrupted)
        assert len(pairs.clean[i]) == len(pairs.corrupted[i]) and pairs.clean[i] != pairs.corrupted[i]
        assert written(model, pairs.right[i]) == one.right and written(model, pairs.wrong[i]) == one.wrong
        assert one.right and one.wrong and not set(pairs.right[i]) & set(pairs.wrong[i])
        assert all(0 <= start < end <= len(one.clean) for start, end in one.segments.values())
    assert len({(one.clean, one.corrupted) for one in pairs.examples}) == 12
    assert probe.task_pairs(model, task, n=12, seed=3).examples == pairs.examples
    assert probe.task_pairs(model, task, n=12, seed=4).examples != pairs.examples


@pytest.mark.parametrize("task", [name for name, one in TASKS.items() if one.templates])
def test_the_templates_of_a_task_are_those_it_is_drawn_in(task):
    """Each of them alone gives pairs of it, and all that are drawn are of one of them."""
    told = next(row["templates"] for row in probe.list_tasks().rows() if row["name"] == task)
    assert told.split(", ") == list(TASKS[task].templates)
    for name in TASKS[task].templates:
        assert [e.template for e in probe.task_pairs(model_of(), task, 2, templates=(name,)).examples] == [name] * 2
    assert {e.template for e in probe.task_pairs(model_of(), task, 24).examples} <= set(TASKS[task].templates)


def sum_of(text):
    a, b = re.findall(r"(\d) \+ (\d) = ?$", text)[0]
    return int(a) + int(b)


def after(text, word):
    """What comes after a word wherever it came before."""
    found = {after for line in text.split("\n") for before, after in pairwise(line.split()) if before == word}
    assert len(found) == 1, (text, word)
    return found.pop()


def who_was_given(text):
    people = [word for word in re.findall(r"\w+", text) if word in listed("names")]
    return sorted(people, key=people.count)[0] if len(people) == 3 else None


def fact(name):
    return lambda text: next(answer for subject, answer in pairs_listed(name) if subject in text)


def number(text):
    plural = {many: True for _, many in pairs_listed("plurals")} | {one: False for one, _ in pairs_listed("plurals")}
    subject = re.findall(
        r"\w+", text.removeprefix("Yesterday I heard that ").removeprefix("The ").removeprefix("the ")
    )[0]
    return {verbs[plural[subject]].strip() for verbs in agreement.VERBS}


KNOWN = {
    "ioi": who_was_given,
    "capitals": fact("capitals"),
    "languages": fact("languages"),
    "arithmetic": lambda text: str(sum_of(text)),
    "docstring": lambda text: re.findall(r", (\w+)\):", text)[0],
    "agreement": number,
    "gender": lambda text: "she" if any(re.search(rf"\b{name}\b", text) for name in listed("women")) else "he",
    "induction": lambda text: after(text, text.split()[-1]),
    "automata": lambda text: after(text, text.split()[-1]),
}


@pytest.mark.parametrize("task", KNOWN)
def test_the_right_answer_is_right(task):
    """Found from the clean prompt in another way; the wrong one is what the corrupted prompt calls for, if it does."""
    for one in probe.task_pairs(model_of(), task, n=16).examples:
        right, wrong = ([word.strip() for word in side] for side in (one.right, one.wrong))
        assert KNOWN[task](one.clean) in (right[0], set(right)), one
        if task != "ioi":
            assert KNOWN[task](one.corrupted) in (wrong[0], set(wrong)), one
        else:
            assert one.clean.count(wrong[0]) == 2 and one.corrupted.count(wrong[0]) == 1, one


@pytest.mark.parametrize("digits", ["in twos", "one by one"])
def test_greater_than_asks_for_the_next_token_of_either_kind_of_tokenizer(digits):
    pairs = probe.task_pairs(model_of(digits), "greater-than", n=24)
    for one in pairs.examples:
        start, end = one.segments["year"]
        year = int(one.clean[start:end][2:])
        if digits == "in twos":
            assert one.right == [f"{n:02}" for n in range(year + 1, 100)] and one.wrong[-1] == f"{year:02}"
            assert len(one.right) + len(one.wrong) == 100 and one.corrupted.count("01") >= 1
        else:
            assert one.right == [str(n) for n in range(year // 10 + 1, 10)]
            assert one.wrong == [str(n) for n in range(year // 10)]
            assert one.corrupted == one.clean[: start + 2] + f"0{year % 10}" + one.clean[end:]
        assert one.clean.endswith(one.clean[start : start + 2])


def test_a_tokenizer_without_the_words_is_told_so():
    """The toy's writes most of them in pieces; what it does have it gets."""
    toy = toy_model()
    with pytest.raises(BadInput, match=r"writes \d of the nouns of this task as one token, and \d+ are needed.*JSONL"):
        probe.task_pairs(toy, "induction")
    assert len(probe.task_pairs(toy, "greater-than", n=3)) == 3
    with pytest.raises(BadInput, match="Of capitals, 2 pairs of 9 could be made.*that came before"):
        probe.task_pairs(toy, "capitals", n=9, templates=("is",))


@pytest.mark.parametrize(
    ("task", "settings", "said"),
    [
        ("greater", {}, r"no task 'greater'.*Did you mean greater-than\?"),
        ("ioi", {"n": 0}, "n is 0; at least one pair"),
        ("ioi", {"measure": "loss"}, "measure is 'loss'; one of 'logit_diff', 'prob_diff'"),
        ("ioi", {"corruption": "noise"}, "no corruption 'noise'; choose abc or swapped"),
        ("ioi", {"template": ("store",)}, "ioi has no setting 'template'; it has templates, corruption"),
        ("ioi", {"templates": ("shop",)}, "No example of ioi can be drawn with templates="),
        ("induction", {"length": 1}, "No example of induction can be drawn with length=1"),
        ("nowhere.jsonl", {}, "no file nowhere.jsonl; a task is one of these or a JSONL file"),
    ],
)
def test_what_is_no_task_and_no_setting_is_refused(task, settings, said):
    with pytest.raises(BadInput, match=said):
        probe.task_pairs(model_of(), task, **settings)


GOOD = {"clean": "river stone river", "corrupted": "river bread river", "right": [" stone"], "wrong": [" bread"]}
NEXT = {"clean": "stone river stone", "corrupted": "stone bread stone", "right": [" river"], "wrong": [" bread"]}


def test_pairs_of_ones_own_are_read_from_a_file(tmp_path):
    other = NEXT | {"right": " river", "wrong": []}
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(["", json.dumps(GOOD), json.dumps(other)]), encoding="utf8")
    pairs = probe.task_pairs(model_of(), str(file))
    assert pairs.task == "mine" and [one.clean for one in pairs.examples] == [GOOD["clean"], other["clean"]]
    assert pairs.examples[1].right == [" river"] and pairs.wrong[1] == []
    assert len(probe.task_pairs(model_of(), str(file), n=1)) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (GOOD | {"corrupted": "river bread river river"}, "prompts of unequal length"),
        (GOOD | {"corrupted": GOOD["clean"]}, "two prompts that are the same"),
        (NEXT | {"right": [" stones and"]}, "with an answer of several tokens"),
        (NEXT | {"right": []}, "with no right answer"),
        (NEXT | {"wrong": [" river"]}, "right and wrong answers begin alike"),
        (GOOD, "that came before"),
        ({"clean": "river"}, 'is no example: it lacks corrupted; write {"clean"'),
        ([1], "is no example"),
        (GOOD | {"clean": None}, "clean is None, where a text was wanted"),
        (GOOD | {"corrupted": ["river"]}, "corrupted is ['river'], where a text"),
        (NEXT | {"right": [5]}, "right is [5], where a text or a list of texts was wanted"),
        (NEXT | {"wrong": {" Italy": 1}}, "wrong is {' Italy': 1}, where"),
        (GOOD | {"template": 3}, "template is 3, and no text"),
        ("{", "is not JSON"),
    ],
)
def test_each_bad_line_of_a_file_is_named(tmp_path, line, said):
    file = tmp_path / "mine.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{line if line == '{' else json.dumps(line)}\n", encoding="utf8")
    with pytest.raises(BadInput, match=rf"mine\.jsonl, line 2.*{re.escape(said)}"):
        probe.task_pairs(model_of(), str(file))


@pytest.mark.parametrize(
    ("line", "said"),
    [(b"[" * 100_000, "line 2 is nested too deeply"), (b"\xff\xfe", "not UTF-8: byte 0xff in line 2, byte 1")],
)
def test_a_damaged_line_of_a_file_is_a_sentence(tmp_path, line, said):
    file = tmp_path / "mine.jsonl"
    file.write_bytes(json.dumps(GOOD).encode() + b"\n" + line)
    with pytest.raises(BadInput, match=said):
        probe.task_pairs(model_of(), str(file))


def test_a_file_may_begin_with_a_mark_and_says_when_it_holds_fewer(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    with pytest.warns(UserWarning, match="holds 1 example, and 32 were asked for"):
        assert probe.task_pairs(model_of(), str(file), n=32).examples[0].clean == GOOD["clean"]


def test_a_metric_is_what_it_says():
    pairs = probe.task_pairs(model_of(), "gender", n=1)
    pairs = probe.Pairs(**{**vars(pairs), "right": [[0, 1]], "wrong": [[2]]})
    logits = torch.tensor([[1.0, 3.0, 0.5, -1.0]], dtype=torch.float64)
    p = logits[0].softmax(-1)
    wanted = {"logit_diff": 2.0 - 0.5, "prob_diff": p[0] + p[1] - p[2], "log_prob": (p[0] + p[1]).log()}
    for measure, value in wanted.items():
        found = probe.Pairs(**{**vars(pairs), "measure": measure}).metric(logits, [0])
        assert float(found) == pytest.approx(float(value), abs=1e-12)


def test_a_check_counts_what_a_model_gets_right():
    """Beside the plain runs of the model, one prompt at a time; tasks whose words it lacks are told."""
    model, n = model_of(), 10
    found = probe.check_tasks(model, n=n)
    assert [row["task"] for row in found.rows()] == list(TASKS) and not found.refused
    pairs = probe.task_pairs(model, "capitals", n)
    logits = [[model(torch.tensor([ids]))[0, -1] for ids in side] for side in (pairs.clean, pairs.corrupted)]
    clean, corrupted = (
        [float(x[r[0]] - x[w[0]]) for x, r, w in zip(side, pairs.right, pairs.wrong)] for side in logits
    )
    row = next(row for row in found.rows() if row["task"] == "capitals")
    assert row["accuracy"] == sum(c > 0 for c in clean) / n and row["metric"] == pytest.approx(sum(clean) / n)
    assert row["answer changes"] == sum(b < a for a, b in zip(clean, corrupted)) / n
    assert row["worth studying"] == (row["accuracy"] >= 0.7 and row["answer changes"] >= 0.7)
    assert all(bool(one["why not"]) != one["worth studying"] and one["measure"] for one in found.rows())
    by_log = probe.check_tasks(model, tasks=[probe.task_pairs(model, "capitals", n, measure="log_prob")], n=n)
    assert by_log.rows()[0]["accuracy"] == row["accuracy"] and by_log.rows()[0]["metric"] < 0
    assert set(probe.check_tasks(toy_model(), n=2).refused) >= {"induction", "docstring"}
    with pytest.raises(BadInput, match="nouns"):
        probe.check_tasks(toy_model(), tasks=["induction"], n=2)


@pytest.mark.parametrize(
    ("right", "of", "chance", "does"),
    [
        (32, 32, 0.5, True),
        (24, 32, 0.5, True),
        (23, 32, 0.5, False),
        (6, 6, 0.5, False),
        (7, 7, 0.5, True),
        (9, 12, 0.1, True),
    ],
)
def test_what_a_model_does_no_better_than_chance_is_refused(toy, right, of, chance, does):
    """At least 7 in 10 right, and rarer than 1 in 100 by chance: 6 heads of 6 are 1 in 64, 7 of 7 are 1 in 128."""
    found = np.arange(of) < right
    if does:
        require_done(toy, "coins", found, chance=chance)
        return
    with pytest.raises(
        BadInput, match=f"toy is right in {right} of {of} prompts of coins, where chance gives {of // 2}"
    ):
        require_done(toy, "coins", found, chance=chance)
