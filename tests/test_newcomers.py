"""First steps without the documentation: what is said is true, and what cannot be is answered in a sentence."""

import numpy as np
import pytest

import circuits
import probe
from probe.artifact import found_folder
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
    kept = probe.artifact.place(kind, "e")
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_text("{}")
    (tmp_path / "e").mkdir()
    assert found_folder(kind, "e") == kept  # a folder of that name that holds nothing hides no artifact
    (tmp_path / "e" / "manifest.json").write_text("{}")
    assert found_folder(kind, "e").resolve() == tmp_path / "e"


@pytest.mark.parametrize("changes", [{"zero": "L1H0"}, None, 5, b"zero:L1H0"])
def test_changes_are_a_list(toy, changes):
    for run in (probe.edited_run, probe.generate_with):
        with pytest.raises(BadInput, match="Changes are a list"):
            run(toy, PROMPT, changes)


@pytest.mark.parametrize("kind", [{}, None, 3, [5]])
def test_what_is_no_kind_is_refused(toy, kind):
    from records import small_graph

    with pytest.raises(BadInput, match="Kinds of nodes are named in text"):
        small_graph().rows(kind=kind)
