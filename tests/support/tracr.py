"""Transformers compiled from programs (Lindner et al. 2023), from their weights: no training, a circuit known by construction."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources import native as _native  # noqa: F401  (attaches boot_native)
from transformer_lens.utilities.tracr import (
    make_tracr_transformer_bridge_config,
    make_tracr_transformer_bridge_state_dict,
)

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"
OUTPUTS = {"reverse": ["reverse_1:a", "reverse_1:b", "reverse_1:c"], "xproportion": ["frac_prevs_7"]}
"""The coordinates of the stream in which each program answers."""


def expected(name: str, ablation: str) -> set[str]:
    """Edges whose patching alone moves the output."""
    return set(json.loads((FIXTURES / "tracr_expected_edges.json").read_text())[name][ablation])


def compiled(name: str) -> tuple[TransformerBridge, dict[str, int]]:
    """The model of a program, whose logits are its output's coordinates, and the ids of its tokens."""
    settings = json.loads((FIXTURES / f"tracr_{name}.json").read_text())
    params: dict[str, dict[str, Any]] = {}
    stored = np.load(FIXTURES / f"tracr_{name}.npz")
    for key in stored.files:
        module, _, weight = key.partition("|")
        params.setdefault(module, {})[weight] = stored[key]
    labels = [f"{one.partition(':')[0]}:{one}" if ":" not in one else one for one in settings["residual_labels"]]
    wanted = [f"{one}:{one}" if ":" not in one else one for one in OUTPUTS[name]]
    program = SimpleNamespace(
        params=params,
        model_config=SimpleNamespace(
            num_layers=settings["num_layers"],
            num_heads=settings["num_heads"],
            key_size=settings["key_size"],
            mlp_hidden_size=settings["mlp_hidden_size"],
            causal=settings["causal"],
            layer_norm=settings["layer_norm"],
        ),
        residual_labels=labels,
        output_encoder=SimpleNamespace(encoding_map={one.partition(":")[2]: i for i, one in enumerate(wanted)}),
    )
    model = TransformerBridge.boot_native(make_tracr_transformer_bridge_config(program))
    label = wanted[0].partition(":")[0]
    weights = make_tracr_transformer_bridge_state_dict(program, label, dtype=torch.float64)
    weights = {key.replace("mlp.fc_", "mlp."): value for key, value in weights.items()}  # as this version names them
    model.to(torch.float64)
    model.load_state_dict({**weights, "head.bias": torch.zeros(len(wanted), dtype=torch.float64)})
    return model, settings["encoding"]
