"""Are a model's weights all there, and numbers?

transformers fills in what a checkpoint lacks with random weights and passes over what it does not know, with a line in a log:
the model then answers, and nothing it says is true. So its report of the loading is read, and whatever is missing, left over
or of another shape is refused by name. A weight that is tied to another (an unembedding that is the embedding) may be absent.
Every container ends here, a folder's safetensors or .bin files, whole or in shards, and a GGUF file.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from probe.artifacts.untrusted import plain_file
from probe.errors import Unavailable

_SHOWN = 3
_MASKS = re.compile(r"(^|\.)((attn|attention)\.bias|masked_bias|rotary(_emb)?\.inv_freq|position_ids)$")
"""Constants (causal masks, rotary frequencies, counts) that older files hold beside the weights."""


def check_files(folder: Path) -> None:
    """Refuse a folder that holds a part of a model, or that names weights outside of itself."""
    if (folder / "adapter_config.json").is_file():
        raise Unavailable(
            f"{folder} holds an adapter (adapter_config.json), which is a part of a model: it changes another model's weights. "
            "Merge it into that model (merge_and_unload in peft), save the whole, and load that."
        )
    for index in sorted(folder.glob("*.index.json")):
        for name in _indexed(index):
            if Path(name).name != name:
                raise Unavailable(
                    f"{index} names {name[:120]!r}, which is not in its folder. Nothing outside it is read."
                )
            if not (folder / name).is_file():
                raise Unavailable(
                    f"{folder} holds a part of a model: {index.name} names {name[:120]}, which is not there. Fetch all its files."
                )


def require_plain(folder: Path) -> None:
    """Refuse pipes and devices in a model's folder: reading one may never end."""
    for path in folder.iterdir():
        if path.exists() and not path.is_dir():
            plain_file(path)


def _indexed(index: Path) -> list[str]:
    try:
        return sorted({str(name) for name in json.loads(index.read_text(encoding="utf8"))["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(
            f"{index} is damaged: it does not say which file holds which weight. Fetch it again."
        ) from error


def check_whole(model: Any, info: dict[str, Any], source: str) -> None:
    """Refuse what loading left out or made up, and weights that are no numbers."""
    found = [
        _named("lack", info["missing_keys"]),
        _named(
            "hold weights that this family does not know", [k for k in info["unexpected_keys"] if not _MASKS.search(k)]
        ),
        _named("hold weights of another shape", [_shape(*key) for key in info["mismatched_keys"]]),
        _named("were read with errors", info["error_msgs"]),
    ]
    if wrong := "; they ".join(part for part in found if part):
        raise Unavailable(
            f"The weights of '{source}' do not make a whole {type(model).__name__}: they {wrong}. It may be one part of several "
            "files, an unfinished download, or another model than its configuration says; the missing would be random."
        )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise Unavailable(
            f"'{source}' is an adapter on top of another model. Merge the two, save the whole, and load that."
        )
    check_finite(model, source)


def _named(what: str, names: Iterable[str]) -> str:
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"{what}: {', '.join(name[:120] for name in ordered[:_SHOWN])}{more}" if ordered else ""


def _shape(name: str, stored: Any, wanted: Any) -> str:
    return f"{name} {tuple(stored)}, where {tuple(wanted)} was wanted"


def check_finite(model: torch.nn.Module, source: str) -> None:
    """Refuse weights with NaN or infinity in them: one is enough to make every answer NaN."""
    wrong = [name for name, weight in model.named_parameters() if weight.is_floating_point() and not _finite(weight)]
    if wrong:
        dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
        narrow = ", or its numbers do not fit float16: try float32 or bfloat16" if dtype == "float16" else ""
        raise Unavailable(
            f"The weights of '{source}' {_named('are not all finite numbers', wrong)} (NaN or infinite). "
            f"The file is damaged{narrow}."
        )


def _finite(weight: torch.Tensor) -> bool:
    if weight.numel() == 0 or weight.element_size() < 2:  # an eight-bit format: transformers unpacks what can be read
        return True
    # The extremes of a tensor with a NaN are NaN; no second copy of the weights is made.
    return all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(weight.detach()))
