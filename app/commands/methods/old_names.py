"""Commands of before that are methods now: `openwork edit --change ...` is `openwork prompts edit --changes ...`.

An old name is a line of `OLD_NAMES`: what was typed, the method that it is now, and of each option with another name what it is
called now. The command takes the method's options by their new names and by their old ones; its help says the new name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from inspect import Parameter as Argument
from typing import Annotated, Any, get_args

import typer
from typer.models import OptionInfo

from app.commands.limits import MOST
from app.commands.methods.asides import REPAIR, SEARCH, UNIT, Aside, with_asides
from app.commands.methods.command import command_of
from app.commands.methods.parameters_as_options import options_of
from probe.errors import BadInput
from probe.methods import catalogue
from probe.methods.call import flag
from probe.methods.catalogue import method_named
from probe.methods.read_declarations import Method


@dataclass(frozen=True)
class OldName:
    """typed: the words after `openwork`. method: its name now, "" of a tool that is called so still. options: old names of
    options, and of each what parameter it is now. position: the parameters that were given without an option. given: other
    defaults of parameters, as one would type them. written: old options that are words of another parameter, and those words:
    `--top 20` is `--nodes top:20`. instead: an option that names something else, the method or tool that is asked of it, and
    which of its parameters are given by which of these options. sizes: bytes that were given in GB, and what they are of. asides:
    options that ask something else of the artifact that the call makes."""

    typed: str
    method: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    position: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    instead: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=dict)
    asides: tuple[Aside, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What was typed after `openwork`."""
        return (*self.typed.split(),)

    def command(self) -> Callable[..., None]:
        """The function that the command line runs."""
        about = _asked(self.method or self.typed)
        said = f"This is `openwork {' '.join(about.words)}`; the old name goes on working."
        command = command_of(about, self._options, f"{about.about}\n\n{said}" if self.method else "", self._read)
        return with_asides(command, about, self.asides) if self.asides else command

    def _options(self, options: Iterable[Argument]) -> Iterator[Argument]:
        known = [*options]
        yield from (self._renamed(one) for one in known if one.name not in self.written)
        for name, (parameter, words) in self.written.items():
            of = list[str] | None if "{}" in words else bool
            said = f"{flag(parameter)} {words.format(name.upper())}{', repeatable' if '{}' in words else ''}."
            kind = Annotated[of, typer.Option(flag(name), help=said)]  # type: ignore[valid-type]
            yield Argument(name, Argument.KEYWORD_ONLY, default=None if "{}" in words else False, annotation=kind)
        there = {one.name for one in known}
        for method, given in self.instead.values():
            new = [one for one in options_of(_asked(method)) if one.name not in {*given, *there}]
            there |= {one.name for one in new}
            yield from (self._renamed(one) for one in new)

    def _read(self, typed: dict[str, Any]) -> tuple[Method | None, dict[str, Any]]:
        """The method that is asked where it is another, and what was typed, with the words of old options in their parameters."""
        found: dict[str, list[str]] = {parameter: [] for parameter, _ in self.written.values()}
        for name, (parameter, words) in self.written.items():
            value = typed[name]
            found[parameter] += [words] if value is True else [words.format(one) for one in value or []]
        said = {parameter: words for parameter, words in found.items() if words or parameter in self.written}
        options = typed | {n: words if n == "at" else ",".join(words) or None for n, words in said.items()}
        options |= {name: _bytes(typed[name]) for name in self.sizes}
        for name, (method, given) in self.instead.items():
            if typed[name] not in (None, ""):
                return _asked(method), options | {parameter: typed[option] for parameter, option in given.items()}
        return None, options

    def _renamed(self, option: Argument) -> Argument:
        """An option that is known by its old names too."""
        of, info = get_args(option.annotation)
        option = option.replace(default=self.given.get(option.name, option.default))
        if option.name in self.sizes:
            words = f"GB that {self.sizes[option.name]} may take; by default {int(option.default) / 1e9:.2g}."
            said = typer.Option(flag(option.name), metavar="GB", help=words)
            return option.replace(annotation=Annotated[float | None, said], default=None)
        if option.name in self.position:
            said = typer.Argument(help=info.help, metavar=option.name.upper())
            return option.replace(annotation=Annotated[of, said])
        old = [name for name, new in self.options.items() if new == option.name]
        if old and isinstance(info, OptionInfo):
            info = copy(info)
            info.param_decls = (*(info.param_decls or ()), *(one for name in old for one in _flags(name, info)))
        return option.replace(annotation=Annotated[of, info])


