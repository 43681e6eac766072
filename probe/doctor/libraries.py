"""Whether the installed libraries are those Openwork was tested with, and whether text is generated rightly with them.

A library can move without an error anywhere: a keyword renamed between two of them once made every generated token depend on one
token instead of the text. So versions are compared with the ranges the package asks for, and ten tokens are generated twice, with
keys and values kept and without, and compared.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


TOKENS = 10
_CLOSE = 1e-2  # of log-probabilities in nats; a cache that forgets is off by whole nats


def ranges() -> Iterator[tuple[str, str, bool | None]]:
    """Each library Openwork asks for: its name, what was found and what is wanted in words, and whether the two agree."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(text) for text in requires("openwork") or ()]
    except PackageNotFoundError:
        return
    for one in sorted(wanted, key=lambda r: r.name):
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(one.name)
        except PackageNotFoundError:
            yield one.name, f"not installed; {one.specifier} was wanted", False
            continue
        tested = one.specifier.contains(found, prereleases=True)
        yield one.name, found if tested else f"{found}; tested with {one.specifier}", tested


def generation() -> str:
    """`ok`, or in a sentence what is wrong with generated text. On a tiny random model: libraries treat all models alike."""
    from probe.errors import OpenworkError

    try:
        gap = largest_gap(_tiny_llama(), [1, 5, 9, 14, 3])
    except OpenworkError as error:
        return str(error)
    if gap < _CLOSE:
        return "ok"
    return f"over {TOKENS} tokens, log-probabilities with keys and values kept are off by up to {gap:.2g} nats"


def largest_gap(model: "TransformerBridge", prompt: list[int]) -> float:
    """The largest difference of log-probabilities over `TOKENS` tokens generated with keys and values kept, and without."""
    import torch

    from probe.model.key_value_cache import NextToken

    kept, anew, gap = NextToken(model), NextToken(model, cached=False), 0.0
    ids = torch.tensor([prompt], device=model.cfg.device)
    for _ in range(TOKENS):
        found, wanted = kept(ids).log_softmax(-1), anew(ids).log_softmax(-1)
        gap = max(gap, float((found - wanted).abs().max()))
        ids = torch.cat([ids, wanted.argmax(-1)[:, None]], 1)
    return gap


def _tiny_llama() -> "TransformerBridge":
    """A random model of the default one's architecture, with the toy's tokenizer; nothing is fetched."""
    import tempfile

    import torch
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import LlamaConfig, LlamaForCausalLM

    from probe.model.toy import toy_tokenizer

    tokenizer = toy_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager").eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.25)
    with tempfile.TemporaryDirectory() as folder:
        config.architectures = ["LlamaForCausalLM"]
        config.save_pretrained(folder)
        return TransformerBridge.boot_transformers(folder, hf_model=model, tokenizer=tokenizer, dtype=torch.float32)
