"""What the commands share: options, names that are reserved, models and their progress, JSON."""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.errors import BadInput

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.progress import Progress

Model = Annotated[str, typer.Option("--model", help="Alias (smollm2-135m, toy), hub id, model folder or .gguf file.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, ...; by default CUDA where there is one.")]
Precision = Annotated[str, typer.Option("--precision", help="Weights: float32, bfloat16, float16 or float64.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would take (memory, disk, time) and stop.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue what was interrupted; open it if it is finished.")]


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the options a TOML or JSON file gives as the command's defaults; what is on the command line wins."""
    if path is not None:
        from probe.artifacts.untrusted import settings

        known = {name: p for p in context.command.params if p.name for name in (p.name, *map(_as_name, p.opts))}
        given = {name.replace("-", "_"): value for name, value in settings(path).items()}
        if unknown := sorted(set(given) - set(known)):
            raise BadInput(f"{path} sets {', '.join(unknown)}; '{context.info_name}' knows {', '.join(sorted(known))}.")
        several = {name for name in given if getattr(known[name], "multiple", False)}
        found = {known[n].name: [v] if n in several and not isinstance(v, list) else v for n, v in given.items()}
        context.default_map = {**(context.default_map or {}), **found}
    return path


def _as_name(option: str) -> str:
    """`--d-dict` as a file writes it, also where it is an old name of an option."""
    return option.lstrip("-").replace("-", "_")


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", is_eager=True, callback=_read_config, help="A TOML or JSON file of options; those given here win."
    ),
]


_reserved = ExitStack()


def release() -> None:
    """Give up the names that the command reserved; it has ended."""
    _reserved.close()


def reserve(kind: str, name: str, *, resume: bool = False) -> Path:
    """Where an artifact of this name goes, for this command alone until it ends; BadInput where somebody else writes it.

    resume: what is there already may stay; else BadInput. Called before the model loads, so that the answer comes at once.
    """
    from probe.artifacts.folder import place
    from probe.artifacts.locks.claims import claim

    folder = place(kind, name)
    if not rank():
        _reserved.enter_context(claim(folder))
        if folder.exists() and not resume:
            raise BadInput(
                f"There is already a {kind} '{name}' ({folder} exists already). Choose another name, or delete it."
            )
    return folder


def progress() -> "Progress":
    """A bar on stderr; under torchrun the first process's."""
    from probe.progress import SILENT, Bar

    return SILENT if rank() else Bar()


def rank() -> int:
    """Which of torchrun's processes this is; 0 where it started none."""
    return int(os.environ.get("RANK", "0")) if "MASTER_ADDR" in os.environ else 0


def load(name: str, device: str | None = None, precision: str = "float32") -> "TransformerBridge":
    """The model of a command, with a bar while it is fetched."""
    quiet()
    from probe.model.load import load_model

    return load_model(name, device=device, dtype=precision, progress=progress())


def quiet() -> None:
    """Keep libraries from talking between our lines."""
    import logging
    import warnings

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", module="transformer_lens")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    from transformers.utils import logging as chatter

    chatter.set_verbosity_error()
    chatter.disable_progress_bar()


def print_json(value: object) -> None:
    """One JSON document on stdout, in ASCII where stdout takes nothing else."""
    from probe.artifacts.json import clean

    typer.echo(json.dumps(clean(value), ensure_ascii=not takes_unicode(), indent=1, allow_nan=False))


def takes_unicode() -> bool:
    """Whether stdout is written in UTF-8; a file that a Windows shell opens for it is not."""
    return (getattr(sys.stdout, "encoding", None) or "utf8").lower().replace("-", "") in ("utf8", "utf8sig")
