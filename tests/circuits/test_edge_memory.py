"""What attributions of edges announce beside what a fresh process takes, for few pairs and for many."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from /proc, on Linux"),
]
SCRIPT = """
import ctypes, gc, json, sys, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import tiny
size = {"hidden_size": 288, "intermediate_size": 768, "num_hidden_layers": 12, "num_attention_heads": 9}
tiny.CONFIGS["llama"] = {"model_type": "llama", **size, "num_key_value_heads": 3, "max_position_embeddings": 64}
from edge_pairs import pairs_for
from circuits.edge_attribution.attribute import attributed
from circuits.edge_attribution.eap import AtClean, InputPath
from circuits.edge_attribution.plan import EdgeConfig, room_for
from circuits.edge_attribution.relp import Relevance
from probe.progress import SILENT
def status(key):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))
model = tiny.tiny("llama", "float32")
for weight in model.parameters():
    torch.nn.init.normal_(weight, std=0.02)
clean = torch.randint(5, 400, (64, 18), generator=torch.Generator().manual_seed(0))
corrupted = clean.clone()
corrupted[:, 5] = (corrupted[:, 5] + 7) % 400
pairs, config, found = pairs_for(model, clean.tolist(), corrupted.tolist()), EdgeConfig(), {}
for name, how, n in (("eap", AtClean(), 8), ("eap", AtClean(), 64), ("relp", Relevance(), 64), ("eap-ig", InputPath(2), 64)):
    some = pairs.some(range(n))
    told = room_for(model, some, how, config)[1]
    gc.collect(), ctypes.CDLL("libc.so.6").malloc_trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    attributed(model, some, how, config, SILENT)
    found[f"{name} of {n} pairs"] = [told, status("VmHWM") - before]
print(json.dumps(found))
"""


def test_edges_take_what_they_announce_for_8_pairs_and_for_64():
    """Measured: from 0.80 to 1.16 of it; the heap's holes are a matter of luck."""
    support = str(Path(__file__).resolve().parents[1] / "support")
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT, support], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    assert len(found) == 4
    for name, (told, took) in found.items():
        assert 0.7 < took / told < 1.3, (name, told, took)
