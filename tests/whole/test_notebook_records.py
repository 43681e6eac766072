"""What a notebook shows of every record: escaped, offline, without ids or scripts, bounded, readable on white and black."""

import inspect
import re
import typing
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from types import UnionType

import numpy as np
import pytest
from records import HOSTILE, heads_of, lens_of, small_graph, units_of

import circuits
import probe
from circuits.graph.html import MOST_NODES, links_html
from probe.features.unit import Example, TokenScore, Unit
from probe.interventions.edited_run import Candidate, EditedRun
from probe.show.chart import bars_html, histogram_html, lines_html
from probe.show.grid import CLEAR, heat_html, levels, picture_html, png
from probe.show.html import MOST_ROWS, block, facts_html, number, table_html, text
from probe.show.record import Record
from probe.show.tokens import MOST_TOKENS, tokens_html

PLACES = {
    "Site",
    "Place",
    "ModelStamp",
    "TransformerBridge",
    "Document",
    "Imported",
    "Recipe",
    "Hook",
    "Function",
    "Zero",
    "Mean",
}
"Names, places and values that are written as one line of text, and what is handed on one by one."


def public_functions():
    for package in (probe, circuits):
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.isfunction(found):
                yield f"{package.__name__}.{name}", inspect.unwrap(found)


def classes_in(annotation, module) -> set[type]:
    """Our own classes in a return annotation, those inside of lists, unions and iterators too."""
    if isinstance(annotation, str):
        annotation = getattr(module, annotation, None)
    if typing.get_origin(annotation) is not None or isinstance(annotation, UnionType):
        return {c for part in typing.get_args(annotation) for c in classes_in(part, module)}
    ours = inspect.isclass(annotation) and annotation.__module__.split(".")[0] in ("probe", "circuits")
    return {annotation} if ours else set()


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


class Reader(HTMLParser):
    """Collects elements and attributes, and checks that what is opened is closed."""

    VOID = frozenset({"img", "br", "hr"})

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = set(), [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)


ALLOWED = {
    *("div", "span", "p", "table", "thead", "tbody", "tr", "th", "td", "img", "details", "summary"),
    *("svg", "text", "rect", "path", "line", "polyline", "circle", "image", "title"),
}


def check(html: str) -> Reader:
    """Plain elements, no script, no id, no handler, no request, no fixed text or ground colour."""
    found = Reader(html)
    assert not found.open and found.tags <= ALLOWED, found.tags - ALLOWED
    for name, value in found.attributes:
        assert name != "id" and not name.startswith("on"), name
        if name in ("src", "href"):
            assert value.startswith("data:image/png;base64,")
        assert "http" not in (value or "").replace("http://", "x") or name in ("title", "alt", "aria-label")
        if name == "style":
            plain = re.sub(r"background:(rgba\([^)]*\)|linear-gradient\(.*\))", "", value)
            assert not re.search(r"(?<![-\w])color:(?!inherit)|background(-color)?:", plain), value
            assert "url(" not in value
    html.encode("utf8")  # no lone halves of characters
    return found


def hostile_edit() -> EditedRun:
    n = len(HOSTILE)
    told = [Candidate(i, t, 0.1, 0.2, 1.0, 2.0) for i, t in enumerate(HOSTILE)]
    loss = np.r_[np.nan, np.ones(n - 1)]
    return EditedRun(
        prompt="<b>p",
        token_ids=list(range(n)),
        tokens=HOSTILE,
        edits=HOSTILE[:2],
        pos=n - 1,
        candidates=told,
        kl=np.ones(n),
        loss_before=loss,
        loss_after=loss,
        text_before="<i>a",
        text_after="\ud800",
    )


def hostile_unit() -> Unit:
    n = len(HOSTILE)
    scores = [TokenScore(i, t, 1.0 - i) for i, t in enumerate(HOSTILE)]
    shown = [
        Example(
            group=group,
            value=2.0,
            document="<b>doc",
            row=0,
            pos=1,
            peak=1,
            token_ids=list(range(n)),
            tokens=HOSTILE,
            activations=np.linspace(-1, 2, n).tolist(),
        )
        for group in ("strongest", "lowest", "bin 1 of <b>")
    ]
    edges, counts = np.linspace(0, 2, 9).tolist(), [0, 3, 2, 0, 1, 0, 0, 0]
    numbers = (5, 100, 0.05, 1.0, 2.0, -1.0)
    return Unit("L1F2", "latent", 1, 2, *numbers, edges, counts, shown, scores, scores, scores, scores, [], [])


def hostile_records():
    graph = small_graph("<script>p", ("<b>one", HOSTILE[1]))
    words = ["<b>", *HOSTILE[1:4], "</text></svg><script>x</script>"]
    graph = replace(graph, unit_tokens=words, model="<i>m", supernodes={"<script>": [2]}, dictionaries={"<b>": "x"})
    readings = [lens_of("<script>", HOSTILE), heads_of("<script>", HOSTILE), units_of("<script>", HOSTILE)]
    return [*readings, hostile_edit(), hostile_unit(), graph, graph.prune(), circuits.subgraph_scores(graph, [2])]


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
