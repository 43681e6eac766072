"""Harvesting: what is stored is what the model did, whatever happens on the way."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from harvests import CONTEXT, SITES, token_set

from probe.activations import harvest as harvest_module
from probe.activations import recorder
from probe.activations.harvest import harvest
from probe.activations.plan import plan
from probe.artifacts import tensors as shards
from probe.artifacts.records import read_record, write_record
from probe.errors import BadInput, Cancelled, Unavailable
from probe.interventions.forward import capture
from probe.model.sites import hook_name, parse_site
from probe.progress import Watched

SMALL = {"shard_tokens": 4 * CONTEXT, "batch": 2}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Two threads gain nothing on a toy and wait for each other when the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def everything(cache, site, dtype=torch.float32):
    return cache.rows(site, np.arange(cache.n_tokens), dtype)


def true_values(model, tokens, site):
    """What a whole forward pass of all rows at once says."""
    name = hook_name(parse_site(site), model)
    _, found = model.run_with_cache(tokens.tokens)
    return found[name].reshape(tokens.tokens.numel(), -1)


def shard_files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.glob("*.safetensors")}


EVERYWHERE = [
    "embed",
    "resid_pre.0",
    "q.1",
    "k.1",
    "z.2",
    "attn_out.3",
    "mlp_in.2",
    "mlp_post.0",
    "mlp_out.2",
    "resid_post.3",
]


@pytest.mark.parametrize("site", EVERYWHERE)
def test_float32_values_are_the_models_own(toy, tmp_path, site):
    tokens = token_set()
    cache = harvest(toy, tokens, [site], tmp_path / "c", dtype="float32", batch=len(tokens.tokens))
    assert torch.equal(everything(cache, site), true_values(toy, tokens, site))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_smaller_dtypes_round_and_nothing_more(toy, tmp_path, dtype):
    tokens = token_set()
    cache = harvest(toy, tokens, SITES, tmp_path / "c", dtype=dtype, batch=len(tokens.tokens))
    for site in SITES:
        rounded = true_values(toy, tokens, site).to(getattr(torch, dtype))
        assert torch.equal(everything(cache, site, getattr(torch, dtype)), rounded)
        assert torch.equal(everything(cache, site), rounded.float())


def test_sites_are_aligned_with_each_other_and_with_tokens_documents_and_positions(toy, tmp_path):
    tokens = token_set()
    cache = harvest(toy, tokens, SITES, tmp_path / "c", dtype="float32", **SMALL)
    assert cache.layout.shards == 4
    together = [{k: v.clone() for k, v in cache.shard(i).items()} for i in range(4)]
    joined = {k: torch.cat([s[k] for s in together]) for k in together[0]}
    assert torch.equal(joined["tokens"].long(), tokens.tokens.reshape(-1))
    assert torch.equal(joined["document"], tokens.doc.repeat_interleave(CONTEXT))
    assert torch.equal(joined["position"].long(), torch.arange(CONTEXT).repeat(len(tokens.tokens)))
    assert torch.equal(joined["special"], tokens.special.reshape(-1))
    for site in SITES:
        torch.testing.assert_close(joined[cache.site(site)], true_values(toy, tokens, site), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shard_rows", [1, 3, 14])
def test_mean_and_variance_are_over_ordinary_tokens_whatever_the_shards(toy, tmp_path, shard_rows):
    tokens = token_set()
    cache = harvest(toy, tokens, SITES, tmp_path / "c", shard_tokens=shard_rows * CONTEXT, batch=2)
    for site in SITES:
        kept = everything(cache, site, torch.float64).numpy()[~tokens.special.reshape(-1).numpy()]
        np.testing.assert_allclose(cache.mean(site).numpy(), kept.mean(0), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(cache.var(site).numpy(), kept.var(0), rtol=1e-12)
        assert cache.mean(site).dtype == cache.var(site).dtype == torch.float64
    assert cache.n_ordinary == len(kept)


@pytest.mark.parametrize("site", ["q.1", "mlp_in.1", "resid_post.1"])
def test_the_pass_stops_after_the_last_site(toy, tmp_path, site):
    fired = []
    watched = ["blocks.2.hook_in", "blocks.3.hook_out", "unembed.hook_out", "blocks.1.mlp.hook_out"]
    with toy.hooks(fwd_hooks=[(name, lambda value, hook: fired.append(hook.name)) for name in watched]):
        harvest(toy, token_set(), ["mlp_in.0", site], tmp_path / "c", **SMALL)
    assert set(fired) <= ({"blocks.1.mlp.hook_out"} if site == "resid_post.1" else set())


def test_the_model_is_left_as_it_was(toy, tmp_path):
    tokens = token_set().tokens
    before = toy(tokens)
    harvest(toy, token_set(), ["q.1", "mlp_in.1"], tmp_path / "c", **SMALL)
    assert torch.equal(toy(tokens), before)
    assert not any(point.fwd_hooks for point in toy.hook_dict.values())


def test_resuming_after_a_stop_gives_the_same_cache(toy, tmp_path, monkeypatch):
    whole = harvest(toy, token_set(), SITES, tmp_path / "whole", **SMALL)
    watched = Watched(lambda snapshot: watched.cancel() if snapshot.done >= 9 * CONTEXT else None, interval=0)
    with pytest.raises(Cancelled):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, progress=watched)
    assert not (tmp_path / "c").exists()
    assert {"shard-00000.safetensors", "shard-00001.safetensors"} <= set(shard_files(tmp_path / "c.partial"))

    ran = []
    monkeypatch.setattr(
        recorder, "capture", lambda model, ids, sites: ran.append(len(ids)) or capture(model, ids, sites)
    )
    again = harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, resume=True)
    assert sum(ran) == 14 - 8  # only the rows that were missing went through the model
    assert shard_files(again.folder) == shard_files(whole.folder)
    assert not (tmp_path / "c.partial").exists()


KILLED = """
import sys
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
from harvests import SITES, token_set
from probe.activations.harvest import harvest
from probe.model.load import load_model
from probe.progress import Watched
told = Watched(lambda snapshot: print(int(snapshot.done), flush=True), interval=0)
harvest(load_model("toy"), token_set(rows=600), SITES, {folder!r}, shard_tokens={shard}, batch=5, progress=told)
"""


@pytest.mark.slow
def test_kill_9_loses_at_most_one_shard_and_never_a_finished_one(toy, tmp_path):
    shard, unfinished = 50 * CONTEXT, tmp_path / "c.partial"
    code = KILLED.format(paths=sys.path, folder=str(tmp_path / "c"), shard=shard)
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=said)
        while not (unfinished / "shard-00003.safetensors").exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    survived = {k: v for k, v in shard_files(unfinished).items() if k.startswith("shard")}
    assert 4 <= len(survived) < 12
    done = int((tmp_path / "said").read_text().split("\n")[-2])
    assert done - len(survived) * shard <= shard

    again, whole = (
        harvest(toy, token_set(rows=600), SITES, tmp_path / name, shard_tokens=shard, batch=5, resume=name == "c")
        for name in ("c", "whole")
    )
    made = shard_files(again.folder)
    assert made == shard_files(whole.folder)
    assert all(made[name] == content for name, content in survived.items())


def test_a_torn_last_line_of_the_journal_is_ignored(toy, tmp_path, monkeypatch):
    whole = harvest(toy, token_set(), SITES, tmp_path / "whole", **SMALL)
    monkeypatch.setattr(harvest_module, "_finish", stop)
    with pytest.raises(KeyboardInterrupt):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    monkeypatch.undo()
    journal = tmp_path / "c.partial" / "journal.jsonl"
    journal.write_text(journal.read_text()[:-20])
    again = harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, resume=True)
    assert shard_files(again.folder) == shard_files(whole.folder)
    assert again.verify() == []


def test_a_finished_shard_that_lost_its_end_is_made_again(toy, tmp_path, monkeypatch):
    whole = harvest(toy, token_set(), SITES, tmp_path / "whole", **SMALL)
    monkeypatch.setattr(harvest_module, "_finish", stop)
    with pytest.raises(KeyboardInterrupt):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    monkeypatch.undo()
    with (tmp_path / "c.partial" / "shard-00001.safetensors").open("r+b") as file:
        file.truncate(100)
    again = harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, resume=True)
    assert shard_files(again.folder) == shard_files(whole.folder)


def test_a_folder_in_the_way_that_is_no_harvest_is_refused(toy, tmp_path):
    (tmp_path / "c.partial").mkdir()
    (tmp_path / "c.partial" / "letter.txt").write_text("mine")
    with pytest.raises(BadInput, match="nothing that could be continued"):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, resume=True)


def stop(*_):
    raise KeyboardInterrupt


def test_resume_refuses_other_settings_and_says_which(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(harvest_module, "_finish", stop)
    with pytest.raises(KeyboardInterrupt):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    monkeypatch.undo()
    for other in ({"dtype": "float32"}, {"batch": 3}):
        with pytest.raises(BadInput, match=f"{next(iter(other))} was"):
            harvest(toy, token_set(), SITES, tmp_path / "c", **{**SMALL, **other}, resume=True)
    with pytest.raises(BadInput, match="token_set was"):
        harvest(toy, token_set(seed=5), SITES, tmp_path / "c", **SMALL, resume=True)
    with pytest.raises(BadInput, match="unfinished harvest"):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)


def test_what_is_finished_is_opened_on_resume_and_never_overwritten(toy, tmp_path, monkeypatch):
    first = harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    monkeypatch.setattr(recorder, "capture", stop)  # nothing is computed again
    assert harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, resume=True).manifest == first.manifest
    with pytest.raises(BadInput, match="exists already"):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    with pytest.raises(BadInput, match=r"other settings \(dtype\)"):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, dtype="float32", resume=True)


def test_two_harvests_do_not_share_a_folder(toy, tmp_path, monkeypatch):
    def second(*args):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, resume=True)

    monkeypatch.setattr(harvest_module, "_finish", second)
    with pytest.raises(BadInput, match="right now"):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)


def test_too_little_space_is_said_before_anything_is_written(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("probe.artifacts.disk_space.shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(Unavailable, match="are free"):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_keeps_the_finished_shards(toy, tmp_path, monkeypatch):
    whole = harvest(toy, token_set(), SITES, tmp_path / "whole", **SMALL)
    asked, honest = [], os.posix_fallocate

    def reserve(file, offset, size):
        asked.append(size)
        if len(asked) == 4:  # the tokens, two shards, and then no more
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(file, offset, size)

    monkeypatch.setattr(shards.os, "posix_fallocate", reserve)
    with pytest.raises(Unavailable, match=r"disk is full .* resume"):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    monkeypatch.undo()
    assert set(shard_files(tmp_path / "c.partial")) == {
        "tokens.safetensors",
        "shard-00000.safetensors",
        "shard-00001.safetensors",
    }
    assert shard_files(harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, resume=True).folder) == shard_files(
        whole.folder
    )


TOO_MUCH = [(1e6, r"mlp_out\.2 reaches .*bfloat16.*float32"), (float("nan"), r"produced nan at mlp_out\.2")]


@pytest.mark.parametrize(("factor", "message"), TOO_MUCH)
def test_values_that_do_not_fit_are_refused_by_name(toy, tmp_path, factor, message):
    def blow_up(value, hook):
        return value * factor

    with (
        toy.hooks(fwd_hooks=[(hook_name(parse_site("mlp_out.2"), toy), blow_up)]),
        pytest.raises(BadInput, match=message),
    ):
        harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)


def test_bfloat16_holds_what_float16_does_not(toy, tmp_path):
    with toy.hooks(fwd_hooks=[(hook_name(parse_site("mlp_out.2"), toy), lambda value, hook: value * 1e6)]):
        cache = harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL, dtype="bfloat16")
    assert everything(cache, "mlp_out.2").abs().max() > 65504


NOTHING = replace(token_set(), tokens=token_set().tokens[:0], doc=token_set().doc[:0], special=token_set().special[:0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sites": ["mlp_inn.2"]}, "Did you mean"),
        ({"sites": ["mlp_in.99"]}, "layers 0 to 3"),
        ({"sites": ["pattern.1"]}, "no width"),
        ({"sites": []}, "No site"),
        ({"dtype": "int8"}, "int8"),
        ({"shard_tokens": 3}, "one row of 12"),
        ({"batch": 0}, "at least 1"),
        ({"held_out": 1.0}, "below 1"),
        ({"tokens": NOTHING}, "no rows"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(toy, tmp_path, wrong, message):
    with pytest.raises(BadInput, match=message):
        harvest(toy, **{"tokens": token_set(), "sites": SITES, "folder": tmp_path / "c", **wrong})
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_says_what_the_cache_is(toy, tmp_path):
    cache = harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    manifest = cache.manifest
    assert manifest.kind == "cache"
    assert manifest.model is not None
    assert manifest.model.name == "toy"
    assert set(manifest.sites) == {parse_site(s).name for s in SITES}
    assert manifest.dtype == "float16"
    assert manifest.files["shard-00000.safetensors"].startswith("crc32:")
    assert "mlp_in.2 (64)" in repr(cache)
    assert "mlp_in.2" in cache._repr_html_()


def test_a_plan_foretells_the_cache_and_writes_nothing(toy, tmp_path):
    planned = plan(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    assert list(tmp_path.iterdir()) == []
    cache = harvest(toy, token_set(), SITES, tmp_path / "c", **SMALL)
    size = sum(p.stat().st_size for p in cache.folder.iterdir() if p.suffix == ".safetensors")
    assert 0.9 * size < planned.bytes < 1.3 * size
    assert (planned.tokens, planned.text_rows, planned.shards) == (cache.n_tokens, 14, 4)
    assert planned.sites == dict.fromkeys(("mlp_in.2", "mlp_out.2", "resid_post.1"), 64)
    assert planned.fits
    assert planned.to_dict()["rows"] == 14 and planned.rows()[0]["shards"] == 4
    write_record(tmp_path, planned)
    was = tmp_path / "record.json"
    was.write_text(was.read_text().replace("text_rows", "rows"))  # as it was named before
    assert read_record(tmp_path) == planned
    assert planned.seconds is not None
    assert planned.seconds > 0
    assert plan(toy, token_set(), SITES, tmp_path, measure=False).seconds is None


def test_interventions_in_force_are_harvested(toy, tmp_path):
    from probe.interventions.running import intervene
    from probe.interventions.values import Zero

    with intervene(toy, [Zero("mlp_out.2")]):
        cache = harvest(toy, token_set(), ["mlp_out.2"], tmp_path / "c", **SMALL)
    assert not everything(cache, "mlp_out.2").any()
    assert "blocks.2.mlp.hook_out" in cache.manifest.config["hooks"]
    assert capture(toy, token_set().tokens, ["mlp_out.2"])["blocks.2.mlp.hook_out"].any()
