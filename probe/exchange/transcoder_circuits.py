"""transcoder_circuits checkpoints (Dunefsky et al. 2024): one `.pt` file with weights and a pickled settings object. Read only.

encode(x) = relu((x - b_dec) @ W_enc + b_enc),   decode(f) = f @ W_dec + b_dec_out   (b_dec for an SAE).   The settings object is
read without being made (see `unpickle`). Models were prepared with norms folded away there, so a transcoder that reads
`ln2.hook_normalized` reads what the norm computes before its weight and bias, and a stream there has no mean.
"""

from collections.abc import Mapping
from pathlib import Path

from probe.dictionaries import ReLU
from probe.errors import BadInput
from probe.exchange.files import facts_of, is_zip, take
from probe.exchange.foreign import Foreign, Format
from probe.exchange.places import ours
from probe.exchange.settings import TRAINING, only_known
from probe.exchange.unpickle import Inert, read_torch
from probe.exchange.weights import Weights

READ = (
    "hook_point",
    "out_hook_point",
    "hook_point_layer",
    "is_transcoder",
    "d_in",
    "d_sae",
    "d_out",
    "dtype",
    "out_hook_point_layer",
)
_KEPT = (
    "model_name",
    "hook_point",
    "out_hook_point",
    "hook_point_layer",
    "dataset_path",
    "context_size",
    "l1_coefficient",
)


def find(root: Path) -> list[str]:
    if root.is_file():
        return ["."] if root.suffix == ".pt" and is_zip(root) else []
    found = root.glob("*.pt") if root.is_dir() else []
    return sorted(p.name for p in found if p.name != "ae.pt" and "sparsity" not in p.name and is_zip(p))


def read(root: Path, name: str) -> Foreign:
    path = root if root.is_file() else root / name
    found, source = read_torch(path), str(path)
    state = found.get("state_dict") if isinstance(found, dict) else None
    if not isinstance(state, dict):
        raise BadInput(f"{path} is no checkpoint of transcoder_circuits: it has no state_dict beside its settings.")
    t = take(state, source, ("W_enc", "b_enc", "W_dec", "b_dec"), ("b_dec_out",))
    written = t.get("b_dec_out", t["b_dec"])
    raw = Weights(t["W_enc"], t["b_enc"], t["W_dec"], written, ReLU())
    if t["b_dec"].shape != t["W_enc"].shape[:1]:
        raise BadInput(f"{path}: b_dec is {tuple(t['b_dec'].shape)}; it is taken off an input of {len(t['W_enc'])}.")
    weights = raw.sound(source).centred(t["b_dec"])
    cfg = found.get("cfg")  # an object, or a dict
    stated = cfg.state if isinstance(cfg, Inert) else cfg
    if isinstance(stated, Mapping):
        only_known(stated, READ, TRAINING, source)
    settings = facts_of(stated, _KEPT)
    site_in, site_out = ours(str(settings.get("hook_point") or "")), ours(str(settings.get("out_hook_point") or ""))
    if "b_dec_out" not in t:
        site_out = site_in
    elif not (site_in and site_out):
        site_in, site_out = site_in or "input", site_out or "output"
    return Foreign(source, (weights,), (site_in,), (site_out,), settings, norm_is_plain=True, centred=True)


FORMAT = Format("transcoder-circuits", "transcoder_circuits: a .pt file (read only)", find, read)
