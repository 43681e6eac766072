"""Every record says in a few lines what it is, and gives its rows as a frame."""

import inspect
import json
import sys
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module

import numpy as np
import pytest
import torch
from plain_html import check
from public_records import PLACES, classes_in, public_functions
from records import HOSTILE, heads_of, hostile_records, lens_of, small_graph, units_of
from tiny import tiny

import circuits
import probe
from circuits.graph.graph import CircuitGraph
from probe.artifacts.records import RECORD, read_record, write_record
from probe.comparison.record import ComparedPrompts
from probe.dictionaries import TopK, Transcoder
from probe.errors import BadInput, Unavailable
from probe.heads.patterns import HeadPatterns
from probe.lens.logit import LensResult
from probe.methods.catalogue import methods
from probe.show.beside import draws
from probe.show.panels import Aligned, Chosen, Figure, Rows, Sentence, Tokens, unfolded
from probe.show.record import Record, frame
from probe.show.render import as_file, as_html, as_text
from probe.show.values import gist, quoted

pytestmark = pytest.mark.slow  # one of every record is made first
MOST = 500
LONG = "one two three four " * 8


def learned(layer: int = 1) -> Transcoder:
    made = Transcoder(32, 24, sparsifier=TopK(4), site_in=f"mlp_in.{layer}", site_out=f"mlp_out.{layer}")
    return made.requires_grad_(False)


def readings():
    """One record of every reading and explanation, on a model that is made in a moment."""
    model, prompt = tiny("gpt2"), LONG.strip()
    yield from (probe.logit_lens(model, prompt), probe.head_patterns(model, prompt), probe.head_table(model, prompt))
    yield from (
        probe.read_head(model, prompt, 1, 0),
        probe.direct_logits(model, prompt),
        probe.top_units(model, prompt),
    )
    yield from (probe.follow_token(model, prompt), probe.compare_prompts(model, prompt, prompt + " four"))
    yield probe.capture(model, prompt, "resid_post.*")
    yield probe.edited_run(model, prompt, [probe.Zero(probe.head(1, 0))], generate=2)
    yield probe.generate_with(model, prompt, [probe.UnitEdit("ablate", 3, layer=1)], 3)
    for about in methods():  # what a method returns, without a line here
        if (
            about.of_model
            and about.module.startswith("probe.")
            and "folder" not in about.handed
            and {p.name for p in about.parameters if p.required} <= {"prompt"}
        ):
            yield about.run(model, **{p.name: prompt for p in about.parameters if p.required})
    yield from circuit(model)
    pair = "one two three", "one four three"
    yield from (circuits.read_pair(model, *pair), circuits.patch_sweep(model, *pair, over="heads", metric="kl"))
    yield from (
        circuits.connections(model, "L1N3"),
        *circuits.deembed(model, "L1N3"),
        circuits.layer_connections(model, 0, 1),
    )


def circuit(model):
    graph, other = (circuits.trace(model, p) for p in ("one two three", "one two four"))
    yield from (graph, graph.nodes, graph.edges, graph.scores, graph.prune(), circuits.merge_graphs([graph, other]))
    units = circuits.most_influential(4)(graph)
    yield from (circuits.difference(graph, other), circuits.subgraph_scores(graph, units))
    found = circuits.suggest_supernodes(graph, units)
    yield from (found, circuits.collapse(graph, found))
    yield from (circuits.check_subgraph(model, graph, units), circuits.check_sufficiency(model, graph, units))
    edges = [(int(graph.edges.source[i]), int(graph.edges.target[i])) for i in graph.edges.weight.argsort()[:2]]
    yield from (circuits.check_edges(model, graph, n=2), circuits.head_loadings(model, graph, edges))
    pairs = probe.task_pairs(model, "greater-than", 2)
    scores = circuits.eap(model, pairs)
    yield from (pairs, pairs.examples[0], scores, circuits.choose_edges(scores, 20), circuits.component_graph(scores))
    yield circuits.curve_of_scores(model, scores, pairs, random=1)
    some = circuits.named_circuit(model, ["L1H0", "L2H1"])
    yield from (some, circuits.circuit_report(model, some, pairs, n=2, random=2, subsets=1, greedy=1, needed=1))
    yield from (circuits.top_paths(model, "one two three"), circuits.qk_attribution(model, graph, 1, 0, 2))


