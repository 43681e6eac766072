"""How large a model is, read from its folder without loading it: shape from `config.json`, weights from the safetensors headers.

A name that is neither built in nor a local folder (a hub id, a GGUF file) has no size here. Nothing imports torch.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from probe.artifacts.json import Json
from probe.model import aliases
from probe.model.aliases import ALIASES
from probe.model.models_folder import model_cache
from probe.words import counted

_HEADER = 50_000_000  # bytes of a safetensors header that are believed
_NAMES = {  # what the config classes of transformers call them
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "d_model": ("hidden_size", "n_embd", "d_model"),
    "d_mlp": ("intermediate_size", "n_inner", "ffn_dim"),
    "vocabulary": ("vocab_size",),
}


@dataclass(frozen=True)
class ModelSize:
    """Shape; parameters: how many numbers its weight files hold, None when there are none to read."""

    layers: int
    heads: int
    d_model: int
    d_mlp: int
    vocabulary: int
    parameters: int | None = None

    @property
    def bytes(self) -> int | None:
        """Memory of the weights in float32, as the dashboard loads them."""
        return None if self.parameters is None else 4 * self.parameters

    @property
    def shape(self) -> str:
        """`30 layers, 9 heads, 576 wide, 49,152 tokens`."""
        blocks = f"{counted(self.layers, 'layer')}, {counted(self.heads, 'head')}"
        return f"{blocks}, {self.d_model} wide, {self.vocabulary:,} tokens"


TOY = ModelSize(
    layers=aliases.TOY["n_layers"],
    heads=aliases.TOY["n_heads"],
    d_model=aliases.TOY["d_model"],
    d_mlp=aliases.TOY["d_mlp"],
    vocabulary=aliases.TOY["d_vocab"],
    parameters=aliases.TOY_PARAMETERS,
)


def model_size(name: str) -> ModelSize | None:
    """The size of a model by its name, or None when it cannot be told without loading it."""
    if name == "toy":
        return TOY
    folder = model_cache() / name if name in ALIASES else Path(name)
    if not folder.is_absolute() or not (folder / "config.json").is_file():
        return None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf8"))
        config = config.get("text_config", config)
        found = {key: _first(config, names) for key, names in _NAMES.items()}
        found["d_mlp"] = found["d_mlp"] or 4 * found["d_model"]
        return ModelSize(**found, parameters=_parameters(folder))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _first(config: Json, names: tuple[str, ...]) -> int:
    return int(next((config[n] for n in names if config.get(n)), 0))


def _parameters(folder: Path) -> int | None:
    """Numbers in all weight files of a folder."""
    files = sorted(folder.glob("*.safetensors"))
    return sum(_numbers(file) for file in files) if files else None


def _numbers(file: Path) -> int:
    with file.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        if size > _HEADER:
            raise ValueError(f"a header of {size} bytes")
        header = json.loads(handle.read(size))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            width = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "U8": 1, "I8": 1, "BOOL": 1}.get(tensor["dtype"], 2)
            total += (end - begin) // width
    return total
