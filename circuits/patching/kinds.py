"""What a sweep patches, one thing at a time: the names people choose from, and where each of them is in the model.

No torch here: the dashboard lists these before any model is loaded.
"""

from dataclasses import dataclass
from typing import Literal

Over = Literal[
    "resid_pre",
    "resid_mid",
    "resid_post",
    "attn_out",
    "mlp_out",
    "heads",
    "head_z_by_pos",
    "head_q",
    "head_k",
    "head_v",
    "head_pattern",
    "head_pattern_by_pos",
    "neurons",
]
"""What a sweep may be over: the names of `KINDS`."""
Direction = Literal["denoise", "noise"]
Metric = Literal["logit_diff", "log_prob", "kl"]


@dataclass(frozen=True)
class Kind:
    """site: the kind of `probe.model.sites` that is patched. axes: what one patch is chosen by. label, meaning: for people."""

    site: str
    axes: tuple[str, ...]
    label: str
    meaning: str

    @property
    def by_pos(self) -> bool:
        return "pos" in self.axes

    @property
    def by_head(self) -> bool:
        return self.axes[1] != "pos"


_AT, _HEAD, _HEAD_AT = ("layer", "pos"), ("layer", "head"), ("layer", "head", "pos")
KINDS: dict[str, Kind] = {
    "resid_pre": Kind("resid_pre", _AT, "residual stream before each layer", "the stream at one position"),
    "resid_mid": Kind("resid_mid", _AT, "residual stream between attention and MLP", "the stream at one position"),
    "resid_post": Kind("resid_post", _AT, "residual stream after each layer", "the stream at one position"),
    "attn_out": Kind("attn_out", _AT, "attention outputs", "what a layer's attention writes at one position"),
    "mlp_out": Kind("mlp_write", _AT, "MLP outputs", "what a layer's MLP writes at one position"),
    "heads": Kind("z", _HEAD, "heads", "what one head has gathered, at every position"),
    "head_z_by_pos": Kind("z", _HEAD_AT, "heads by position", "what one head has gathered at one position"),
    "head_q": Kind("q", _HEAD, "queries", "one head's queries, before any norm of theirs, at every position"),
    "head_k": Kind(
        "k", ("layer", "kv_head"), "keys", "one key head's keys, before any norm of theirs, at every position"
    ),
    "head_v": Kind("v", ("layer", "kv_head"), "values", "one value head's values, at every position"),
    "head_pattern": Kind("pattern", _HEAD, "attention patterns", "where one head looks, from every position"),
    "head_pattern_by_pos": Kind(
        "pattern", _HEAD_AT, "attention patterns by position", "where one head looks from one position"
    ),
    "neurons": Kind("mlp_post", ("layer", "neuron"), "neurons", "one neuron's activation, at every position"),
}
"""Sweeps by name. Queries and keys are those before their norm and rotation: where one norm spans all heads (OLMo 2), putting in
one head's moves the others' too. `mlp_out` and `attn_out` are what reaches the residual stream (after any post-norm)."""

DIRECTIONS = {
    "denoise": "run the corrupted prompt, patch in the clean run: how much is restored",
    "noise": "run the clean prompt, patch in the corrupted run: how much is broken",
}
METRICS = {
    "logit_diff": "logit of the right answer minus logit of the wrong one",
    "log_prob": "log probability of the right answer (nats)",
    "kl": "KL from the clean prediction (nats; 0 is the clean run)",
}
METRIC_LABELS = {"logit_diff": "logit difference", "log_prob": "log probability", "kl": "KL to the clean run"}
