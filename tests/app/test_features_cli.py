"""`openwork features` on the toy model: builds, shows one unit, searches, plans, resumes, and explains what it cannot do."""

import json
import re

import pytest
from harvests import token_set

from app.cli import run
from probe.activations.harvest import harvest
from probe.artifacts.folder import place
from probe.dictionaries import TopK, Transcoder, save_dictionary
from probe.model.load import stamp


@pytest.fixture
def stored(toy, home) -> None:
    """A home with a cache and a transcoder of the toy model."""
    harvest(toy, token_set(20), ["mlp_in.2", "mlp_out.2"], place("cache", "small"), dtype="float32")
    ends = {"site_in": "blocks.2.mlp.hook_in", "site_out": "blocks.2.mlp.hook_out"}
    d = Transcoder(64, 16, sparsifier=TopK(3), **ends)
    d.W_dec.data.copy_(d.W_enc.data.t())
    save_dictionary(d, place("dictionary", "coder"), model=stamp(toy))


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(["features", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


OF = ("--dictionary", "coder", "--cache", "small")


def test_builds_shows_and_searches(stored, capsys):
    code, out, err = call(capsys, *OF, "--json")
    summary = json.loads(out)
    assert code == 0, err
    assert summary["n_units"] == 16 and summary["name"] == "coder-on-small" and summary["source"] == "coder"
    code, out, _ = call(capsys, *OF, "--unit", "3", "--json")
    unit = json.loads(out)
    assert code == 0 and unit["name"] == "L2F3" and len(unit["promoted"]) == 10
    code, out, _ = call(capsys, "--name", "coder-on-small", "--unit", "3", "--cache", "small", "--layer", "2")
    assert code == 0 and "L2F3" in out and "Strongest examples" in out
    code, out, _ = call(capsys, *OF, "--search", "e", "--json")
    assert code == 0 and json.loads(out)["total"] > 0
    assert (
        json.loads(call(capsys, "--dictionary", "coder", "--unit", "3", "--json")[1]) == unit
    )  # on the cache that fits
    code, _, err = call(capsys, *OF)
    assert code == 2 and "exists already" in err
    code, out, _ = call(capsys, *OF, "--resume")
    assert code == 0 and "Densest first" in " ".join(out.split())


def test_neurons_of_a_layer_and_a_config_file(stored, capsys, tmp_path):
    config = tmp_path / "features.toml"
    config.write_text('layer = 2\ncache = "small"\nname = "mine"\ntop = 3\n')
    code, out, err = call(capsys, "--config", str(config), "--json")
    assert code == 0, err
    assert json.loads(out)["config"]["top"] == 3 and place("features", "mine").is_dir()


def test_dry_run_writes_nothing(stored, capsys):
    code, out, err = call(capsys, *OF, "--dry-run", "--json")
    assert code == 0 and json.loads(out)["n_units"] == 16, err
    code, out, _ = call(capsys, "--layer", "2", "--cache", "small", "--dry-run")
    assert code == 0 and re.search(r"128 neurons over 240 tokens, .* of memory, .* on disk", out)
    assert not place("features", "coder-on-small").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--dictionary NAME"),
        ((*OF, "--layer", "2"), "--dictionary NAME"),
        (("--dictionary", "none", "--cache", "small"), "No dictionary named 'none'"),
        (("--layer", "2", "--cache", "none"), "No cache named 'none'"),
        (("--layer", "1", "--cache", "small"), "mlp_post.1 or mlp_in.1"),
        (("--layer", "7", "--cache", "small"), "layers 0 to 3"),
        ((*OF, "--unit", "16"), "holds units 0 to 15"),
    ],
)
def test_bad_input_is_a_sentence(stored, capsys, arguments, said):
    code, out, err = call(capsys, *arguments)
    assert code == 2 and said in " ".join(err.split()) and "Traceback" not in err and not out
