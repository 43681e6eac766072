"""Every method there is, found by the public names: the stubs of the packages say which modules are public, and these which of
their functions are methods or tools. So a method is one file and one line of a stub."""

import difflib
import re
from functools import cache
from importlib.util import find_spec

from probe.errors import BadInput, brief
from probe.methods.reading import Method, declared_in
from probe.methods.source import text_of
from probe.public import homes

PACKAGES = ("probe", "circuits")


@cache
def declared() -> tuple[Method, ...]:
    """All methods and tools, by group and name."""
    places = _places()
    found = [one for module in dict.fromkeys(places.values()) for one in declared_in(module) if (*one.words,) in places]
    return tuple(sorted(found, key=lambda one: one.words))


@cache
def methods() -> tuple[Method, ...]:
    """All methods, by group and name.

    >>> [method.name for method in ow.methods() if method.name == "sinks"]
    ['sinks']
    """
    return tuple(one for one in declared() if one.page)


def tools() -> list[Method]:
    """All tools, by group and name: what has a command, and no page."""
    return [one for one in declared() if not one.page]


@cache
def _places() -> dict[tuple[str, ...], str]:
    """The module of every method and tool, by what one types: found by the text of the declarations, none of which is read."""
    found = {}
    for package in PACKAGES:
        spec = find_spec(package)
        public = homes(spec.origin) if spec is not None and spec.origin else {}
        for module in dict.fromkeys(public.values()):
            for name, group, function in _DECLARED.findall(text_of(module)):
                if public.get(function) == module:
                    found[*group.split(), name] = module
    return found


_DECLARED = re.compile(r'^@(?:method|tool)\(\s*"([^"]+)"(?:,\s*group="([^"]*)")?(?:.*\n)*?^def (\w+)\(', re.MULTILINE)
"""How a declaration begins: its name, and then its group."""


def typed(*words: str) -> Method | None:
    """The method or tool that these words after `openwork` name, of which alone the declaration is read."""
    module = _places().get(words)
    return next((one for one in declared_in(module) if one.words == [*words]), None) if module else None


def groups() -> dict[str, list[Method]]:
    """The methods of each group."""
    found: dict[str, list[Method]] = {}
    for one in methods():
        found.setdefault(one.group, []).append(one)
    return found


def method_named(name: object) -> Method:
    """The method of this name. BadInput, with those that look like it, where there is none."""
    known = {one.name: one for one in methods()}
    if isinstance(name, str) and name in known:
        return known[name]
    close = difflib.get_close_matches(str(name)[:80], known, n=3, cutoff=0.5)
    said = f"Did you mean {' or '.join(close)}?" if close else "`openwork methods` lists them."
    raise BadInput(f"There is no method {brief(name)}. {said}")