@pytest.fixture(scope="module")
def records():
    made = [*readings(), *hostile_records(), learned(), learned()(torch.ones(2, 32))]
    steer = probe.Steer(probe.resid_post(1), torch.ones(576))
    small = small_graph()
    return [
        *made,
        *(small.nodes, small.edges),
        steer,
        probe.Patch("resid_post.1", torch.ones(3, 576)),
        probe.UnitEdit("clamp", 3, dictionary=learned()),
    ]


def test_a_record_is_told_in_a_few_lines(records):
    assert len({type(r) for r in records}) > 30
    for record in records:
        said = repr(record)
        assert type(record).__name__ in said and len(said) < MOST and said.count("\n") < 4, said
        assert "tensor(" not in said and "array(" not in said and "Bridge(" not in said, said


def test_a_graph_says_of_which_model_it_is_and_where_to_see_more():
    graph = small_graph()
    said = repr(graph).splitlines()
    assert said[0] == f"CircuitGraph {graph.prompt!r} on {graph.model}" and said[2].startswith("  more: .rows()")
    assert "5 nodes and 6 edges" in said[1] and repr(graph.unit_tokens[-1]) in said[1]
    two = repr(circuits.difference(graph, graph)).splitlines()
    with pytest.raises(BadInput, match=r"no node 'l1n7@0' among its 5. Did you mean L1N7@0\?"):
        graph.find("l1n7@0")
    assert two[0].endswith(f" on {graph.model}") and "more:" in two[2]


def test_every_public_record_has_a_short_text_of_its_own():
    for name, function in public_functions():
        for kind in classes_in(function.__annotations__.get("return"), import_module(function.__module__)):
            assert issubclass(kind, Record) or kind.__name__ in PLACES or "__repr__" in vars(kind), f"{name} -> {kind}"
            assert "__create_fn__" not in kind.__repr__.__qualname__, (
                kind
            )  # the one that @dataclass writes prints every array


def same(a, b) -> bool:
    """Whether two values hold the same: arrays with their types, NaN being NaN, records field by field."""
    if isinstance(a, np.ndarray | torch.Tensor):
        x, y = (v.numpy() if isinstance(v, torch.Tensor) else v for v in (a, b))
        return type(a) is type(b) and x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, torch.nn.Module):
        return same(dict(a.state_dict()), dict(b.state_dict()))
    return a == b or (a != a and b != b)


def every_array_is_named(record, folder):
    found = record.arrays()
    assert all(isinstance(v, np.ndarray) for v in found.values())
    own = [f.name for f in fields(record)] if is_dataclass(record) else []
    assert {n for n in own if isinstance(getattr(record, n), np.ndarray | torch.Tensor)} <= set(found)


def json_holds_it(record, folder):
    known = record.to_dict()
    assert isinstance(known, dict) and known
    json.dumps(known)


def its_panels_say_something(record, folder):
    shown = record.panels()
    assert any(isinstance(one, Sentence) and one.text for one in shown)
    flat = unfolded(shown)
    for one in flat:
        if isinstance(one, Rows):
            assert one.rows and len(one.picks) in (0, len(one.rows))
        if isinstance(one, Tokens):
            assert len(one.tokens) == len(one.values) > 0
        if isinstance(one, Aligned):
            assert len(one.columns) == len(one.between) == len(one.rows()) > 0
    if not record._figure:
        assert not any(isinstance(one, Figure) for one in flat)
    elif type(record).panels is Record.panels:
        assert isinstance(shown[0], Figure)


def what_is_chosen_of_it_has_panels(record, folder):
    """At the first place and at the last there is something to see, and a place that is not there is where it begins."""
    for one in record.panels():
        if isinstance(one, Chosen):
            for chosen in (dict.fromkeys(one.sizes, 0), {name: size - 1 for name, size in one.sizes.items()}):
                assert one.places(chosen) == chosen and one.at(chosen)
            assert (
                one.places(dict.fromkeys(one.sizes, 10**6)) == one.places() == one.places({"token": "3", "layer": True})
            )


