"""Feature tables: latents that fire on known tokens are described as such, resuming changes no byte, bad input is refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from harvests import token_set
from paths import FOLDERS
from small_tables import SMALL, latents

from probe.activations.cache import Cache, open_cache
from probe.activations.harvest import harvest
from probe.artifacts.manifest import read_manifest
from probe.artifacts.names import partial
from probe.dictionaries import SAE, Crosscoder, CrossLayerTranscoder, Dictionary, JumpReLU, ReLU, TopK, Transcoder
from probe.errors import BadInput, Cancelled, Unavailable
from probe.features import FeatureConfig, FeatureTable, build_features, open_features, plan_features, set_label
from probe.features.overview import UNITS, overview
from probe.features.store import EXAMPLES, TEXT
from probe.model.toy import native
from probe.progress import Watched
from probe.training.checkpoint import CHECKPOINT

KNOWN = [40, 77, 150]
"Tokens that the planted latents fire on."
SITES = ["resid_pre.0", "mlp_in.2", "mlp_post.2", "mlp_out.2"]


@pytest.fixture(scope="module")
def cache(toy, tmp_path_factory) -> Cache:
    tokens = token_set(40)
    tokens.tokens[3:20, 5] = KNOWN[0]
    tokens.tokens[5:9, 7] = KNOWN[1]
    return harvest(toy, tokens, SITES, tmp_path_factory.mktemp("features") / "cache", dtype="float32", shard_tokens=72)


@pytest.fixture(scope="module")
def planted(toy) -> Dictionary:
    """Latent i fires on token KNOWN[i] alone, with activation 1, and promotes token 100 + i; latent 3 never fires."""
    d = SAE(64, 4, sparsifier=ReLU(), site="blocks.0.hook_resid_pre")
    embedding = toy.W_E.float()
    with torch.no_grad():
        for i, token in enumerate(KNOWN):
            reader = torch.linalg.lstsq(embedding.T @ embedding, embedding[token]).solution  # whitened: 1 for its own
            scores = embedding @ reader
            best, second = scores.topk(2).values
            assert scores.argmax() == token
            second = second + 0.1 * (best - second)  # clear of rounding
            d.W_enc[:, i] = reader / (scores[token] - second)
            d.b_enc[i] = -second / (scores[token] - second)
            d.W_dec[i] = toy.W_U[:, 100 + i] / toy.ln_final.weight
        d.W_enc[:, 3], d.b_enc[3], d.W_dec[3] = 0, -1, d.W_dec[0]
    return d.eval()


@pytest.fixture(scope="module")
def table(toy, cache: Cache, planted: Dictionary, tmp_path_factory) -> FeatureTable:
    return build_features(toy, planted, cache, tmp_path_factory.mktemp("features") / "planted", SMALL)


@pytest.fixture(scope="module")
def neurons(toy, cache: Cache, tmp_path_factory) -> FeatureTable:
    return build_features(toy, 2, cache, tmp_path_factory.mktemp("features") / "neurons", SMALL)


def times(cache: Cache, token: int) -> int:
    ids = cache.tokens()
    return int(((ids.tokens == token) & ~ids.special).sum())


def test_a_latent_of_a_known_token_is_described_as_such(table: FeatureTable, cache: Cache, toy) -> None:
    for i, token in enumerate(KNOWN):
        unit = table.unit(i)
        assert unit.name == f"L0F{i}" and unit.kind == "latent"
        assert unit.fired == times(cache, token) > 0
        assert unit.n_tokens == cache.n_ordinary and unit.density == pytest.approx(unit.fired / cache.n_ordinary)
        assert unit.max == pytest.approx(1, abs=1e-3) and unit.mean_active == pytest.approx(1, abs=1e-3)
        assert unit.inputs[0].id == token
        assert {e.token_ids[e.peak] for e in unit.examples} == {token}
        assert sum(unit.counts) == unit.fired
    assert table.unit(0).measured[0].id == KNOWN[0]
    assert table.unit(0).measured[0].count == times(cache, KNOWN[0])
    assert table.unit(0).measured[0].score == pytest.approx(1, abs=1e-3)
    assert table.unit(0).measured[0].token == toy.tokenizer.decode([KNOWN[0]])
    rows = [e.row for e in table.unit(0).top]
    assert len(set(rows)) == len(rows) == SMALL.top


def test_promoted_and_suppressed_tokens_are_those_of_the_written_direction(table: FeatureTable, toy) -> None:
    logits = toy.W_U[:, 100] @ toy.W_U
    logits = logits - logits.mean()
    unit = table.unit(0)
    assert [t.id for t in unit.promoted] == logits.topk(4).indices.tolist()
    assert [t.id for t in unit.suppressed] == (-logits).topk(4).indices.tolist()
    assert np.allclose([t.score for t in unit.promoted], logits.topk(4).values, atol=1e-4)
    from probe.neurons.unit_writes import logit_effects

    for i, (up, down) in enumerate(logit_effects(toy, torch.from_numpy(np.array(writers(table))), 4)):
        assert [t.token for t in table.unit(i).promoted] == up
        assert [t.token for t in table.unit(i).suppressed] == down


def writers(table: FeatureTable) -> np.ndarray:
    from probe.model.load import load_model

    toy = load_model("toy")
    rows = [toy.W_U[:, 100 + i] / toy.ln_final.weight for i in (0, 1, 2, 0)]
    return torch.stack(rows).numpy()


def test_a_dead_latent_is_shown_as_dead(table: FeatureTable) -> None:
    unit = table.unit(3)
    assert unit.dead and not unit.examples and not unit.measured and not unit.coactive and sum(unit.counts) == 0
    assert unit.max == unit.mean_active == 0
    assert "dead" in unit.summary() and "dead" in unit._repr_html_()
    assert "never active" in json.dumps(unit.figure().to_dict()["layout"]["annotations"], default=str)
    assert unit.near[0].unit == 0 and unit.near[0].cosine == pytest.approx(1, abs=1e-5)
    assert table.search(dead=True).units == [3]
    assert table.dead_share == 0.25
    density = table.column("density")
    assert overview(table.folder) == (0.25, np.median(density[density > 0]))


def test_neurons_are_the_models_own(neurons: FeatureTable, cache: Cache, toy) -> None:
    post = cache.rows("mlp_post.2", cache.eligible("all")).numpy()
    assert np.array_equal(neurons.column("fired"), (post > 0).sum(0))
    assert np.array_equal(neurons.column("max"), post.max(0))
    assert np.array_equal(neurons.column("min"), post.min(0))
    unit = neurons.unit(9)
    assert unit.name == "L2N9"
    lowest = [e.value for e in unit.examples if e.group == "lowest"]
    assert lowest == sorted(lowest) and lowest[0] == unit.min
    assert unit.top[0].value == unit.max
    assert len(unit.counts) + 1 == len(unit.edges) and sum(unit.counts) == (post[:, 9] != 0).sum()
    assert 0 < unit.coactive[0].cosine <= 1 and unit.coactive[0].joint >= SMALL.min_joint


def test_neurons_from_the_mlps_input_equal_the_stored_ones(neurons: FeatureTable, toy, cache: Cache, tmp_path) -> None:
    only_input = harvest(toy, cache.tokens(), ["mlp_in.2"], tmp_path / "c", dtype="float32", shard_tokens=72)
    computed = build_features(toy, 2, only_input, tmp_path / "n", SMALL)
    for name in ("fired", "promoted", "near", "inputs"):
        assert np.array_equal(computed.column(name), neurons.column(name))
    assert np.allclose(computed.column("max"), neurons.column("max"), atol=1e-5)


def test_examples_equal_the_dense_activations(toy, cache: Cache, tmp_path) -> None:
    d = Transcoder(64, 48, sparsifier=TopK(5), site_in="blocks.2.mlp.hook_in", site_out="blocks.2.mlp.hook_out").eval()
    found = build_features(toy, d, cache, tmp_path / "f", replace(SMALL, block_bytes=3 * 4 * 48 * 12))
    latents = d.encode(cache.rows("mlp_in.2", np.arange(cache.n_tokens))).detach().numpy()
    latents[cache.special] = 0
    assert np.array_equal(found.column("fired"), (latents > 0).sum(0))
    for unit in range(0, 48, 7):
        best = latents[:, unit].reshape(-1, 12).max(1)
        record = found.unit(unit)
        wanted = np.sort(best[best > 0])[::-1][: SMALL.top]
        assert np.allclose([e.value for e in record.top], wanted, atol=1e-5)
        for example in record.examples:
            start = example.row * 12 + example.pos - example.peak
            assert np.allclose(example.activations, latents[start : start + 6, unit], atol=1e-5)
            assert example.token_ids == cache.tokens().tokens.reshape(-1)[start : start + 6].tolist()


def test_special_tokens_are_shown_but_counted_nowhere(neurons: FeatureTable) -> None:
    seen = [e for unit in range(30) for e in neurons.unit(unit).examples if 1 in e.token_ids]
    assert seen and all(e.activations[0] == 0 and e.tokens[0] == "<bos>" and e.peak > 0 for e in seen)


BYTES = (UNITS, EXAMPLES, TEXT)


def same_bytes(one: Path, other: Path) -> bool:
    return all((one / n).read_bytes() == (other / n).read_bytes() for n in BYTES)


@pytest.mark.parametrize("stop_after", [1, 100, 300])
def test_resume_after_a_cancellation_gives_the_same_bytes(toy, cache: Cache, tmp_path, stop_after: int) -> None:
    build_features(toy, latents(), cache, tmp_path / "whole", SMALL)
    watched = Watched(lambda s: watched.cancel() if s.done >= stop_after else None, interval=0)
    with pytest.raises(Cancelled, match="resume"):
        build_features(toy, latents(), cache, tmp_path / "cut", SMALL, progress=watched)
    assert partial(tmp_path / "cut").exists() and not (tmp_path / "cut").exists()
    with pytest.raises(BadInput, match="unfinished"):
        build_features(toy, latents(), cache, tmp_path / "cut", SMALL)
    with pytest.raises(BadInput, match="not finished"):
        open_features(tmp_path / "cut")
    with pytest.raises(BadInput, match="begun differently.*seed was 0 and is now 1"):
        build_features(toy, latents(), cache, tmp_path / "cut", replace(SMALL, seed=1), resume=True)
    build_features(toy, latents(), cache, tmp_path / "cut", SMALL, resume=True)
    assert same_bytes(tmp_path / "whole", tmp_path / "cut")
    assert not partial(tmp_path / "cut").exists()


KILLED = """
import sys, time, torch
torch.set_num_threads(1)
sys.path[:0] = {path!r}
from small_tables import SMALL, latents
from probe.activations.cache import open_cache
from probe.features import build_features
from probe.features.measuring import build as building
from probe.model.load import load_model
save = building._save
def slow(*arguments):
    save(*arguments)
    time.sleep(0.5)
