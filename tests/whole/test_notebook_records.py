"""What a notebook shows of every record: escaped, offline, without ids or scripts, bounded, readable on white and black."""

import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from plain_html import check
from public_records import PLACES, classes_in, public_functions
from records import HOSTILE, heads_of, hostile_records, lens_of, small_graph, units_of

from circuits.graph.html import MOST_NODES, links_html
from probe.show.chart import bars_html, histogram_html, lines_html
from probe.show.grid import CLEAR, heat_html, levels, picture_html, png
from probe.show.html import MOST_ROWS, block, facts_html, number, table_html, text
from probe.show.notebook_token_strip import MOST_TOKENS, tokens_html
from probe.show.record import Record


def test_every_record_of_a_public_function_shows_itself():
    seen, missing = set(), []
    for name, function in public_functions():
        module = import_module(function.__module__)
        for kind in classes_in(function.__annotations__.get("return"), module):
            seen.add(kind.__name__)
            if kind.__name__ not in PLACES and not hasattr(kind, "_repr_html_"):
                missing.append(f"{name} -> {kind.__name__}")
    assert not missing
    wanted = {
        "LensResult",
        "HeadPatterns",
        "TopUnits",
        "EditedRun",
        "EvalReport",
        "TrainResult",
        "SuiteReport",
        "Cache",
    }
    assert wanted | {"FeatureTable", "CircuitGraph", "SubgraphTest", "Dictionary", "CrossLayerTranscoder"} <= seen


@pytest.mark.parametrize("record", hostile_records(), ids=lambda r: type(r).__name__)
def test_hostile_words_stay_words(record):
    found = check(record._repr_html_())
    said = "".join(found.words)
    assert any(w in said for w in ("<script>", "<b>"))  # they are shown as what they are
    assert "\u202e" not in said


def test_two_displays_are_the_same_twice():
    """Nothing is counted, named or kept between displays."""
    for record in hostile_records():
        assert record._repr_html_() == record._repr_html_()


def test_sizes_are_bounded():
    tokens = [f" token{i}" for i in range(1000)]
    for record in (lens_of("p", tokens, layers=40), units_of("p", tokens), heads_of("p", tokens[:300])):
        assert len(record._repr_html_()) < 400_000
    rows = [{"name": f"row {i}", "value": float(i)} for i in range(100_000)]
    html = table_html(rows, "many")
    assert len(html) < 40_000 and f"({MOST_ROWS} of 100,000 rows)" in html and "row 49" in html and "row 50" not in html
    strip = tokens_html(tokens, np.arange(1000.0))
    assert strip.count("<span") == MOST_TOKENS and "first 400 of 1,000 tokens" in strip
    assert len(text("x" * 10_000)) == 300 and len(table_html([{"a": "y" * 100_000}])) < 2_000
    assert table_html([{str(i): i for i in range(500)}]).count("<th ") == 24


def test_a_large_graph_prints_a_page():
    graph = small_graph()
    n = 4000
    kinds = np.r_[graph.nodes.kind[:2], np.full(n, graph.nodes.kind[2]), graph.nodes.kind[4]]
    nodes = type(graph.nodes)(
        *(
            np.r_[getattr(graph.nodes, f)[:2], np.repeat(getattr(graph.nodes, f)[2], n), getattr(graph.nodes, f)[4]]
            for f in ("kind", "layer", "pos", "unit", "value", "activation")
        )
    )
    units = np.arange(2, n + 2)
    edges = type(graph.edges)(
        np.r_[np.zeros(n, int), units], np.r_[units, np.full(n, n + 2)], np.ones(2 * n, np.float32)
    )
    zeros = np.zeros(len(kinds))
    probability = np.r_[zeros[:-1], 0.8]
    big = replace(
        graph, nodes=nodes, edges=edges, constant=zeros, probability=probability, unit_tokens=[""] * len(kinds)
    )
    html = links_html(big, np.ones(len(kinds), bool))
    assert html.count("<circle") <= MOST_NODES and len(html) < 200_000
    assert f"of {len(kinds):,} nodes" in html


