"""From a method's parameters to a command's options, and from what was typed back to a call's plain values.

Every value is taken as text and read by its kind, so that a wrong one is answered by the same sentence as from Python or a form.
"""

import re
from collections.abc import Iterator, Mapping
from inspect import Parameter as Argument
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.asking import Chat, Ids, Minus, Prompt, prompt_of, require_target
from probe.errors import BadInput
from probe.methods.call import flag, ids_name, minus_name
from probe.methods.kinds import PromptKind, TargetKind, TokenKind
from probe.methods.place_kinds import PlaceKind
from probe.methods.plain_kinds import Choice, Kind, Switch
from probe.methods.read_declarations import Asks, Method, Parameter

Options = Mapping[str, Any]


def options_of(about: Asks) -> Iterator[Argument]:
    """The options of a method's parameters, in its order; what a tool takes by position stands there without a name."""
    for p in about.parameters:
        if isinstance(about, Method) and about.positional(p):
            yield Argument(p.name, Argument.KEYWORD_ONLY, default=_default(p), annotation=_without_name(p))
            continue
        for name, annotation in _of_parameter(p):
            default = _default(p) if name == p.name else None
            yield Argument(name, Argument.KEYWORD_ONLY, default=default, annotation=annotation)
        if isinstance(p.kind, PromptKind) and p is next(q for q in about.parameters if isinstance(q.kind, PromptKind)):
            yield Argument(
                "chat", Argument.KEYWORD_ONLY, default=False, annotation=_chat(about)
            )  # once, for all prompts


def _chat(about: Asks) -> Any:
    """The option that reads prompts as messages, which names what it reads."""
    names = [flag(p.name) for p in about.parameters if isinstance(p.kind, PromptKind)]
    if names == ["--prompt"]:
        return Chat
    return Annotated[
        bool, typer.Option("--chat", help=f"Read {' and '.join(names)} through the model's chat template.")
    ]


def _of_parameter(p: Parameter) -> Iterator[tuple[str, Any]]:
    if isinstance(p.kind, PromptKind) and p.name == "prompt" and not p.several:
        yield from (("prompt", Prompt), ("ids", Ids))
        return
    if isinstance(p.kind, Switch):
        yield p.name, _annotated(p, bool, f"{flag(p.name)}/--no-{flag(p.name)[2:]}")
        return
    yield p.name, _annotated(p, str, flag(p.name), metavar=_metavar(p.kind))
    if isinstance(p.kind, PromptKind):
        words = f"Token ids in place of {flag(p.name)}, like 1,504,3575."
        yield ids_name(p.name), _option(str, p.several, f"{flag(ids_name(p.name))}", words)
    elif _differs(p):
        words = f"The logit of {flag(p.name)} minus that of this token."
        yield minus_name(p.name), Minus if p.name == "target" else _option(str, False, flag(minus_name(p.name)), words)


def _differs(p: Parameter) -> bool:
    """Whether a second token may stand beside it, which is subtracted."""
    return isinstance(p.kind, TargetKind) and not isinstance(p.kind, TokenKind) and not p.several


def _without_name(p: Parameter) -> Any:
    said = typer.Argument(help=unmarked(_words(p)), metavar=p.name.upper())
    return Annotated[(list[str] if p.several else str) | None, said]


def _annotated(p: Parameter, of: type, *names: str, metavar: str | None = None) -> Any:
    return _option(of, p.several, *names, words=_words(p), metavar=metavar)


def _words(p: Parameter) -> str:
    """What is said of a parameter in the help."""
    parts = [p.doc or "What it is asked of.", _wanted(p)]
    if p.several and not p.required and p.default not in (None, [], [None]):
        parts.append(f"By default {', '.join(str(p.kind.text(one)) for one in p.default)}.")
    parts.append("Required." if p.required else "")
    return " ".join(part for part in parts if part)


