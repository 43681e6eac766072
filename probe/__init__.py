"""Openwork's looking half: a model, its activations, and what is learned from them. Importing does no work.

import probe
model = probe.load_model("smollm2-135m")
with probe.intervene(model, [probe.Zero(probe.head(9, 6))]):
    logits = model(tokens)
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "load_model": "probe.models",
    "stamp": "probe.models",
    "parse_site": "probe.sites",
    "Site": "probe.sites",
    "sites_of": "probe.sites",
    "resid_pre": "probe.sites",
    "resid_post": "probe.sites",
    "mlp_in": "probe.sites",
    "mlp_out": "probe.sites",
    **dict.fromkeys(
        (
            "intervene",
            "Place",
            "place",
            "head",
            "neuron",
            "Zero",
            "Mean",
            "Patch",
            "Steer",
            "Scale",
            "Clamp",
            "Freeze",
            "Knockout",
            "Splice",
        ),
        "probe.interventions",
    ),
    **dict.fromkeys(("UnitEdit", "edit_units", "unit_values"), "probe.unit_edits"),
    "edited_run": "probe.edited",
    "compare_prompts": "probe.compared",
    "generate_with": "probe.continued",
    "capture": "probe.forward",
    "logit_lens": "probe.lens",
    "head_patterns": "probe.heads",
    "head_table": "probe.head_scores",
    **dict.fromkeys(("read_head", "ablate_head"), "probe.head_reading"),
    "direct_logits": "probe.head_logits",
    "copying_scores": "probe.head_weights",
    "follow_token": "probe.lens_follow",
    "top_units": "probe.neurons",
    "corpus": "probe.text",
    "tokenize": "probe.tokens",
    "harvest": "probe.harvester",
    "open_cache": "probe.cache",
    "LiveActivations": "probe.live",
    "load_dictionary": "probe.dictionaries",
    **dict.fromkeys(("import_dictionary", "import_dictionaries", "export_dictionary"), "probe.exchange"),
    "train": "probe.trainer",
    "evaluate": "probe.evals",
    "evaluate_many": "probe.evals",
    "run_suite": "probe.suite",
    "sample_text": "probe.sampled",
    **dict.fromkeys(("build_features", "open_features", "plan_features"), "probe.features"),
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used; torch alone takes two seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'probe' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
