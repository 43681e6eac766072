"""First steps without the documentation: what is said is true, and what cannot be is answered in a sentence."""

import copy
from dataclasses import replace

import numpy as np
import pytest

import circuits
import probe
from probe.artifacts.folder import place
from probe.artifacts.manifest import found_folder
from probe.asked_of import asked_of_a_model
from probe.dictionaries import TopK, Transcoder
from probe.errors import BadInput

PROMPT = "one two three"


def test_no_head_is_called_pronounced_without_a_number(toy):
    found = probe.head_patterns(toy, PROMPT)
    assert np.isnan(found.metrics["induction"]).all()
    assert "previous token" in found.summary() and "induction" not in found.summary()
    assert "induction" in probe.head_patterns(toy, "one two one two").summary()
    assert "pronounced" not in probe.head_patterns(toy, [5]).summary()


def test_the_embedding_is_no_layer(toy):
    said = f"embedding and {toy.cfg.n_layers} layers"
    assert said in probe.logit_lens(toy, PROMPT).summary()
    assert said in probe.follow_token(toy, PROMPT).summary()


def test_promoted_tokens_are_told_apart(toy):
    found = probe.top_units(toy, PROMPT)
    assert f"promotes {', '.join(map(repr, found.at(-1)[0].promoted[:3]))}" in found.summary()


OPENERS = {
    "cache": probe.open_cache,
    "dictionary": probe.load_dictionary,
    "feature table": probe.open_features,
    "graph": circuits.load_graph,
    "study": circuits.open_study,
    "stored result": circuits.load_patching,
}


@pytest.mark.parametrize("what", OPENERS)
def test_what_is_not_there_is_said_alike(what, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path / "home"))
    with pytest.raises(BadInput, match=f"There is no {what} 'nope', neither as a folder nor by name under .*home"):
        OPENERS[what]("nope")
    with pytest.raises(BadInput, match=f"There is no {what} '/nope/x'"):
        OPENERS[what]("/nope/x")


@pytest.mark.parametrize("kind", ["cache", "dictionary", "features", "graph", "study", "result"])
def test_names_are_found_at_home_and_folders_as_given(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    kept = place(kind, "e")
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_text("{}")
    (tmp_path / "e").mkdir()
    assert found_folder(kind, "e") == kept  # a folder of that name that holds nothing hides no artifact
    (tmp_path / "e" / "manifest.json").write_text("{}")
    assert found_folder(kind, "e").resolve() == tmp_path / "e"


@pytest.mark.parametrize("changes", [{"zero": "L1H0"}, None, 5, b"zero:L1H0"])
def test_changes_are_a_list(toy, changes):
    for run in (probe.edited_run, probe.generate_with):
        with pytest.raises(BadInput, match="Changes are a list|is no change|needs changes"):
            run(toy, PROMPT, changes)


@pytest.mark.parametrize("kind", [{}, None, 3, [5]])
def test_what_is_no_kind_is_refused(toy, kind):
    from records import small_graph

    with pytest.raises(BadInput, match="Kinds of nodes are named in text"):
        small_graph().rows(kind=kind)


def test_misspelt_words_are_answered(toy):
    wrong = [
        (lambda: circuits.trace(toy, PROMPT, max_node=5), "trace takes no 'max_node'. Did you mean max_nodes?"),
        (lambda: probe.logit_lens(toy, PROMPT, top=3), "logit-lens takes no 'top'. Did you mean top_k?"),
        (lambda: circuits.TraceConfig(max_node=3), "TraceConfig takes no `max_node`. Did you mean max_nodes"),
        (lambda: probe.logit_lens(toy), "logit-lens needs prompt, a prompt"),
    ]
    for call, said in wrong:
        with pytest.raises(BadInput) as told:
            call()
        assert said in str(told.value) and isinstance(told.value, TypeError)
    assert copy.copy(circuits.TraceConfig(max_nodes=3)) == replace(circuits.TraceConfig(), max_nodes=3)


def test_parts_of_another_kind_are_refused(toy):
    wrong = [
        (lambda: circuits.trace(toy, PROMPT, config={}), "config is {}; a TraceConfig was wanted"),
        (
            lambda: circuits.trace(toy, PROMPT, dictionaries=None),
            "a list, each the name of a stored dictionary, was wanted",
        ),
        (lambda: circuits.trace(toy, PROMPT, dictionaries=["mine"]), "There is no dictionary 'mine'"),
        (lambda: circuits.check_subgraph(toy, None), "graph is None; a graph of trace() or load_graph()"),
    ]
    for call, said in wrong:
        with pytest.raises(BadInput) as told:
            call()
        assert said in str(told.value)


def test_one_dictionary_is_a_list_of_one(toy):
    d = toy.cfg.d_model
    one = Transcoder(d, 8, sparsifier=TopK(2), site_in="mlp_in.1", site_out="mlp_out.1").requires_grad_(False)

    def taken(model, dictionaries: list = ()):
        return dictionaries

    door = asked_of_a_model(taken)
    assert door(toy, one) == door(toy, dictionaries=one) == door(toy, [one]) == [one] and door(toy) == ()
    assert circuits.connections(toy, "L1F3", dictionaries=one).target == "L1F3"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: probe.capture(m, PROMPT, None), "Sites are named in text"),
        (lambda m: probe.capture(m, PROMPT, 3), "Sites are named in text"),
        (lambda m: probe.capture(m, PROMPT, probe.head(1, 0)), "Sites are named in text"),
        (lambda m: probe.capture(m, PROMPT, "L1H0"), "for a head read z.1"),
        (
            lambda m: probe.logit_lens(m, PROMPT, positions="last"),
            "positions is .*last.*; a list, each a whole number, was wanted",
        ),
        (lambda m: TopK(None), "TopK needs a whole number k, not None"),
        (lambda m: TopK("3"), "TopK needs a whole number k, not '3'"),
    ],
)
def test_what_was_wanted_is_said(toy, call, said):
    with pytest.raises(BadInput, match=said):
        call(toy)