def it_is_drawn_or_says_why_not(record, folder):
    if not record._figure:
        with pytest.raises(Unavailable, match="has no figure"):
            record.figure()
    for one in unfolded(record.panels()):
        if isinstance(one, Figure):
            for options in ({}, *({name: value} for name, values in one.choices.items() for value in values)):
                assert type(one.draw(**options)).__name__ == "Figure"
    assert isinstance(record._repr_html_(), str) and record._repr_html_()


def a_terminal_and_a_file_draw_its_panels(record, folder):
    said = as_text(record.panels())
    for one in record.panels():
        if isinstance(one, Sentence):
            assert one.text.encode("utf8", "replace").decode()[:20] in said.replace("⟨d800⟩", "?")
    pieces = [p for p in unfolded(record.panels()) if not isinstance(p, Figure)]
    check(as_html(pieces))
    assert "\u202e" not in said


def it_comes_back_from_disk(record, folder):
    if type(record).__name__ in UNSTORED:
        with pytest.raises(BadInput, match="cannot be stored"):
            record.save(folder)
        return
    assert record.save(folder) == folder
    again = type(record).load(folder)
    if isinstance(record, CircuitGraph):  # its own format has smaller whole numbers, and lists for tuples
        assert again.to_dict() == json.loads(json.dumps(record.to_dict()))
        assert all(np.array_equal(v, again.arrays()[k], equal_nan=True) for k, v in record.arrays().items())
    else:
        assert same(again, record)
    assert (folder / "manifest.json").is_file()


UNSTORED = {
    "Activations": "a mapping that knows its model",
    "UnitEdit": "it holds a dictionary",
}


@pytest.mark.parametrize(
    "answer",
    [
        json_holds_it,
        every_array_is_named,
        its_panels_say_something,
        what_is_chosen_of_it_has_panels,
        it_is_drawn_or_says_why_not,
        a_terminal_and_a_file_draw_its_panels,
        it_comes_back_from_disk,
    ],
)
def test_every_record_answers(records, answer, tmp_path):
    one_of_each = {type(r): r for r in records if isinstance(r, Record)}  # the last ones, which are small
    for i, record in enumerate(one_of_each.values()):
        try:
            answer(record, tmp_path / f"{i}")
        except Exception as error:
            raise AssertionError(f"{type(record).__name__}: {error}") from error


def test_panels_are_drawn_in_a_terminal_and_in_a_file_that_needs_nothing_else():
    lens = lens_of("a <b>prompt", ["a", " <b>", "\n"])
    said = as_text(lens.panels())
    assert said.startswith("loss, nats: a –  ·<b>") and "[figure: Likeliest next token" in said
    assert [line.split()[0] for line in said.splitlines() if line.startswith(("layer", "embed", "0", "1"))] == [
        *("layer", "embed", "0", "1"),
    ]
    page = as_file(lens)
    assert page.count("<script>") >= 1 and "plotly" in page and '"showSendToCloud": false' in page
    assert "<script src" not in page and "<b>" not in page.split("<body>")[1].split("<script")[0]
    assert "<script" not in as_file(units_of("p", ["a", "b"]))


@dataclass(frozen=True)
class Mine(Record, figure=True):
    values: np.ndarray


@dataclass(frozen=True)
class MyLens(LensResult):
    """Another's record on top of ours."""


def test_a_picture_is_found_beside_the_record_or_beside_what_it_is_made_of():
    mine = Mine(np.ones(3))
    with pytest.raises(Unavailable, match="A Mine has no figure"):
        mine.figure()
    assert draws(_picture_of_mine) is _picture_of_mine
    assert mine.figure(scale=2) == 6 and [type(p) for p in mine.panels()] == [Figure, Sentence]
    assert list(inspect.signature(mine.figure).parameters) == ["scale"] and mine.figure.__doc__ == "Sum."
    lens = lens_of("p", ["a", "b"])
    own = MyLens(**{f.name: getattr(lens, f.name) for f in fields(lens)})
    assert own._repr_html_() == lens._repr_html_() and own.figure() == lens.figure() and own._page


