"""One way to ask: every public function takes a prompt, a token, a unit, a site, a place on disk and a model however it is
written, and says the same."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch
import ways_to_ask as ways

import circuits
import probe
from probe.model import at_hand
from probe.public import homes

PLAIN = {  # of graphs and dictionaries alone, of numbers, of nothing
    *(
        "home",
        "runs",
        "run_named",
        "compare_runs",
        "judged",
        "judged_figure",
        "runs_figure",
        "norm_figure",
        "grid",
        "train_sweep",
    ),
    *("SAE", "Crosscoder", "CrossLayerTranscoder", "Dictionary", "Transcoder", "Splice"),
    *("BatchTopK", "Gated", "JumpReLU", "Matryoshka", "ReLU", "TopK", "TrainConfig", "TraceConfig", "Record", "Bar"),
    *("BadInput", "OpenworkError", "Unavailable", "CONFIG", "KINDS", "CircuitGraph", "Site", "head", "neuron"),
    *("mlp_in", "mlp_out", "resid_pre", "resid_post", "difference", "merge_graphs", "to_neuronpedia", "collapse"),
    *("subgraph_scores", "suggest_supernodes", "most_influential", "open_study", "load_patching", "run_suite", "study"),
    *("node_edges", "judge", "repair_cache", "export_stored", "find_units", "label_units", "unit_of_table"),
    *("list_tasks", "Pairs", "ComponentCircuit", "EdgeScores", "NodeScores", "UnitEdgeScores", "choose_edges"),
    *("known_circuit", "recover_known"),
    *("node_circuit", "NodeCircuit"),
    *("ComponentGraph", "component_graph"),
    *("import_stored", "show_blind_study", "guess_blind", "reveal_blind", "judge_blind"),
}
"""Public names that take none of these, or take them as another's walk does (`open_study`, `load_patching`: `load_record`)."""

SEVERAL = {("trace", "targets")}
"""Arguments that are several of what another takes one of."""


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENWORK_HOME", str(tmp_path_factory.mktemp("home")))
        yield


PROBING = [name for name in probe.__all__ if name not in PLAIN]
EXPLAINING = [name for name in circuits.__all__ if name not in PLAIN and name not in probe.__all__]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PROBING, *EXPLAINING])
def test_every_way_says_the_same(name):
    assert not (told := ways.walk(name)), "\n".join(told)


def declared() -> dict[str, dict[str, str]]:
    """Of every public function the hints of its parameters, as they are written."""
    found = {}
    for package in (probe, circuits):
        for name, module in homes(package.__file__).items():
            source = ast.parse(Path(inspect.getsourcefile(import_module(module)) or "").read_text())
            for one in source.body:
                if isinstance(one, ast.FunctionDef) and one.name == name:
                    every = [*one.args.args, *one.args.kwonlyargs]
                    found[name] = {a.arg: ast.unparse(a.annotation) for a in every if a.annotation}
    return found


def test_no_parameter_of_these_kinds_is_left_out():
    """A new function with a prompt, or a new argument of one, is walked too."""
    walked, missing = ways.calls(ways.world()), []
    kinds = {
        "Prompt": "prompt",
        "Target": "token",
        "TransformerBridge": "model",
        "UnitName": "unit",
        r"\bPath\b": "path",
    }
    for name, hints in declared().items():
        for argument, hint in hints.items():
            kind = next((k for word, k in kinds.items() if re.search(word, hint)), "")
            given = walked.get(name, {}).get(argument)
            if kind and name not in PLAIN and (name, argument) not in SEVERAL and not isinstance(given, ways.Given):
                missing.append(f"{name}({argument}: {hint})")
    assert missing == []


def test_what_went_in_comes_out_as_the_key():
    model = ways.world().model
    for asked in ("resid_post.1", "resid_post.-1", "blocks.1.hook_resid_post", probe.resid_post(2)):
        assert probe.capture(model, ways.PROMPT, [asked])[asked].shape == (1, len(ways.world().ids), 32)
    every = probe.capture(model, ways.PROMPT, "resid_post.*")
    assert len(every) == 3 and torch.equal(every["resid_post.-1"], every["resid_post.2"])


def test_a_model_by_name_is_loaded_once_and_again_where_its_folder_changed(tmp_path, capsys):
    folder = ways.saved("llama", tmp_path / "m")
    first = at_hand.at_hand(folder)
    assert at_hand.at_hand(str(folder)) is first
    assert capsys.readouterr().err.count("kept for the next calls") == 1
    ways.saved("llama", tmp_path / "m", num_hidden_layers=2)
    assert at_hand.at_hand(folder).cfg.n_layers == 2 and len(at_hand._kept) <= at_hand.KEPT
    assert at_hand.at_hand("toy").cfg.n_layers == 4 and at_hand.at_hand("toy") is at_hand.at_hand("toy")


def test_a_transformers_model_is_wrapped_once_and_its_edits_count():
    plain = ways.world().model_of_transformers()
    before = probe.capture(plain, ways.PROMPT, "resid_post.0")["resid_post.0"]
    assert probe.load_model(plain) is probe.load_model(plain)
    with torch.no_grad():
        plain.model.embed_tokens.weight.mul_(2)
    assert not torch.equal(probe.capture(plain, ways.PROMPT, "resid_post.0")["resid_post.0"], before)


def test_a_name_of_no_model_here_is_refused():
    for name in ("The capital of", "owner/never-fetched", "/nope/x"):
        with pytest.raises(probe.BadInput, match="head_patterns is asked of a loaded model.*load one with load_model"):
            probe.head_patterns(name, "one two")
    with pytest.raises(probe.BadInput, match="open_cache: model is 'nope'"):
        probe.open_cache("c", model="nope")
