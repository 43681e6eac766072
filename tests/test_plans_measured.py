"""What a harvest and a training announce, beside what a fresh process takes: little more, a training never less."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from probe.live_bytes import peak_bytes

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peaks are read from /proc, on Linux"
)

SCRIPT = """
import json, sys, tempfile, torch
torch.set_num_threads(1)
def status(key):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))
def peak(run):
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    run()
    return status("VmHWM") - before
folder = tempfile.mkdtemp()
"""
HARVEST = """
from probe.harvest_plan import plan
from probe.harvester import harvest
from probe.models import load_model
from probe.tokens import TokenSet
def tokens(rows, context):
    special = torch.zeros(rows, context, dtype=torch.bool)
    ids = torch.randint(3, 300, (rows, context), generator=torch.Generator().manual_seed(0))
    return TokenSet(ids, torch.arange(rows, dtype=torch.int32), [str(i) for i in range(rows)], special)
model, sites = load_model("toy"), ["mlp_post.3"]
harvest(model, tokens(1, 16), sites, folder + "/first", batch=1)
asked = dict(batch=64, dtype="float32")
told = plan(model, tokens(256, 100), sites, folder, measure=False, **asked).memory_bytes
took = peak(lambda: harvest(model, tokens(256, 100), sites, folder + "/c", **asked))
print(json.dumps([told, took]))
"""
TRAIN = """
from probe.dictionaries import Transcoder
from probe.pairs import TensorPairs
from probe.recipes import parse_rule
from probe.trainer import TrainConfig, plan, train
def go(width, d_dict, batch, name):
    x = torch.randn(3 * batch, width, generator=torch.Generator().manual_seed(0))
    pairs, config = TensorPairs(x, x.clone()), TrainConfig(batch=batch, epochs=1, checkpoint_every=2)
    made = []
    def run():
        made.append(Transcoder(width, d_dict, width, sparsifier=parse_rule(RULE, d_dict), skip=True))
        train(made[0], pairs, config, folder + name)
    took = peak(run)
    return [plan(made[0], pairs, config).memory_bytes, took]
go(8, 64, 32, "/first")
print(json.dumps(go(*SHAPE, "/d")))
"""


def measured(script):
    made = subprocess.run([sys.executable, "-c", SCRIPT + script], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-2000:]
    return json.loads(made.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "shape"),
    [("topk:32", (256, 4096, 512)), ("gated:2", (256, 4096, 512)), ("topk:8", (576, 96, 1024))],
)
def test_a_training_takes_what_was_announced(rule, shape):
    told, took = measured(f"RULE, SHAPE = {rule!r}, {shape}\n{TRAIN}")
    assert took <= told <= 1.3 * took, f"{told / 1e6:.0f} MB announced, {took / 1e6:.0f} MB taken"


@pytest.mark.slow
def test_a_harvest_takes_at_most_what_was_announced():
    """How much freed memory goes back to the system is luck: the same harvest takes 54 to 90 MB, of which 52 are its tensors.
    What is announced is for the worst of runs: none may take a tenth more, and the largest of a few must come near."""
    most = 0
    for _ in range(4):
        told, took = measured(HARVEST)
        assert 0.9 * took <= told, f"{told / 1e6:.0f} MB announced, {took / 1e6:.0f} MB taken"
        most = max(most, took)
        if told <= 1.3 * most:
            return
    pytest.fail(f"{told / 1e6:.0f} MB announced, at most {most / 1e6:.0f} MB taken")


def test_live_bytes_are_counted_when_made_and_taken_off_when_freed():
    x = torch.ones(1000)  # there before: not counted

    def run():
        y = x * 2  # 4,000 bytes
        y = y + x.view(10, 100).reshape(-1)  # another, while the first is alive; views take none
        return y * 1  # the first is gone by now

    assert peak_bytes(run) == 8000
    assert peak_bytes(lambda: [x * i for i in range(5)]) == 20000
