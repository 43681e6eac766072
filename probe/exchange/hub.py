"""Files of a model hub: `hf:org/name[/folder][@revision]`. The network is used only when such a name is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from probe.errors import BadInput, Unavailable

PREFIX = "hf:"


def is_hub(source: str | Path) -> bool:
    return str(source).startswith(PREFIX)


def fetch(source: str) -> Path:
    """The local copy of a repository's folder. Unavailable without a network or such a repository."""
    from huggingface_hub import snapshot_download

    repository, inside, revision = parse(source)
    pattern = [f"{inside}/*", inside] if inside else None
    root = Path(_ask(snapshot_download, source, repo_id=repository, revision=revision, allow_patterns=pattern))
    if not (root / inside).exists():
        raise BadInput(f"The repository {repository} has no '{inside}'.")
    return root / inside


def fetch_file(source: str) -> Path:
    """The local copy of one file, `hf://org/name/path`."""
    from huggingface_hub import hf_hub_download

    repository, inside, revision = parse(source)
    return Path(_ask(hf_hub_download, source, repo_id=repository, filename=inside, revision=revision))


def size(source: str) -> int:
    """Bytes that `fetch` would download at most. Unavailable as of `fetch`."""
    repository, inside, revision = parse(source)

    def listing(**wanted: Any) -> list[Any]:
        from huggingface_hub import HfApi

        return list(
            HfApi().model_info(wanted["repo_id"], revision=wanted["revision"], files_metadata=True).siblings or []
        )

    files = _ask(listing, source, repo_id=repository, revision=revision)
    return sum(
        f.size or 0 for f in files if not inside or f.rfilename.startswith(f"{inside}/") or f.rfilename == inside
    )


def parse(source: str) -> tuple[str, str, str | None]:
    """Repository, path inside it and revision. BadInput for a name that cannot be one."""
    text, _, revision = source.removeprefix(PREFIX).lstrip("/").partition("@")
    parts = text.strip("/").split("/")
    if len(parts) < 2 or not all(part and part not in (".", "..") for part in parts):
        raise BadInput(
            f"'{source}' names nothing on the hub; write hf:owner/name, with /folder after it if there are several."
        )
    return "/".join(parts[:2]), "/".join(parts[2:]), revision or None


def _ask(function: Callable[..., Any], source: str, **wanted: Any) -> Any:
    """What the hub's client answers. It never waits long when HF_HUB_OFFLINE is set or there is no network."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return function(**wanted)
    except HFValidationError as error:
        raise BadInput(f"'{source}' cannot be a name on the hub.") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Unavailable(
            f"'{source}' could not be fetched: {reason} Check the name and the network, or give a local folder."
        ) from error
    except Exception as error:
        # The hub's client raises its transport library's own errors when there is no network, whatever that library is.
        if type(error).__module__.split(".")[0] not in ("httpx", "httpcore", "requests", "urllib3"):
            raise
        raise Unavailable(f"'{source}' could not be fetched: no connection ({error}). Give a local folder.") from error
