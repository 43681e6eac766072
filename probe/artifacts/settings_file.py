"""A flat table of settings from a TOML or JSON file that somebody wrote."""

import tomllib
from pathlib import Path

from probe.artifacts.json import Json
from probe.artifacts.untrusted import parse_json, plain_file, reason
from probe.errors import BadInput, Unavailable, brief

_LARGEST = 1 << 20  # bytes


def settings(path: Path) -> Json:
    """A flat table from a TOML or JSON file. Raises BadInput where it is neither."""
    try:
        data = plain_file(path, _LARGEST).read_bytes()
        found = parse_json(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}).") from error
    except Unavailable as error:
        raise BadInput(str(error)) from error
    except (ValueError, RecursionError) as error:  # both parsers, and bytes that are not UTF-8
        raise BadInput(f"{path} is not {'JSON' if path.suffix == '.json' else 'TOML'}: {reason(error)}") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds {brief(found)}; options by name were wanted.")
    for name, value in found.items():
        if not all(isinstance(v, str | int | float) for v in (value if isinstance(value, list) else [value])):
            raise BadInput(f"{path} sets {name[:60]} to {brief(value)}; a number, a text or a list of them was wanted.")
    return found
