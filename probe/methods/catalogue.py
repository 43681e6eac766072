"""Every method there is, found by the public names: the stubs of the packages say which modules are public, and these which of
their functions are methods or tools. So a method is one file and one line of a stub."""

import difflib
import re
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec

from probe.errors import BadInput, brief
from probe.methods.read_declarations import Method, declared_in
from probe.methods.source import text_of
from probe.public import homes

PACKAGES = ("probe", "circuits")


@cache
def known() -> dict[tuple[str, ...], Callable[[], Method]]:
    """Every method and tool by what one types after `openwork`, each read from its file when it is asked for. They are found by
    the text of their declarations, which takes a tenth of reading them."""
    found: dict[tuple[str, ...], Callable[[], Method]] = {}
    for package in PACKAGES:
        spec = find_spec(package)
        public = homes(spec.origin) if spec is not None and spec.origin else {}
        for module in dict.fromkeys(public.values()):
            for name, group, function in _DECLARED.findall(text_of(module)):
                if public.get(function) == module:
                    found[*group.split(), name] = partial(_read, module, function)
    return found


_DECLARED = re.compile(r'^@(?:method|tool)\(\s*"([^"]+)"(?:,\s*group="([^"]*)")?(?:.*\n)*?^def (\w+)\(', re.MULTILINE)
"""How a declaration begins: its name, and then its group."""


def _read(module: str, function: str) -> Method:
    return next(one for one in declared_in(module) if one.function == function)


@cache
def methods() -> tuple[Method, ...]:
    """All methods, by group and name.

    >>> [method.name for method in ow.methods() if method.name == "sinks"]
    ['sinks']
    """
    return tuple(sorted((one for read in known().values() if (one := read()).page), key=lambda one: one.words))


def tools() -> list[Method]:
    """All tools, by group and name: what has a command, and no page."""
    return sorted((one for read in known().values() if not (one := read()).page), key=lambda one: one.words)


def groups() -> dict[str, list[Method]]:
    """The methods of each group."""
    found: dict[str, list[Method]] = {}
    for one in methods():
        found.setdefault(one.group, []).append(one)
    return found


def method_named(name: object) -> Method:
    """The method of this name. BadInput, with those that look like it, where there is none."""
    found = next((one for words, read in known().items() if words[-1] == name and (one := read()).page), None)
    others = {one.name: one for one in methods()} if found is None else {}
    if found is not None or (isinstance(name, str) and name in others):
        return found or others[str(name)]
    if (tool := next((one for one in tools() if one.name == name), None)) is not None:
        words = " ".join(tool.words)
        raise BadInput(
            f"There is no method {brief(name)}: it is a tool, without a page. `openwork {words} --help` says more."
        )
    close = difflib.get_close_matches(str(name)[:80], others, n=3, cutoff=0.5)
    said = f"Did you mean {' or '.join(close)}?" if close else "`openwork methods` lists them."
    raise BadInput(f"There is no method {brief(name)}. {said}")
