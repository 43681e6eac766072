"""One call of a method with its arguments as plain values: what a form sends, a job remembers, a stored result says of itself.

call = Call("sinks", "smollm2-135m", {"prompt": "The capital of France is", "ratio": 500.0})
call.python()    the lines of Python
call.shell()     the line of the shell
call.run(model)  the record, which remembers the call
"""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from probe.artifacts.json import Json
from probe.errors import BadCall, BadInput, brief
from probe.methods.catalogue import method_named
from probe.methods.kinds import PromptKind, TargetKind
from probe.methods.plain_kinds import NotPlain, Number, scalar
from probe.methods.read_declarations import Asks, Method, Parameter
from probe.plain_values import meant
from probe.progress import SILENT, Progress
from probe.show.made import made_by


@dataclass(frozen=True)
class Call:
    """method: its name. model: the name of the model it is asked of, "" where of none. arguments: plain values by name; what
    stands at its default need not be there.

    >>> call = ow.Call.checked("sinks", "toy", {"prompt": "When Mary and John went to", "draws": 2})
    >>> call.shell()
    "openwork flow sinks --prompt 'When Mary and John went to' --draws 2 --model toy"
    """

    method: str
    model: str = ""
    arguments: Json = field(default_factory=dict)
    declared: Method | None = field(default=None, compare=False, repr=False)

    @property
    def about(self) -> Method:
        """The declaration. BadInput for a method that is not known."""
        return self.declared or method_named(self.method)

    @classmethod
    def checked(cls, method: object, model: object = "", arguments: object = None) -> "Call":
        """A call from anywhere (an address, a file, a form), looked at: BadInput names the parameter, what came and what was
        wanted. Arguments that stand at their default are left out, so equal calls are equal. method: by its name, or a method or
        tool as it is declared."""
        about = method if isinstance(method, Method) else method_named(method)
        for odd in [one for one, sort in ((model, str), (arguments or {}, Mapping)) if not isinstance(one, sort)]:
            raise BadInput(f"A call of {about.name} is a model's name and arguments by name; {brief(odd)} came.")
        given = dict(arguments or {})  # type: ignore[arg-type]
        return cls(about.name, model, checked_arguments(about, given), about)

    @classmethod
    def of(cls, about: Method, given: Mapping[str, Any]) -> "Call | None":
        """The call that Python made; None where no file could hold an argument. BadInput for one that is not of its kind."""
        plain, given = {}, _with_fields(about, given)
        beyond = [name for name in about.in_python if given.get(name) not in (None, (), [])]
        for p in about.parameters:
            if p.name in given:
                try:
                    plain[p.name] = _plain_of(about, p, given[p.name])
                except NotPlain:
                    beyond.append(p.name)
        if beyond:
            return None
        model = ""
        if about.of_model:
            from probe.identity import model_name

            model = model_name(given["model"]) if hasattr(given.get("model"), "cfg") else ""
        return cls(about.name, model, {n: v for n, v in plain.items() if v != _parameter(about, n).default}, about)

    def run(
        self, model: Any = None, progress: Progress = SILENT, folder: Path | None = None, resume: bool = False
    ) -> Any:
        """The record. model: loaded, where the method is asked of one. folder, resume: where the artifact goes that it makes, and
        whether to go on with one that was begun; of those it takes."""
        handed = {"model": model, "progress": progress, "folder": folder, "resume": resume}
        return self.about.run(**{n: handed[n] for n in self.about.handed}, **self._named(model))

    def plan(self, model: Any = None, folder: Path | None = None) -> Any:
        """What it would take, as a record; None where the method announces nothing."""
        return self.about.beside(
            self.about.plan, {"model": model, "folder": folder, **self._named(model, planned=True)}
        )

    def name(self) -> str:
        """What the artifact is called that it makes, if nobody says so; "" where the method says nothing either."""
        return self.about.beside(self.about.named, {"model": self.model, **self._whole()}) or ""

    def names(self) -> list[str]:
        """The results that it stores under names of its own."""
        return list(dict.fromkeys(self.about.beside(self.about.names, self._whole()) or ()))

    def of_its_model(self) -> "Call":
        """The same with the model that is meant where none is named: a cache's own, say."""
        found = "" if self.model else self.about.beside(self.about.model_by, self._whole())
        return replace(self, model=found) if found else self

    def ready(self) -> None:
        """Look, before long work begins, at what only this machine knows: BadInput where a file cannot be written."""
        for p in self.about.parameters:
            value = self.arguments.get(p.name)
            for one in value if isinstance(value, list) else [] if value is None else [value]:
                p.kind.ready(one)

    def _whole(self) -> dict[str, Any]:
        """All arguments, defaults too."""
        return {p.name: None if p.required else p.default for p in self.about.parameters} | dict(self.arguments)

    def python(self) -> str:
        """Lines of Python that make it, runnable as printed."""
        about, lines = self.about, ["import openwork as ow", ""]
        given = ["model"] if about.of_model else []
        for p in about.parameters:
            if p.name in self.arguments:
                value = self.arguments[p.name]
                written = (
                    f"[{', '.join(map(p.kind.python, value))}]"
                    if p.several and value is not None
                    else p.kind.python(value)
                )
                given.append(written if not p.by_name else f"{p.name}={written}")
        if about.of_model:
            lines.append(f"model = ow.load_model({self.model!r})")
        return "\n".join([*lines, f"record = ow.{about.function}({', '.join(given)})", "record"])

    def shell(self) -> str | None:
        """The line of the shell that makes it; None where an argument cannot be written there."""
        about, words = self.about, ["openwork", *self.about.words]
        prompts = sum(isinstance(p.kind, PromptKind) for p in about.parameters)
        for p in about.parameters:
            if p.name not in self.arguments:
                continue
            more = _option(p, self.arguments[p.name], alone=prompts == 1)
            if more is None:
                return None
            words += [word for word in more if word != flag(p.name)] if about.positional(p) else more
        return shlex.join(words + (["--model", self.model] if about.of_model and self.model else []))

    def to_dict(self) -> Json:
        return {"method": self.method, "model": self.model, "arguments": dict(self.arguments)}

    def made(self) -> Json:
        """What a record remembers of the call that made it."""
        return {**self.to_dict(), "command": self.shell() or ""}

    def _named(self, model: Any, planned: bool = False) -> dict[str, Any]:
        """The arguments as the function takes them, or the one that plans."""
        found: dict[str, Any] = {}
        for name, plain in self.arguments.items():
            p = _parameter(self.about, name)
            given = p.kind.planned if planned else p.kind.given
            if p.several and plain is not None:
                found[name] = [given(one, model) for one in plain]
            else:
                found[name] = given(plain, model)
        return found