def test_the_graph_says_whether_it_adds_up_and_dashes_what_lowers():
    html = small_graph()._repr_html_()
    assert "conservation residual" in html and "4.0e-07" in html and "replacement score" in html
    html = links_html(small_graph(), np.ones(5, bool))
    dashed = len(re.findall("<line[^>]*stroke-dasharray", html))
    assert dashed == 2 and html.count("<line ") == 6  # of the six edges two are negative


def test_a_heading_says_what_its_numbers_mean():
    html = table_html([{"cancellation": 0.5, "write at 5": 1.0, "node": "L5N3", "error": 0.1}])
    check(html)
    assert html.count("title=") == 2 and "lost to paths of opposite sign" in html and "title='The length of" in html


def test_colours_of_a_table_follow_the_numbers():
    html = table_html([{"change": 2.0, "probability": 0.25}, {"change": -1.0, "probability": 0.5}])
    assert "rgba(230,130,20,0.60)" in html and "rgba(50,120,215,0.30)" in html
    assert "25.0%,transparent 25.0%" in html and "50.0%,transparent 50.0%" in html
    assert "linear-gradient" not in table_html([{"probability": 3.0}])  # no share, whatever it is called


def test_a_picture_is_the_array():
    """The PNG, decoded by hand: palette numbers row by row."""
    import struct
    import zlib

    pixels = levels(np.array([[0.0, 1.0], [np.nan, 0.5]]), 0, 1)
    assert pixels.tolist() == [[0, CLEAR - 1], [CLEAR, 127]]
    data, chunks, at = png(pixels), {}, 8
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    assert zlib.decompress(chunks[b"IDAT"]) == bytes([0, 0, 254, 0, 255, 127])
    assert chunks[b"tRNS"] == b"\xff" * 255 + b"\x00" and chunks[b"PLTE"][:3] == bytes([68, 1, 84])
    assert chunks[b"PLTE"][254 * 3 : 255 * 3] == bytes([253, 231, 37])


def test_charts_place_points_where_they_belong():
    html = lines_html({"a": ([0, 10], [0.0, 4.0])}, "t", "x")
    check(html)
    points = [tuple(map(float, p.split(","))) for p in re.search("points='([^']*)'", html)[1].split()]
    assert points == [(48.0, 192.0), (348.0, 22.0)]
    assert (
        lines_html({"a": ([], [])}, "t") == ""
        and bars_html([], [], "t") == ""
        and histogram_html([0, 1], [0], "t") == ""
    )
    bars = bars_html(["up", "down", "lost"], [2.0, -2.0, float("nan")], "t")
    check(bars)
    heights = [float(h) for h in re.findall("<rect[^>]* height='([^']*)'", bars)]
    assert heights == [85.0, 85.0]
    assert histogram_html([0, 1, 2, 3], [0, 5, 0], "t").count("<rect") == 1
    check(heat_html(np.eye(3), ["a", "b", "c"], HOSTILE[:3], "<b>"))
    check(picture_html(levels(np.eye(3), 0, 1), "<b>'\"", 30))


def test_small_records_are_facts():
    class Plan(Record):
        def to_dict(self):
            return {"bytes": 1234567, "fits": True, "<b>": "<i>"}

    html = Plan()._repr_html_()
    check(html)
    assert "1,234,567" in html and "True" in html and "<b>" not in html
    check(block(facts_html({"a": None}), title="<b>"))
    assert text("a\u202eb\x00\ud800\u200b") == "a⟨202e⟩b⟨0⟩⟨d800⟩⟨200b⟩"


def test_what_is_not_known_is_a_dash_in_a_table():
    assert [number(x) for x in (float("nan"), -0.0, 1.23456, None, 3, float("inf"))] == [
        "–",
        "0",
        "1.235",
        "",
        "3",
        "inf",
    ]
    assert "nan" not in table_html([{"score": float("nan")}, {"score": 0.5}])
