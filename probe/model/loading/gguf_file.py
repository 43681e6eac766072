"""GGUF files: read through transformers, unpacked, and stored as float32 safetensors in the folder where models are kept."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from probe.artifacts.digest import sha256
from probe.artifacts.disk_space import MODEL, require_space
from probe.artifacts.json import write_json
from probe.artifacts.renames import put
from probe.errors import OpenworkError, Unavailable
from probe.model.models_folder import SUMS
from probe.progress import SILENT, Progress

_PEAK = 3  # times the unpacked weights are in memory at once: packed, unpacked, and as they are stored
_FIRST_SECONDS, _SECONDS_A_WEIGHT = 5.0, 2e-7  # measured on two CPU cores with SmolLM2-135M and Gemma-3-270M


def convert_gguf(gguf: Path, folder: Path, progress: Progress = SILENT) -> Path:
    """Read a GGUF file through transformers and store it as float32 safetensors with its tokenizer and checksums.

    Said beforehand, refused where there is no room: the packed and the unpacked weights are in memory together.
    """
    from probe.memory import require  # with torch, which what only asks for the cache does without

    numbers = count_weights(gguf)
    memory = _PEAK * 4 * numbers
    require(memory, f"Unpacking {gguf.name}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    require_space(folder.parent, 4 * numbers, MODEL)
    seconds = _FIRST_SECONDS + numbers * _SECONDS_A_WEIGHT
    about = f"about {seconds:.0f} s and {memory / 1e9:.1f} GB of memory; kept for the next time"
    with progress.stage(f"unpack {gguf.name} ({about})", total=2, unit="step") as step:
        model, tokenizer = _read_gguf(gguf)
        step(1)
        _store(model, tokenizer, folder)
        step(1)
    return folder


def count_weights(gguf: Path) -> int:
    """How many numbers a GGUF file's header announces."""
    from gguf import GGUFReader

    with unreadable(gguf):
        return sum(int(tensor.n_elements) for tensor in GGUFReader(gguf).tensors)


@contextmanager
def unreadable(gguf: Path) -> Iterator[None]:
    """Turn whatever transformers and gguf raise on a damaged file, which is anything at all, into a sentence."""
    try:
        yield
    except (OpenworkError, MemoryError):
        raise
    except Exception as error:
        from probe.model.loading.pretrained import line

        raise Unavailable(
            f"{gguf} could not be read as a GGUF model ({line(error)}). It may be truncated, one part of several, or of a family "
            "that transformers cannot unpack; fetch it again."
        ) from error


def _read_gguf(gguf: Path) -> tuple[Any, Any]:
    """Model and tokenizer of a GGUF file, whole."""
    import torch
    from transformers import AutoTokenizer

    from probe.model.loading.config import check_bulk, read_config
    from probe.model.loading.pretrained import with_report
    from probe.model.loading.weight_check import check_whole

    where = {"gguf_file": gguf.name, "local_files_only": True, "trust_remote_code": False}
    with unreadable(gguf):
        config = read_config(str(gguf.parent), **where)
        check_bulk(config, str(gguf), gguf.stat().st_size, torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **where)
        model, info = with_report(str(gguf.parent), config=config, dtype="float32", **where)
    check_whole(model, info, str(gguf))
    return model, tokenizer


def _store(model: Any, tokenizer: Any, folder: Path) -> None:
    # The weights are plain float32 now; what is left of the quantisation would make transformers refuse to save.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        model.save_pretrained(beside)
        tokenizer.save_pretrained(beside)
        write_json(beside / SUMS, {p.name: sha256(p) for p in sorted(beside.iterdir())})
        put(beside, folder, replace=True)
    except (OSError, SafetensorError) as error:
        raise Unavailable(
            f"Storing the converted model in {folder} failed: {error}. Free some space and try again."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
