"""Counts, numbers, names and tokens as people read them."""

import numpy as np
import pytest

from circuits.supernodes.suggest import _name
from probe.errors import BadInput, Cancelled
from probe.model.unit_names import UnitName
from probe.progress import Watched
from probe.show.columns import columns_and_cells
from probe.show.html import shown
from probe.show.labels import label_text, plain
from probe.words import counted, figures, minus, one_line, plural, prose, signed, spaced


def test_one_of_a_thing_is_one():
    assert [counted(n, "run") for n in (0, 1, 2, 12_431)] == ["0 runs", "1 run", "2 runs", "12,431 runs"]
    assert counted(2, "stored dictionary") == "2 stored dictionaries" and plural(1, "dictionary") == "dictionary"


def test_a_minus_is_a_minus():
    assert minus("-1") == "−1" and signed(-0.314) == "−0.314" and signed(2.0) == "+2" and figures(-2e-7) == "−2e−07"
    assert figures(float("nan")) == signed(float("nan")) == "unknown"


@pytest.mark.parametrize(
    ("token", "said"),
    [(" Paris", "Paris"), ("\n", "↵"), ("", "nothing"), (" ", "space"), ("  ", "2 spaces"), ("\x03", "⟨3⟩")],
)
def test_tokens_in_sentences(token, said):
    assert prose(token) == said


def test_names_keep_their_spaces_and_single_tokens_show_theirs():
    assert label_text("logit ' Paris'") == "logit ' Paris'" and label_text("<b>a\nb") == "&lt;b&gt;a b"
    assert plain(" Paris") == "·Paris" and label_text("names of capitals, and more", 16) == "names of capita…"


def test_groups_are_not_named_after_commas(tmp_path):
    from records import small_graph

    found = small_graph()
    units = tuple(int(i) for i in np.flatnonzero(found.nodes.where("neuron")))
    assert _name(found, units, ("↵", "–", "Paris")) == "Paris"
    assert _name(found, units, ("↵·", "–")) == "L0N11+L1N12"


def test_a_neuron_below_zero_is_not_silent():
    from probe.features.on_text import OwnText

    deep = OwnText("a b", "L24N1005", [1, 2], ["a", " b"], np.array([0.1, -22.4]))
    assert deep.peak == 1 and "above zero at 1 of 2 tokens" in deep.summary()
    assert "−22.4" in deep.summary() and "opposite of its direction" in deep.summary()
    latent = OwnText("a b", "L4F2", [1, 2], ["a", " b"], np.array([0.0, 3.0]))
    assert latent.summary() == "L4F2 is active at 1 of 2 tokens, strongest at ·b (position 1, 3)."
    assert "none of the 2" in OwnText("a b", "L4F2", [1, 2], ["a", " b"], np.zeros(2)).summary()


@pytest.mark.parametrize("name", ["L5H3", "L0N120", "L12F650", "L5N120@3", "L5F650@-1", "L4F650@4:", "L4F650@:9"])
def test_a_unit_is_read_as_it_is_written(name):
    assert str(UnitName.parse(name)) == name


def test_what_names_no_unit_and_what_people_type():
    assert [UnitName.parse(text) for text in ("5H3", "L5X3", "L5h3", "L5H", "resid_post.5", "")] == [None] * 6
    assert UnitName.parse("L5H3", "neuron", "latent") is None and UnitName.parse("L5H3", "head") == UnitName(
        5, "head", 3
    )
    assert [str(UnitName.typed(text)) for text in ("l5h3", "5.3", "5n12", "L5F1")] == ["L5H3", "L5H3", "L5N12", "L5F1"]
    assert UnitName.typed("L5N3@2") is None
    with pytest.raises(BadInput, match="position"):
        UnitName.parse("L5N3@here")


@pytest.mark.parametrize(
    ("total", "unit", "words"),
    [
        (1536, "neuron", "2 of 1,536 neurons"),
        (1, "run", "2 of 1 run"),
        (3e6, "tok", "2 of 3,000,000 tokens"),
        (None, "it", "2 steps"),
    ],
)
def test_what_was_cancelled_says_how_much_of_how_many(total, unit, words):
    watched = Watched(lambda snapshot: None)
    with watched.stage("table", total, unit) as step:
        step(2)
        watched.cancel()
        with pytest.raises(Cancelled, match=f"'table' was cancelled after {words}."):
            step()


def test_white_space_that_moves_is_a_sign():
    assert one_line("a\n\tb\r c") == "a↵⇥b␍ c" and shown(" a\n") == "·a↵" and shown("") == "∅" and prose(" a\n") == "a↵"


def test_names_of_fields_become_words_and_long_cells_say_that_they_are_cut():
    assert spaced("kl_spliced") == "KL spliced" and spaced("dead_share") == "dead share" and spaced("L0") == "L0"
    columns, cells = columns_and_cells([{"ce_spliced": 1.5, "is": "x" * 500}])
    assert (
        [c["label"] for c in columns] == ["CE spliced", "is"]
        and cells[0]["is"].endswith("…")
        and len(cells[0]["is"]) == 400
    )
