"""Load a model: the embedded default, a toy, a hub id, a local folder or a GGUF file. All become a `TransformerBridge`.

Weights are left as they were trained (no folding, no centring), so dictionaries trained on raw activations stay valid.
Attention runs in its explicit form, so that patterns can be read and frozen. No code that comes with a model is run.
"""

import difflib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import torch

from probe.artifacts.digest import recent_sha256
from probe.distributed import local_device
from probe.errors import BadInput, Unavailable
from probe.identity import set_name
from probe.model.aliases import ALIASES, DEFAULT
from probe.model.fingerprint import stamp
from probe.model.key_value_cache import hand_over
from probe.model.loading.already_loaded import bridge_of, name_of
from probe.model.loading.default_model import default_model_folder
from probe.model.loading.gguf_file import convert_gguf
from probe.model.loading.pretrained import keep_marks, marks_of, read_model, told
from probe.model.loading.weight_check import check_files
from probe.model.models_folder import CHECKED, check_folder, model_cache
from probe.model.sites import as_dtype
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel

__all__ = ["ALIASES", "DEFAULT", "load_model", "stamp"]


def load_model(
    name: "str | Path | PreTrainedModel | TransformerBridge" = DEFAULT,
    *,
    tokenizer: Any = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: Progress = SILENT,
) -> "TransformerBridge":
    """Load a model by alias (`smollm2-135m`, `toy`), local folder, `.gguf` file or hub id, in evaluation mode.

    name: or a model that is loaded already (of transformers, or a `TransformerBridge`), which is wrapped and not copied.
    tokenizer: of a transformers model; by default the one beside it. device: `cpu`, `cuda`, ...; by default CUDA where there is
    one. dtype: float32 (the default), bfloat16, float16 or float64. A loaded model stays where and as it is by default.
    Raises BadInput for a name nothing answers to, Unavailable for a damaged file or a missing network.

    >>> model = ow.load_model("toy")  # or "smollm2-135m", a folder, a .gguf file, a hub id, a transformers model
    >>> model.cfg.n_layers
    4
    """
    if not isinstance(name, str | Path):
        return _given(name, tokenizer, device, dtype)
    if tokenizer is not None:
        raise BadInput(
            "A model read by its name comes with its tokenizer; tokenizer= goes with a loaded transformers model."
        )
    dtype = "float32" if dtype is None else dtype
    where = local_device(device)
    precision = as_dtype(dtype)
    if str(name) == "toy":
        from probe.model.toy import toy_model

        model = toy_model()
        model.original_model.to(device=where, dtype=precision)
        model.cfg.device, model.cfg.dtype = str(where), precision
    else:
        model = _boot(_source(str(name), progress), where, precision)
    return _settled(model, _full_name(str(name)))


def _given(model: Any, tokenizer: Any, device: str | None, dtype: str | None) -> "TransformerBridge":
    """A loaded model, ready as a read one is."""

    where, precision = (local_device(device) if device else None), (as_dtype(dtype) if dtype else None)
    bridge = bridge_of(model, tokenizer, where, precision)
    return bridge if bridge is model else _settled(bridge, name_of(model))


def _settled(model: "TransformerBridge", name: str) -> "TransformerBridge":
    """In evaluation mode, its weights held, under its name."""
    model.eval()
    for weight in model.parameters():
        weight.requires_grad_(False)
    set_name(model, name)
    return model


def _full_name(name: str) -> str:
    """The name that finds the model again from anywhere: of a local one its whole path, which is no hub id."""
    path = Path(name).expanduser()
    return str(path.resolve()) if name not in ALIASES and path.exists() else name


def _source(name: str, progress: Progress) -> str:
    """A folder or hub id transformers can load."""
    if name == DEFAULT:
        return str(default_model_folder(progress))
    path = Path(name).expanduser()
    if path.is_file():
        return str(_from_gguf(path, progress))
    if path.is_dir():
        if not (path / "config.json").is_file():
            check_files(path)
            raise BadInput(f"The folder {path} holds no model: it has no config.json.")
        return str(path)
    if path.suffix.lower() == ".gguf" or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BadInput(f"There is no model file or folder {path}.")
    _require_hub(name)
    return name


def _from_gguf(path: Path, progress: Progress) -> Path:
    if path.suffix.lower() != ".gguf":
        raise BadInput(f"{path} is neither a model folder nor a .gguf file.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise Unavailable(f"{path} does not begin as a GGUF file does; it may be truncated. Fetch it again.")
    digest = recent_sha256(path, model_cache() / CHECKED)
    folder = model_cache() / f"{path.stem}-{digest[:12]}"
    if not (folder / "openwork.json").is_file():
        return convert_gguf(path, folder, progress)
    check_folder(folder)
    return folder


def _require_hub(name: str) -> None:
    """Fail within a moment, not after a minute of retries, when a hub id is neither cached nor reachable."""
    from huggingface_hub import try_to_load_from_cache

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
    except ValueError as error:
        raise BadInput(
            f"'{name}' is no built-in model, no folder and no file here, and no hub id can look so."
        ) from error
    close = difflib.get_close_matches(name.lower(), ALIASES, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else f" Built in are {' and '.join(ALIASES)}."
    if reason := _out_of_reach():
        # `owner/name` may well exist; a bare word is most likely misspelt.
        raise (Unavailable if "/" in name else BadInput)(
            f"'{name}' is no built-in model, no folder and no file here, and the model hub cannot be reached ({reason})."
            f"{hint} Or give a local folder or .gguf file."
        )


def _out_of_reach() -> str | None:
    """Why the model hub cannot be asked, or None. Asks nobody when HF_HUB_OFFLINE is set, as in the dashboard."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "HF_HUB_OFFLINE is set"
    from huggingface_hub.constants import ENDPOINT

    host = urlparse(ENDPOINT).hostname or ""
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _boot(source: str, device: torch.device, dtype: torch.dtype) -> "TransformerBridge":
    from transformer_lens.model_bridge import TransformerBridge

    hf_model, tokenizer = read_model(source, dtype)
    own = marks_of(tokenizer)
    with told(source, "its parts"):
        model = TransformerBridge.boot_transformers(
            source, hf_model=hf_model.to(device), tokenizer=tokenizer, dtype=dtype
        )
    keep_marks(model, own)
    hand_over(model)  # transformer-lens's own `generate` is then right too
    return model
