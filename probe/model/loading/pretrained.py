"""From a folder, hub id or GGUF file to a transformers model and its tokenizer, or a sentence that says what is wrong.

Damaged files make the libraries raise anything at all, so every step is watched and its failure told in a line. No code that
comes with a model is run: `trust_remote_code` is False wherever something is read, and the tokenizer is read so that
transformer-lens need not read it once more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from probe.errors import BadInput, OpenworkError, Unavailable
from probe.model.loading.config import check_bulk, family, read_config, wants_code, weight_bytes
from probe.model.loading.weight_check import check_files, check_whole, require_plain

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_LONGEST = 300


def read_model(source: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """The transformers model of a folder or hub id, whole and finite, and its tokenizer."""
    folder = Path(source)
    where: dict[str, Any] = {"local_files_only": True} if folder.is_dir() else {}
    if folder.is_dir():
        require_plain(folder)
    with told(source, "its configuration"):
        config = read_config(source, **where)
    if folder.is_dir():
        check_files(folder)
    with told(source, f"the weights of this {family(config)}{packed(config)}"):
        if folder.is_dir():
            check_bulk(config, source, weight_bytes(folder), dtype)
        model, info = with_report(source, config=config, dtype=dtype, attn_implementation="eager", **where)
    check_whole(model, info, source)
    with told(source, f"its tokenizer{_without_tokenizer(folder)}"):
        tokenizer = read_tokenizer(source, **where)
    return model, tokenizer


def with_report(source: str, **how: Any) -> tuple[Any, dict[str, Any]]:
    """The model and what transformers says of its loading: keys that are missing, left over, or of another shape."""
    from transformers import AutoModelForCausalLM

    # Shapes that differ are refused by name from the report; transformers would only say that there are some.
    how = {"trust_remote_code": False, "ignore_mismatched_sizes": True, **how}
    found: Any = AutoModelForCausalLM.from_pretrained(source, output_loading_info=True, **how)
    return found


def read_tokenizer(source: str, **where: Any) -> Any:
    """The tokenizer, told to begin with BOS where it has one, which is how transformer-lens would read it again."""
    from transformers import AutoTokenizer

    where = {"trust_remote_code": False, **where}
    try:
        return AutoTokenizer.from_pretrained(source, add_bos_token=True, **where)
    except ValueError:  # it has no BOS, or one that cannot be written into its template
        return AutoTokenizer.from_pretrained(source, **where)


def _without_tokenizer(folder: Path) -> str:
    """An aside for a folder without any file that a tokenizer is read from."""
    known = ("tokenizer.json", "*.model", "vocab*", "merges.txt", "tekken.json", "*.tiktoken")
    if not folder.is_dir() or any(next(folder.glob(name), None) for name in known):
        return ""
    return " (there is no tokenizer.json; copy it from where the model came from)"


def packed(config: Any) -> str:
    """How the weights are quantised, as an aside."""
    settings = getattr(config, "quantization_config", None)
    method = settings.get("quant_method") if isinstance(settings, dict) else getattr(settings, "quant_method", None)
    return f" (quantised with {str(method)[:40]}, which needs that library)" if settings is not None else ""


@contextmanager
def told(source: str, part: str) -> Iterator[None]:
    """Turn whatever a library raises into one line. Foreseen failures, and a lack of memory, pass as they are."""
    try:
        yield
    except (OpenworkError, MemoryError):
        raise
    except Exception as error:
        if "custom code" in str(error):
            raise code_refused(source) from error
        if "not enough memory" in str(error) or "out of memory" in str(error):
            raise MemoryError(str(error)) from error
        raise Unavailable(f"'{source}' could not be loaded; {part} could not be read: {line(error)}") from error


def code_refused(source: str) -> BadInput:
    """The refusal of a model that comes with code."""
    files = wants_code(Path(source)) if Path(source).is_dir() else []
    where = f" ({', '.join(files)}: auto_map)" if files else ""
    return BadInput(
        f"'{source}' wants to run Python code of its own{where}, which Openwork never does. Load a version whose family "
        "transformers knows, or convert it to one."
    )


def line(error: BaseException) -> str:
    """An error as one line, shortened; one that is a bare word with its kind before it."""
    words = " ".join(str(error).split())
    if " " not in words:
        words = f"{type(error).__name__} {words}".strip()
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."


def marks_of(tokenizer: Any) -> dict[str, str | None]:
    """What a tokenizer begins and ends a text with."""
    return {name: getattr(tokenizer, name, None) for name in ("bos_token", "eos_token")}


def keep_marks(model: "TransformerBridge", own: dict[str, str | None]) -> None:
    """Take back the marks that transformer-lens lends a tokenizer without them.

    It makes EOS the BOS of a tokenizer that has none, so that every prompt would begin with an end of text, which such a model
    has seen between texts only, and adds an EOS of its own where there is none, which has no row in the embedding.
    """
    for name in (name for name, token in own.items() if token is None):
        setattr(model.tokenizer, name, None)
    if own["eos_token"] is None and (model.tokenizer.pad_token_id or 0) >= model.cfg.d_vocab:
        model.tokenizer.pad_token = None
    if own["bos_token"] is None:
        model.cfg.default_prepend_bos = model.cfg.tokenizer_prepends_bos = False
