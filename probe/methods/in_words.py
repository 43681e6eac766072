"""A method and a call in words: their names as headings, what was asked on one line."""

import re
from collections.abc import Mapping
from typing import Any

from probe.methods.call import Call
from probe.methods.read_declarations import Method, Parameter
from probe.model.aliases import short_model
from probe.words import clip, spaced

_WRITTEN = {
    "eap-ig": "EAP-IG",
    "eap-ig-activations": "EAP-IG-activations",
    "atp": "AtP",
    "das": "DAS",
    "relp": "RelP",
}
"""Methods as their papers write them."""


def label(name: str) -> str:
    """`attention-rank` as a heading: Attention rank. Acronyms stay such: `qk-attribution` is QK attribution."""
    if name in _WRITTEN:
        return _WRITTEN[name]
    words = spaced(name.replace("-", " "))
    return words[:1].upper() + words[1:]


def heading(title: str) -> str:
    """A panel's title; of a class its words: `LensResult` is a Lens result."""
    if re.fullmatch(r"([A-Z][a-z0-9]+)+", title):
        return label(" ".join(re.findall(r"[A-Z][a-z0-9]+", title)).lower())
    return label(title) if " " not in title and title[:2].islower() else title[:1].upper() + title[1:]


def value(p: Parameter, plain: Any) -> str:
    """One argument, short; "" for None."""
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "yes" if plain else "no"
    if isinstance(plain, list) and plain and isinstance(plain[0], Mapping):
        return f"{len(plain)} chat messages"
    if isinstance(plain, Mapping):
        return " minus ".join(_token(one) for one in plain.values())
    if p.kind.control == "prompt" and isinstance(plain, str):
        return f"“{clip(plain, 60)}”"
    if p.kind.control == "token":
        return clip(", ".join(_token(one) for one in (plain if isinstance(plain, list) else [plain])), 60)
    return clip(", ".join(map(str, plain)) if isinstance(plain, list) else str(plain), 60)


def arguments(call: Call) -> list[tuple[str, str]]:
    """Name and value of what was asked, as it was declared; what stands at its default is not among it."""
    named = [(p, call.arguments[p.name]) for p in call.about.parameters if p.name in call.arguments]
    return [(p.name.replace("_", " "), value(p, plain)) for p, plain in named]


def everything(call: Call | None) -> dict[str, str]:
    """Every argument by name, defaults too; nothing of no call."""
    if call is None:
        return {}
    model = {"model": short_model(call.model)} if call.model else {}
    filled = {p.name: call.arguments.get(p.name, None if p.required else p.default) for p in call.about.parameters}
    said = {p.name.replace("_", " "): value(p, filled[p.name]) for p in call.about.parameters}
    return {**model, **{name: words for name, words in said.items() if words}}


def differences(a: Call | None, b: Call | None) -> list[dict[str, str]]:
    """In what two calls differ, a row each; nothing that both have."""
    one, other = everything(a), everything(b)
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    return [{"asked": name, "A": one.get(name, ""), "B": other.get(name, "")} for name in names]


def asked(call: Call) -> str:
    """What was asked, on one line: `“The capital of France is”, ratio 500.0`."""
    return ", ".join(said if said.startswith("“") else f"{name} {said}" for name, said in arguments(call))


def title(call: Call) -> str:
    """A call in the table of jobs, and a stored result on its card."""
    said = asked(call) or (short_model(call.model) if call.model else "")
    return clip(f"{label(call.method)}: {said}" if said else label(call.method), 160)


def needs(about: Method) -> str:
    """What a method asks for, in words: `a prompt; may take target, layers`."""
    must = [p.name.replace("_", " ") for p in about.parameters if p.required]
    may = [p.name.replace("_", " ") for p in about.parameters if not p.required]
    return "; ".join(
        part for part in (f"needs {', '.join(must)}" if must else "", f"takes {', '.join(may)}" if may else "") if part
    )


def _token(plain: Any) -> str:
    return f"token {plain}" if isinstance(plain, int) else repr(plain)