def _wanted(p: Parameter) -> str:
    """What one may type, as a sentence."""
    if isinstance(p.kind, TargetKind):
        return "Its text, like ' Paris' with the space, or its id, like id:504."
    words = p.kind.words.rstrip(",")
    if isinstance(p.kind, Switch | Choice | PlaceKind) or words == "a text" or words.lower() in p.doc.lower():
        return ""
    return f"{words[:1].upper()}{words[1:]}."


def _option(of: type, several: bool, name: str, words: str, metavar: str | None = None) -> Any:
    option = typer.Option(name, help=unmarked(words + (" Repeatable." if several else "")), metavar=metavar)
    return Annotated[(list[of] if several else of) | None, option]  # type: ignore[valid-type]


def unmarked(words: str) -> str:
    """Words of a help text, in which brackets would be markup."""
    return re.sub(r"\[(?=[a-zA-Z#/@])", r"\\[", words)


def _metavar(kind: Kind) -> str:
    if isinstance(kind, Choice):
        return "|".join(kind.options)
    words = {"number": "NUMBER", "token": "TOKEN", "layers": "LAYERS", "unit": "UNIT", "stored": "NAME"}
    return {**words, "file": "FILE", "folder": "FOLDER"}.get(kind.control, "TEXT")


def _default(p: Parameter) -> Any:
    """The default as one would type it; None where its absence means something, which the sentence says."""
    if p.required or p.default is None or p.several:
        return None
    return p.default if isinstance(p.kind, Switch) else p.kind.text(p.default)


# -- back to plain values ----------------------------------------------------------------------------------------------------


def arguments_of(about: Asks, options: Options) -> dict[str, Any]:
    """The plain arguments of a call, of what was typed. BadInput where options do not go together."""
    found = {p.name: _argument(p, options) for p in about.parameters}
    return {name: value for name, value in found.items() if value is not None}


def _argument(p: Parameter, options: Options) -> Any:
    value = options[p.name]
    if isinstance(p.kind, PromptKind):
        return _prompts(p, value, options[ids_name(p.name)], options["chat"])
    if _differs(p):
        return _target(p, value, options[minus_name(p.name)])
    if value is None or isinstance(p.kind, Switch):
        return value
    if p.kind.control == "stored":
        value = (
            [_named(one) for text in value for one in text.split(",") if one or not text]
            if p.several
            else _named(value)
        )
    return [p.kind.typed(one) for one in value] or None if p.several else p.kind.typed(value)


def _named(text: str) -> str:
    """What is stored here by its name, also where it was typed as its folder."""
    from probe.artifacts.manifest import has_manifest

    folder = Path(text)
    return folder.resolve().name if has_manifest(folder) and _is_here(folder) else text


def _is_here(folder: Path) -> bool:
    from probe.artifacts.folder import home

    return folder.resolve().is_relative_to(home().resolve())


def _prompts(p: Parameter, text: Any, ids: Any, chat: bool) -> Any:
    names = flag(p.name), flag(ids_name(p.name))
    if p.several:
        given = [*((one, None) for one in text or ()), *((None, one) for one in ids or ())]
        return [_prompt(*one, chat, names) for one in given] or None
    return None if text is None and ids is None else _prompt(text, ids, chat, names)


def _prompt(text: str | None, ids: str | None, chat: bool, names: tuple[str, str]) -> Any:
    blank = text is not None and ids is None and not chat and not text.strip()
    return text if blank else prompt_of(text, ids, chat, names)  # what every door says of one is said there


def _target(p: Parameter, token: str | None, other: str | None) -> Any:
    if p.name == "target":
        require_target(token, other)
    elif other is not None and token is None:
        raise BadInput(f"{flag(minus_name(p.name))} goes with {flag(p.name)}, which was not given.")
    if token is None:
        return None
    one = p.kind.typed(token)
    return one if other is None else {"token": one, "other": p.kind.typed(other)}
