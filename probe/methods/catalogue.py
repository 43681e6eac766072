"""Every method there is, found by the public names: the stubs of the packages say which modules are public, and these which of
their functions are methods. So a method is one file and one line of a stub."""

import difflib
from functools import cache
from importlib.util import find_spec

from probe.errors import BadInput, brief
from probe.methods.reading import Method, declared_in
from probe.public import homes

PACKAGES = ("probe", "circuits")


@cache
def methods() -> tuple[Method, ...]:
    """All methods, by group and name.

    >>> [method.name for method in ow.methods() if method.name == "sinks"]
    ['sinks']
    """
    found = []
    for package in PACKAGES:
        spec = find_spec(package)
        public = homes(spec.origin) if spec is not None and spec.origin else {}
        for module in dict.fromkeys(public.values()):
            found += [one for one in declared_in(module) if public.get(one.function) == module]
    return tuple(sorted(found, key=lambda one: (one.group, one.name)))


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
