"""A label that is set on a unit's page is known wherever the unit is shown."""

from dataclasses import replace

import pytest
from big_table import big_table
from every_kind import LAYOUT, every_kind

from app.library import labels as labelled
from app.library import units
from app.pages.circuit import callbacks as graph_callbacks
from app.pages.prompt import tables as prompt_tables
from app.pages.unit import labels as unit_labels
from app.pages.unit import page as unit
from circuits.graph import rows as graph_rows
from circuits.graph.marking.known_labels import with_known_labels
from circuits.graph.marking.marks import Marks
from circuits.graph.naming import label
from circuits.supernodes.subgraph_layout import drawing
from probe.artifacts.folder import place
from probe.neurons.strongest import TopUnits, UnitRow

TEXT = "names of capitals, and what comes after them"


@pytest.fixture
def tables(home):
    """Latents of the dictionary `skip` at layer 2 and neurons of toy's layer 1, with one label each."""
    labelled.forget()
    big_table("f", 24, layer=2, source="skip")
    big_table("n", 24, kind="neuron", layer=1)
    for name, row in (("f", 5), ("n", 5)):
        found = units.unit_at("table", name, str(row), {})
        text = f"{TEXT} ({name})"
        _, said, called, problem, _ = unit_labels.saved(found, text, "ana")
        assert called == f" · {text}" and said is None and problem is None  # the heading holds all of it


def test_circuits_find_and_show_it(tables):
    found = replace(every_kind(), model="toy", facts={})
    found = replace(
        found,
        dictionaries={"2": "skip"},
        unit_tokens=["" if found.nodes.where("neuron", "latent")[i] else t for i, t in enumerate(found.unit_tokens)],
    )
    latent, neuron = LAYOUT.index(("latent", 2, 3, 5)), LAYOUT.index(("neuron", 1, 3, 5))
    own = replace(found, unit_tokens=["own" if i == latent else t for i, t in enumerate(found.unit_tokens)])
    other, foreign = (
        replace(found, dictionaries={"2": "another"}, model="another"),
        replace(found, facts={"imported": {}}),
    )
    found = with_known_labels(found, labelled.texts())
    assert label(found, latent) == f"{TEXT} (f)" and label(found, neuron) == f"{TEXT} (n)"
    hits = graph_rows.found_table(found, "capitals")["rows"]
    assert {h["pick"]["node"] for h in hits} >= {latent, neuron} and hits[0]["title"].startswith(TEXT)
    assert TEXT in str(graph_callbacks.node_facts(found, latent)) and TEXT in str(
        graph_callbacks.node_facts(found, neuron)
    )
    drawn = drawing(found, Marks(pinned=(latent,)), 1.0)
    assert next(n for n in drawn["nodes"] if n["node"] == latent)["label"] == f"{TEXT} (f)"
    assert (
        label(with_known_labels(own, labelled.texts()), latent) == "own"
    )  # what was said in the graph itself goes first
    for one in (other, foreign):
        assert (
            label(with_known_labels(one, labelled.texts()), latent)
            == label(with_known_labels(one, labelled.texts()), neuron)
            == ""
        )


def test_the_heading_and_lists_show_it_and_a_new_one_is_known_at_once(tables):
    page = unit.layout("table", "n", "5", {})
    assert f" · {TEXT} (n)" in str(page) and "L1N5" in str(page)
    row = UnitRow(
        layer=1,
        kind="neuron",
        unit=5,
        pos=0,
        activation=-1.0,
        write_norm=2.0,
        direct=0.1,
        promoted=["a"],
        suppressed=["b"],
    )
    shown = prompt_tables.unit_rows(TopUnits("p", [1], ["p"], [row]), 0, "toy")["rows"][0]["unit"]
    assert shown.startswith("L1N5 · names of capitals")
    before = labelled.mark()
    unit_labels.saved(units.unit_at("table", "n", "5", {}), "", "ana")
    assert labelled.label_of("neuron", "toy", 1, 5) == "" and labelled.mark() != before


def test_damaged_labels_hide_nothing_else(tables):
    (place("features", "n") / "labels.json").write_text("{")
    labelled.forget()
    assert labelled.label_of("neuron", "toy", 1, 5) == "" and labelled.label_of("latent", "skip", 2, 5)
