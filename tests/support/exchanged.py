"""What the tests of exchanged dictionaries share: random dictionaries, and how to compare one with its origin."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from probe.dictionaries import SAE, Dictionary, Sparsifier, TopK, Transcoder

D, F, OUT, K = 12, 40, 10, 6
X = torch.randn(64, D, generator=torch.Generator().manual_seed(7))
MLP = {"site_in": "blocks.2.mlp.hook_in", "site_out": "blocks.2.mlp.hook_out"}
RESID = "blocks.3.hook_resid_post"


def filled(module: Any, seed: int = 0) -> Any:
    """With every weight, bias and threshold random, so that a forgotten or transposed one shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.dtype.is_floating_point:
                random = torch.randn(value.shape, generator=generator)
                is_threshold = name.endswith("threshold")
                value.copy_(random.abs() * 0.5 + 0.2 if is_threshold else random * 0.4)
    return module


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.4


def same(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert ours.abs().max() > 0.1  # not both silent


def sae(rule: Sparsifier, seed: int = 1) -> Dictionary:
    return filled(SAE(D, F, sparsifier=rule, site=RESID), seed).eval()


def transcoder(rule: Sparsifier, skip: bool = False, d_out: int = OUT, seed: int = 2) -> Dictionary:
    return filled(Transcoder(D, F, d_out, sparsifier=rule, skip=skip, **MLP), seed).eval()


def alike(dictionary: Dictionary, theirs: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
    """Compare latents and reconstructions."""
    latents, recons = theirs(X)
    same(dictionary.encode(X), latents.detach())
    same(dictionary(X).recons, recons.detach())
    same(dictionary.decode(latents.detach(), X), recons.detach())


def of_layer(layer: int, rule: Sparsifier, skip: bool) -> Dictionary:
    sites = {"site_in": f"blocks.{layer}.mlp.hook_in", "site_out": f"blocks.{layer}.mlp.hook_out"}
    return filled(Transcoder(D, F, D, sparsifier=rule, skip=skip, **sites), layer).eval()


def tracer(t: dict[str, Tensor], k: int | None = None) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """A per-layer transcoder as circuit-tracer computes it: F.linear, its activation, acts @ W_dec, skip transposed."""

    def run_(x: Tensor) -> tuple[Tensor, Tensor]:
        pre = torch.nn.functional.linear(x, t["W_enc"], t["b_enc"])
        acts = pre.relu()
        if "activation_function.threshold" in t:
            acts = pre * (pre > t["activation_function.threshold"])
        if k is not None:
            acts = acts * torch.zeros_like(pre).scatter(1, pre.topk(k).indices, 1.0)
        skip = x @ t["W_skip"].T if "W_skip" in t else 0
        return acts, acts @ t["W_dec"] + t["b_dec"] + skip

    return run_


def coder(layer: int, d_model: int, d_dict: int = 12, seed: int = 0, skip: bool = False) -> torch.nn.Module:
    """A random transcoder of one layer, in float64."""
    ends = {"site_in": f"blocks.{layer}.mlp.hook_in", "site_out": f"blocks.{layer}.mlp.hook_out"}
    made = Transcoder(d_model, d_dict, sparsifier=TopK(3), skip=skip, seed=seed, **ends).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)).double() * 0.3)
    return made.requires_grad_(False)