building._save = slow
build_features(load_model("toy"), latents(), open_cache({cache!r}), {folder!r}, SMALL)
"""


@pytest.mark.slow
def test_kill_minus_nine_then_resume_gives_the_same_bytes(toy, cache: Cache, tmp_path) -> None:
    build_features(toy, latents(), cache, tmp_path / "whole", SMALL)
    folder, root = tmp_path / "killed", Path(__file__).parents[2]
    code = KILLED.format(path=FOLDERS, cache=str(cache.folder), folder=str(folder))
    child = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    deadline = time.monotonic() + 60
    while not (partial(folder) / CHECKPOINT).exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    time.sleep(0.6)  # somewhere after the second shard
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not folder.exists() and (partial(folder) / CHECKPOINT).exists()
    build_features(toy, latents(), cache, folder, SMALL, resume=True)
    assert same_bytes(tmp_path / "whole", folder)


def test_a_finished_table_is_opened_and_other_settings_are_refused(toy, cache: Cache, table, planted) -> None:
    again = build_features(toy, planted, cache, table.folder, SMALL, resume=True)
    assert again.to_dict() == table.to_dict()
    with pytest.raises(BadInput, match="exists already"):
        build_features(toy, planted, cache, table.folder, SMALL)
    with pytest.raises(BadInput, match="begun differently: .*top was 5 and is now 6"):
        build_features(toy, planted, cache, table.folder, replace(SMALL, top=6), resume=True)
    with pytest.raises(BadInput, match="weights was"):
        build_features(
            toy, SAE(64, 4, sparsifier=ReLU(), site="blocks.0.hook_resid_pre"), cache, table.folder, resume=True
        )


def test_the_block_size_changes_nothing_but_rounding(toy, cache: Cache, tmp_path) -> None:
    tables = [
        build_features(toy, latents(), cache, tmp_path / str(b), replace(SMALL, block_bytes=b)) for b in (1, 20_000)
    ]
    one, other = tables
    for name in one.columns:
        if one.column(name).dtype == np.float32:
            assert np.allclose(one.column(name), other.column(name), atol=1e-4), name
    assert np.array_equal(one.column("fired"), other.column("fired"))
    assert np.array_equal(one.column("peaks"), other.column("peaks"))


def test_search_sort_and_pages(table: FeatureTable, neurons: FeatureTable) -> None:
    word = table.text.token(KNOWN[0])
    found = table.search(word, where="peaks")
    assert 0 in found.units and 3 not in found.units and found.total == len(found.units)
    assert table.search(table.text.token(101), where="promoted").units[0] in (0, 1, 3)
    densities = neurons.column("density")
    page = neurons.search(sort="density", descending=True, offset=10, limit=5)
    assert page.total == 128 and page.units == np.argsort(-densities, kind="stable")[10:15].tolist()
    some = neurons.search(density=(0.2, 0.4), limit=1000)
    assert some.total == ((densities >= 0.2) & (densities <= 0.4)).sum() and set(some.rows()[0]) >= {"name", "density"}
    assert neurons.search("no such text anywhere").total == 0
    json.dumps(page.to_dict(), allow_nan=False)
    with pytest.raises(BadInput, match="sorted by 'colour'"):
        neurons.search(sort="colour")
    with pytest.raises(BadInput, match="no list of tokens"):
        neurons.search("a", where="nowhere")  # type: ignore[arg-type]


def test_records_can_be_read_everywhere(table: FeatureTable, neurons: FeatureTable) -> None:
    for unit in (table.unit(0), neurons.unit(3)):
        json.dumps(unit.to_dict(), allow_nan=False)
        assert len(unit.figure().data) == 2
        assert unit.name in unit._repr_html_() and unit.rows() and unit.lists()
    json.dumps(table.to_dict(), allow_nan=False)
    assert len(table.figure().data) == 1 and "L0F0" in table._repr_html_()
    assert len(repr(neurons)) < 200 and len(neurons) == 128
    assert {"top", "bins", "near", "coactive", "inputs", "measured", "active"} <= set(table.unit(0).convention)


def test_hostile_tokens_are_text(neurons: FeatureTable) -> None:
    unit = neurons.unit(0)
    bad = "<script>alert(1)</script>"
    example = replace(unit.examples[0], tokens=[bad] * len(unit.examples[0].tokens), document=bad)
    scores = [s._replace(token=bad) for s in unit.promoted]
    hostile = replace(unit, examples=[example], promoted=scores)
    assert "<script>" not in hostile._repr_html_() and "&lt;script&gt;" in hostile._repr_html_()
    assert "<script>" not in hostile.figure().to_json()


def test_a_table_needs_neither_model_nor_cache(table: FeatureTable, tmp_path, toy) -> None:
    import shutil

    moved = Path(shutil.copytree(table.folder, tmp_path / "moved"))
    again = open_features(moved)
    assert again.unit(1) == table.unit(1)
    assert open_features(moved, toy).n_units == 4
    (moved / TEXT).unlink()
    with pytest.raises(Unavailable, match=TEXT):
        open_features(moved)


def test_the_manifest_says_how_it_was_made(table: FeatureTable, cache: Cache) -> None:
    manifest = read_manifest(table.folder, "features")
    assert manifest.parents[-1] == cache.folder.name and manifest.sites == ("blocks.0.hook_resid_pre",)
    assert manifest.facts["convention"]["coactive"].startswith("cosine")
    assert manifest.config["top"] == 5 and manifest.model is not None
    assert set(manifest.files) == set(BYTES)


def test_plan_is_near_the_truth(toy, cache: Cache, planted: Dictionary, tmp_path) -> None:
    planned = plan_features(toy, 2, cache, tmp_path, SMALL)
    built = build_features(toy, 2, cache, tmp_path / "n", SMALL)
    on_disk = sum((built.folder / n).stat().st_size for n in BYTES)
    assert 0.7 < planned.disk_bytes / on_disk < 1.5
    assert planned.n_units == 128 and planned.fits and planned.seconds > 0
    assert json.dumps(planned.to_dict()) and "memory" in planned._repr_html_()


def test_several_sites(toy, tmp_path) -> None:
    cache = harvest(
        toy, token_set(12), ["mlp_in.1", "mlp_in.2", "mlp_out.1", "mlp_out.2"], tmp_path / "c", dtype="float32"
    )
    ends = [[f"blocks.{i}.mlp.hook_{end}" for i in (1, 2)] for end in ("in", "out")]
    clt = CrossLayerTranscoder([64, 64], 16, [64, 64], sparsifier=TopK(3), sites_in=ends[0], sites_out=ends[1]).eval()
    with torch.no_grad():
        for part in clt.parts:
            part.W_dec.normal_()
    found = build_features(toy, clt, cache, tmp_path / "clt", SMALL)
    x = torch.cat([cache.rows(s, cache.eligible("all")) for s in ends[0]], 1)
    assert np.array_equal(found.column("fired"), (clt.encode(x) > 0).sum(0).numpy())
    assert found.name(3) == "L1F3" and found.name(19) == "L2F3"
    total = clt.parts[0].W_dec.view(16, 2, 64).sum(1)[3]
    assert "summed" in found.unit(0).convention["writes"]
    logits = (total * toy.ln_final.weight) @ toy.W_U
    assert found.unit(3).promoted[0].id == int(logits.argmax())
    crosscoder = Crosscoder([64, 64], 16, sparsifier=TopK(3), sites=ends[1]).eval()
    crossed = build_features(toy, crosscoder, cache, tmp_path / "cross", SMALL)
    assert crossed.column("fired").sum() > 0 and crossed.n_units == 16


def test_a_site_outside_the_stream_promotes_nothing(toy, cache: Cache, tmp_path) -> None:
    inside = SAE(64, 8, sparsifier=TopK(2), site="blocks.2.mlp.hook_in").eval()
    unit = build_features(toy, inside, cache, tmp_path / "f", SMALL).unit(0)
    assert not unit.promoted and "not in the residual stream" in unit.convention["writes"]
    assert unit.inputs and unit.near


def test_jumprelu_and_one_unit(toy, cache: Cache, tmp_path) -> None:
    d = SAE(64, 1, sparsifier=JumpReLU(l0=1), site="blocks.2.mlp.hook_out").eval()
    unit = build_features(toy, d, cache, tmp_path / "f", SMALL).unit(0)
    assert not unit.near and not unit.coactive


def poisoned(cache: Cache, tmp_path: Path, value: float) -> Cache:
    """The same cache with one number replaced in its second shard."""
    import shutil

    from safetensors.torch import load_file

    from probe.artifacts.manifest import write_manifest
    from probe.artifacts.tensors import write_tensors

    folder = Path(shutil.copytree(cache.folder, tmp_path / "poisoned"))
    path = folder / cache.layout.name_of(1)
    tensors = load_file(path)
    tensors["blocks.2.mlp.hook_in"][5, 3] = value
    files = {**cache.manifest.files, path.name: write_tensors(path, tensors)}
    write_manifest(folder, cache.manifest, files)  # as if the model had made it so
    return open_cache(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_are_refused(toy, cache: Cache, tmp_path, value: float) -> None:
    with pytest.raises(BadInput, match=r"mlp_in\.2 holds NaN or infinite numbers in shard 1 .*repair"):
        build_features(toy, latents(), poisoned(cache, tmp_path, value), tmp_path / "f", SMALL)
    assert not (tmp_path / "f").exists()


def test_what_does_not_belong_together_is_refused(toy, cache: Cache, planted, table, tmp_path) -> None:
    with pytest.raises(BadInput, match="was made from"):
        build_features(native(tokenizer=toy.tokenizer, d_vocab=512), planted, cache, tmp_path / "f")
    with pytest.raises(BadInput, match="was made from"):
        open_features(table.folder, native(tokenizer=toy.tokenizer, d_vocab=512))
    wrong = SAE(64, 4, sparsifier=ReLU(), site="blocks.3.hook_resid_post")
    with pytest.raises(BadInput, match=r"does not hold resid_post\.3"):
        build_features(toy, wrong, cache, tmp_path / "f")
    with pytest.raises(BadInput, match="reads 32 dimensions"):
        build_features(toy, SAE(32, 4, sparsifier=ReLU(), site="blocks.0.hook_resid_pre"), cache, tmp_path / "f")
    with pytest.raises(BadInput, match=r"mlp_post\.1 or mlp_in\.1"):
        build_features(toy, 1, cache, tmp_path / "f")
    with pytest.raises(BadInput, match="layers 0 to 3"):
        build_features(toy, 9, cache, tmp_path / "f")
    with pytest.raises(BadInput, match="Unit 4 .* 0 to 3"):
        table.unit(4)
    with pytest.raises(BadInput, match="Unit -1"):
        table.examples(-1)
    with pytest.raises(BadInput, match="no feature table"):
        open_features(tmp_path / "nothing")
    with pytest.raises(BadInput, match="no column 'colour'"):
        table.column("colour")
    assert not partial(tmp_path / "f").exists()


def test_a_full_disk_is_seen_before_work_starts(toy, cache: Cache, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("probe.artifacts.disk_space.shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(Unavailable, match="are free"):
        build_features(toy, 2, cache, tmp_path / "f", SMALL)
    assert not plan_features(toy, 2, cache, tmp_path, SMALL).fits
    assert not (tmp_path / "f").exists() and not partial(tmp_path / "f").exists()


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong, said in (({"top": 0}, "top"), ({"before": 40}, "before"), ({"pool": 3}, "pool")):
        with pytest.raises(BadInput, match=said):
            FeatureConfig(**wrong)


def test_counts_by_hand(table: FeatureTable, cache: Cache) -> None:
    """The measured tokens of a planted latent, counted over the cache without any of our code."""
    ids = cache.tokens()
    ordinary = Counter(ids.tokens[~ids.special].tolist())
    assert [table.unit(i).fired for i in range(3)] == [ordinary[t] for t in KNOWN]


def test_text_is_found_in_labels_and_examples_and_hits_say_where(table: FeatureTable, tmp_path: Path) -> None:
    """A word of several tokens is in no token, but in examples; against a search of every unit's examples by hand."""
    tokens, vocabulary = table.examples(0)[0].tokens, [token.casefold() for token in table.text.vocabulary]
    pairs = ("".join(tokens[i : i + 2]) for i in range(len(tokens) - 1))
    pair = next(p for p in pairs if p.isprintable() and not any(p.casefold() in token for token in vocabulary))
    texts = ["".join(e.tokens).casefold() for u in range(table.n_units) for e in table.examples(u)]
    owners = [u for u in range(table.n_units) for _ in table.examples(u)]
    wanted = sorted({u for u, text in zip(owners, texts, strict=True) if pair.casefold() in text})
    found = table.search(pair.upper(), where="examples", limit=10**6)
    assert found.units == wanted and 0 in wanted
    assert table.search(pair, limit=10**6).units == wanted
    assert found.matched[0].startswith("example '") and pair.casefold() in found.matched[0].casefold()

    copy = tmp_path / "copy"
    shutil.copytree(table.folder, copy)
    labelled = open_features(copy)
    set_label(copy, 3, "fires on the Eiffel Tower", author="me")
    hit = open_features(copy).search("eiffel")
    assert hit.units == [3] and hit.rows()[0]["matched"] == "label 'fires on the Eiffel Tower'"
    assert open_features(copy).search(label="*").matched == {3: "label 'fires on the Eiffel Tower'"}
    assert labelled.search("Eiffel", where="label").total == 1
    word = table.text.token(KNOWN[0])
    assert f"peaks {word!r}" in table.search(word, where="peaks").matched[0]
    assert not table.search(density=(0.0, 1.0)).matched
    with pytest.raises(BadInput, match="A text was wanted"):
        table.search(3)  # type: ignore[arg-type]