def _asked(words: str) -> Method:
    """A tool by its group and name, or a method by its name."""
    found = catalogue.known().get((*words.split(),))
    return found() if found else method_named(words)


_MOST_GB = MOST["memory"] / 1e9


def _bytes(size: float | None) -> str | None:
    """A size in GB as bytes, as one would type them. BadInput for what is none."""
    if size is not None and not 0 < size <= _MOST_GB:
        raise BadInput(f"--memory is {size}; the GB it may use were wanted, like 2.")
    return None if size is None else str(max(1, int(size * 1e9)))


def _flags(name: str, info: OptionInfo) -> Iterator[str]:
    switch = any("/" in one for one in info.param_decls or ())
    yield f"{flag(name)}/--no-{flag(name)[2:]}" if switch else flag(name)


_OF_GRAPH = {"dictionary": "dictionaries", "top": "rows"}
_OF_PROMPT = {"dictionary": "dictionaries", "top_k": "k"}
_OF_TWO = {"prompt": "a", "ids": "a_ids", "with": "b", "with_ids": "b_ids", "dictionary": "dictionaries"}
_SITES = {"site_in": "sites_in", "site_out": "sites_out"}
_ONE_LABEL = {name: ("features label", {}) for name in ("unit", "text", "author", "score", "method", "imported")}
OLD_NAMES: tuple[OldName, ...] = (
    OldName(
        "heads", "head-table", {"position": "pos"}, given={"top": "20"}, instead={"head": ("one-head", {"k": "top"})}
    ),
    OldName("follow", "follow-token", {"token": "target"}, written={"position": ("at", "token={}")}),
    OldName(
        "patch",
        "patch",
        {"right": "target", "wrong": "minus", "top": "rows"},
        given={"rows": 20},
        written={"noise": ("direction", "noise")},
        sizes={"memory": "the rows of one pass"},
    ),
    OldName("trace", options={"dictionary": "dictionaries"}, sizes={"memory": "the trace"}),
    OldName("lens", "logit-lens", {"position": "positions"}, given={"top_k": "5"}),
    OldName("units", "strongest-units", _OF_PROMPT),
    OldName("compare", "compare-prompts", _OF_TWO),
    OldName(
        "edit",
        "edit",
        {
            "change": "changes",
            "position": "pos",
            "dictionary": "dictionaries",
            "with": "other",
            "with_ids": "other_ids",
        },
    ),
    OldName("connections", "connections", {"dictionary": "dictionaries", "top": "k"}, ("target",)),
    OldName("paths", "top-paths", {"dictionary": "dictionaries"}),
    OldName(
        "graph test",
        "subgraph-test",
        {"random": "n_random", "prompt": "prompts", "dictionary": "dictionaries"},
        ("graph",),
        written={
            "nodes": ("nodes", "{}"),
            "top": ("nodes", "top:{}"),
            "top_k": ("nodes", "top:{}"),
            "pinned": ("nodes", "pinned"),
        },
    ),
    OldName("graph heads", "edge-heads", _OF_GRAPH, ("graph",)),
    OldName("graph qk", "qk-attribution", _OF_GRAPH, ("graph",)),
    OldName("graph diff", "compare-graphs", {"top": "rows"}, ("a", "b")),
    OldName("graph merge", "merge-graphs", {"top": "rows"}, ("graphs",)),
    OldName("harvest", asides=(REPAIR,)),
    OldName("features", "measure-units", asides=(UNIT, SEARCH)),
    OldName("label", "label-units", {"import": "imported"}, ("table",), instead=_ONE_LABEL),
    OldName("eval", "dictionaries judge", {"dictionary": "dictionaries", "text": "texts"}),
    OldName("import", "dictionaries import", {"model": "model_name"}),
    OldName("export", "dictionaries export", {"dictionary": "dictionaries"}),
    OldName("train", options=_SITES),
    OldName(
        "sweep",
        options={"kind": "kinds", "rule": "rules", "d_dict": "widths", "seed": "seeds", "text": "texts", **_SITES},
    ),
    OldName("unit", "unit-on-text", {"prompt": "text", "ids": "text_ids"}, ("unit",)),
    OldName("graph prune", options={"top": "rows"}, given={"rows": 20}),
    OldName("graph pin", options={"top": "rows"}, given={"rows": 20}),
    OldName("graph supernodes", options={"set": "put"}),
)
