"""A small feature table: random latents of one layer, and how they are measured."""

import torch

from probe.dictionaries import Dictionary, TopK, Transcoder
from probe.features import FeatureConfig

SMALL = FeatureConfig(
    top=5, pool=10, bins=2, per_bin=2, window=6, before=4, tokens=4, neighbours=3, min_joint=2, min_count=2
)


def latents(seed: int = 0) -> Dictionary:
    site = {"site_in": "blocks.2.mlp.hook_in", "site_out": "blocks.2.mlp.hook_out"}
    d = Transcoder(64, 32, sparsifier=TopK(4), seed=seed, **site)
    with torch.no_grad():
        d.W_dec.copy_(d.W_enc.t())
    return d.eval()