def _picture_of_mine(mine: "Mine", scale: int = 1):
    """Sum."""
    return scale * mine.values.sum()


def test_a_field_may_not_bear_the_name_of_an_answer():
    with pytest.raises(TypeError, match="has a field 'rows'"):
        type("Odd", (Record,), {"__annotations__": {"rows": int}})


def test_a_record_of_another_class_or_of_no_module_of_ours_is_refused(tmp_path):
    lens = lens_of("p", ["a", "b"])
    lens.save(tmp_path / "one")
    with pytest.raises(BadInput, match="holds a LensResult; a HeadPatterns was wanted"):
        HeadPatterns.load(tmp_path / "one")
    with pytest.raises(BadInput):
        lens.save(tmp_path / "one")
    lens.save(tmp_path / "one", replace=True)
    assert same(probe.load_record(tmp_path / "one"), lens)
    for named in ("os:system", "subprocess:Popen", "probe.artifacts.records:_Written", "probe.system_errors:explained"):
        (tmp_path / RECORD).write_text(json.dumps({"@": named, "args": ["true"]}))
        with pytest.raises(Unavailable, match="is no record"):
            read_record(tmp_path)


def test_a_record_whose_class_has_moved_is_read(records, tmp_path):
    """A file names the module that the class was in when it was written, which imports it back."""
    compared = next(r for r in records if isinstance(r, ComparedPrompts))
    write_record(tmp_path, compared)
    text, now = (tmp_path / RECORD).read_text(), "probe.comparison.record:"
    assert now in text
    (tmp_path / RECORD).write_text(text.replace(now, "probe.comparison.prompts:"))
    assert same(read_record(tmp_path), compared)
    names = ["ComparedPrompts", "PairCandidate", "UnitDifference"]
    assert same(
        read_record(tmp_path, {"probe.comparison.record": names, "probe.text.alignment": ["Alignment", "Column"]}),
        compared,
    )


def test_rows_become_a_frame_of_all_of_them(records):
    frames = [r for r in records if hasattr(r, "to_pandas") and type(r).rows is not Record.rows]
    assert len(frames) > 20
    for record in frames:
        takes_k = "k" in inspect.signature(record.rows).parameters
        rows = record.rows(k=None) if takes_k else record.rows()
        found = record.to_pandas()
        assert len(found) == len(rows) and (not rows or list(found.columns)[: len(rows[0])] == list(rows[0])), type(
            record
        )


def test_a_frame_takes_what_rows_take():
    graph = small_graph()
    assert len(graph.to_pandas(k=2)) == 2 and len(graph.to_pandas()) == 5
    assert lens_of("p", ["a", "b"]).to_pandas(pos=0).columns[0] == "layer"
    assert len(heads_of("p", ["a", "b"]).to_pandas()) == 6 and len(units_of("p", HOSTILE[:2]).to_pandas(pos=None)) == 2


def test_without_pandas_a_frame_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(Unavailable, match="needs pandas"):
        frame(small_graph().rows)


def test_values_are_shortened():
    assert gist(np.ones((3, 4), np.float32)) == "float32[3, 4]" and gist(torch.tensor(2.5)) == "2.5"
    assert gist(list(range(5000))) == "5000 int" and gist(tiny("gpt2")) == "TransformerBridge"
    assert gist({"a": 1}) == "{a: 1}" and gist(["x"] * 9) == "9 str" and gist(None) == "None"
    assert len(quoted("word " * 500)) < 60 and quoted("word " * 500 + "the end").endswith("the end'")


def test_a_model_is_described_and_never_printed():
    model = tiny("llama")
    told = probe.describe(model)
    own = model.original_model
    assert told.parameters == sum(p.numel() for p in own.parameters()) and told.bytes == 8 * told.parameters
    assert (told.n_layers, told.d_model, told.n_heads, told.n_key_value_heads) == (3, 32, 4, 2) and told.gated
    assert len(repr(told)) < MOST and "3 layers of 4 heads" in told.summary()
    for call in (lambda: probe.describe("gpt2"), lambda: probe.import_dictionary("gpt2-small-res-jb", model)):
        with pytest.raises(BadInput) as refused:
            call()
        assert len(str(refused.value)) < 300