def call_of(record: Any) -> Call | None:
    """The call that made a record, here or before it was stored; None where that is not known or not a call any more.

    >>> ow.call_of(ow.sinks(model, "When Mary and John went to", draws=2)).arguments["draws"]
    2
    """
    made = made_by(record) or {}
    try:
        return Call.checked(made.get("method"), made.get("model", ""), made.get("arguments")) if made else None
    except BadInput:
        return None


def checked_arguments(about: Asks, given: Mapping[str, Any]) -> Json:
    """Plain values by name, looked at; those at their default are left out."""
    return {n: v for n, v in looked_at(about, given).items() if v != _parameter(about, n).default}


def looked_at(about: Asks, given: Mapping[str, Any]) -> Json:
    """Plain values by name, as they are kept. BadInput for one that is none of its kind, unknown or missing."""
    look_at_names(about, given)
    return {p.name: checked(about, p, given[p.name]) for p in about.parameters if p.name in given}


def _with_fields(about: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """What Python gave, with the fields of settings for the settings. Of both, the keyword decides."""
    held = [settings for name in {p.settings for p in about.parameters} if (settings := given.get(name)) is not None]
    names = [*about.in_python, *(p.name for p in about.parameters if p.settings)]
    found = {name: getattr(settings, name) for settings in held for name in names if hasattr(settings, name)}
    return {**found, **given}


def _parameter(about: Asks, name: str) -> Parameter:
    found = about.parameter(name)
    assert found is not None
    return found


def look_at_names(about: Asks, given: Mapping[Any, Any]) -> None:
    """BadCall for a name that is none of the method's parameters, and where one is missing that it needs."""
    if unknown := [name for name in given if about.parameter(str(name)) is None]:
        raise BadCall(unknown_name(about, unknown[0]))
    if missing := [p for p in about.parameters if p.required and given.get(p.name) is None]:
        words = " and ".join(f"{p.name}, {p.kind.words.rstrip(',')}" for p in missing)
        raise BadCall(f"{about.name} needs {words}.")


def unknown_name(about: Asks, name: object) -> str:
    """What is said of a name that is none of the method's parameters."""
    return f"{about.name} takes no {brief(name)}. {meant(str(name), [p.name for p in about.parameters])}"


def checked(about: Asks, p: Parameter, value: Any) -> Any:
    """A plain value as it is kept; BadInput where it is none of its kind."""
    if _left_out(p, value):
        return value
    try:
        if p.several:
            return [p.kind.check(one) for one in (value if isinstance(value, list) else [value])]
        return p.kind.check(value)
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(wrong(about.name, p, value)) from error


def _left_out(p: Parameter, value: Any) -> bool:
    """Whether a value says that there is none: None, or an empty text where that is the default."""
    return (value is None and (p.optional or p.default is None)) or (
        p.default == "" and isinstance(value, str) and not value
    )


def _plain_of(about: Method, p: Parameter, value: Any) -> Any:
    if _left_out(p, value):
        return value
    try:
        if p.several:
            return [p.kind.plain(one) for one in (value if isinstance(value, list) else listed(p, value))]
        return p.kind.plain(value)
    except (ValueError, TypeError, KeyError) as error:
        if p.more and not _meant_so(p, value):
            raise NotPlain from error
        raise BadInput(wrong(about.name, p, value)) from error


def _meant_so(p: Parameter, value: Any) -> bool:
    """Whether a value can only have been meant as one of the kind: a number where numbers are, a text where texts are. Prompts
    may stand for a number of them, and two tokens for their difference."""
    if isinstance(p.kind, Number):
        return isinstance(value, int | float)
    if isinstance(value, list | tuple) and (p.several or not isinstance(p.kind, TargetKind)):
        return all(_meant_so(p, one) for one in value)
    return isinstance(value, str | int | float) or value is None


def listed(p: Parameter, value: Any) -> list[Any]:
    """Several values, of which one may be given alone."""
    value = scalar(value)
    alone = isinstance(value, str | Mapping) or not isinstance(value, Iterable)
    if not alone and isinstance(p.kind, PromptKind):  # one that is a list itself
        given = list(value)
        alone = bool(given) and not isinstance(given[0], str) and _fits(p, given)
    return [value] if alone else list(value)


def _fits(p: Parameter, value: Any) -> bool:
    try:
        p.kind.plain(value)
    except (ValueError, TypeError, KeyError):
        return False
    return True


def wrong(what: str, p: Parameter, value: Any) -> str:
    """What is said of a value that is none of its kind."""
    words = p.kind.words.rstrip(",")
    each = value if p.several and isinstance(value, list) else [value]
    advice = next((said for one in each if (said := p.kind.advice(one))), "")
    said = f"{what}: {p.name} is {brief(value)}; {f'a list, each {words},' if p.several else words} was wanted."
    return f"{said} {advice}".rstrip()


def ids_name(prompt: str) -> str:
    """The option, as a name, that gives token ids in place of a prompt's text."""
    return "ids" if prompt == "prompt" else f"{prompt}_ids"


def minus_name(token: str) -> str:
    """The option, as a name, that makes of a token the difference of two."""
    return "minus" if token == "target" else f"{token}_minus"


def flag(name: str) -> str:
    """An option as it is typed."""
    return "--" + name.replace("_", "-")


def _option(p: Parameter, value: Any, alone: bool) -> list[str] | None:
    """A parameter's words on the command line; None where it cannot be written there. alone: it is the only prompt."""
    if p.kind.control == "switch" and not p.several:
        return [flag(p.name) if value else f"--no-{flag(p.name)[2:]}"]
    if value is None:
        return [] if p.default is None else None
    values = value if p.several else [value]
    if isinstance(p.kind, PromptKind):
        return _prompts(p, values, alone and not p.several)
    if isinstance(value, Mapping) and isinstance(p.kind, TargetKind):
        return _words(flag(p.name), p.kind.text(value["token"])) + _words(
            flag(minus_name(p.name)), p.kind.text(value["other"])
        )
    texts = [p.kind.text(one) for one in values]
    return None if None in texts else [part for text in texts for part in _words(flag(p.name), text)]


def _prompts(p: Parameter, values: list[Any], alone: bool) -> list[str] | None:
    """Texts or ids; a message only where `--chat`, which holds for all prompts, holds for no other."""
    if all(isinstance(one, str) for one in values):
        return [part for text in values for part in _words(flag(p.name), text)]
    if all(isinstance(one, list) and all(isinstance(i, int) for i in one) for one in values):
        return [part for ids in values for part in (flag(ids_name(p.name)), ",".join(map(str, ids)))]
    messages = values[0]
    if not alone or len(messages) != 1 or messages[0]["role"] != "user":
        return None
    return [*_words(flag(p.name), messages[0]["content"]), "--chat"]


def _words(option: str, text: str | None) -> list[str]:
    """An option and its text, in one word where the text looks like an option itself."""
    return [f"{option}={text}"] if str(text).startswith("-") else [option, str(text)]
