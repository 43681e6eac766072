"""Files of a model hub: `hf:org/name[/folder][@revision]`, or `?revision=...`. The network is used only when a person asks for
such a name: an address inside a local file is looked up among what is on this machine already, and nowhere else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from probe.errors import BadInput, Unavailable

PREFIX = "hf:"
_online: ContextVar[bool] = ContextVar("_online", default=False)


@contextmanager
def asked_for(hub: bool) -> Iterator[None]:
    """While files are read that a person named: whether addresses inside of them may be fetched."""
    token = _online.set(hub)
    try:
        yield
    finally:
        _online.reset(token)


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
    wanted = {"repo_id": repository, "filename": inside, "revision": revision}
    if _online.get():
        return Path(_ask(hf_hub_download, source, **wanted))
    try:
        return Path(hf_hub_download(**wanted, local_files_only=True))
    except Exception as error:  # of many kinds, all of which mean that it is not here
        raise Unavailable(
            f"The file names {source[:200]}, which is on the hub and not on this machine. Importing a local folder fetches "
            f"nothing: import it by its name on the hub (hf:owner/name), or fetch hf:{repository} first."
        ) from error


def size(source: str) -> int:
    """Bytes that `fetch` would download at most. Unavailable as of `fetch`."""
    repository, inside, revision = parse(source)

    def listing(repo_id: str, local_files_only: bool = False) -> list[Any]:
        from huggingface_hub import HfApi

        if local_files_only:
            raise _NotHere
        return list(HfApi().model_info(repo_id, revision=revision, files_metadata=True).siblings or [])

    files = _ask(listing, source, repo_id=repository)
    return sum(
        f.size or 0 for f in files if not inside or f.rfilename.startswith(f"{inside}/") or f.rfilename == inside
    )


def parse(source: str) -> tuple[str, str, str | None]:
    """Repository, path inside it and revision. BadInput for a name that cannot be one."""
    address, _, query = source.partition("?")
    text, _, revision = address.removeprefix(PREFIX).lstrip("/").partition("@")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    if set(asked) - {"revision"} or (revision and asked):
        raise BadInput(f"'{source[:200]}' asks for more than a revision; write hf:owner/name?revision=main, or @main.")
    revision = revision or asked.get("revision", "")
    parts = text.strip("/").split("/")
    if len(parts) < 2 or not all(part and part not in (".", "..") for part in parts):
        raise BadInput(
            f"'{source}' names nothing on the hub; write hf:owner/name, with /folder after it if there are several."
        )
    return "/".join(parts[:2]), "/".join(parts[2:]), revision or None


def _ask(function: Callable[..., Any], source: str, **wanted: Any) -> Any:
    """What the hub's client answers; without a network only what is on this machine already, at once and not after retries."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    from probe.model.load import _out_of_reach

    reason = _out_of_reach()
    try:
        return function(**wanted, **({"local_files_only": True} if reason else {}))
    except HFValidationError as error:
        raise BadInput(f"'{source}' cannot be a name on the hub.") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        what = (
            f"the hub cannot be reached ({reason})" if reason else (str(error).strip() or repr(error)).splitlines()[0]
        )
    except Exception as error:
        # The client lets errors of its transport library through, and has changed that library more than once.
        if type(error).__name__ not in (
            "ConnectError",
            "ConnectTimeout",
            "ReadTimeout",
            "ReadError",
            "RemoteProtocolError",
        ):
            raise
        what = f"no connection ({error})"
    raise Unavailable(
        f"'{source}' could not be fetched: {what}. Check the name and the network, or give a local folder."
    )


class _NotHere(OSError):
    """There is no network, and a listing is not kept on this machine."""
