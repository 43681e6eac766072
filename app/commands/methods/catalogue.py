"""`openwork methods`: every declared method by its group, or all that one declares of itself."""

from typing import Annotated, Any

import typer

from app.commands.options import AsJson, print_json
from probe.errors import BadInput, brief
from probe.methods import catalogue
from probe.methods.call import Call
from probe.methods.kinds import ChangeKind, PromptKind
from probe.methods.plain_kinds import Number
from probe.methods.read_declarations import Method, Parameter
from probe.model.aliases import DEFAULT
from probe.show.terminal import print_rows, visible


def methods(
    name: Annotated[str | None, typer.Argument(help="One method, like sinks; all of them without it.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Only the methods of this group.")] = None,
    json: AsJson = False,
) -> None:
    """Every method there is, with what to type; or one: what it does, what it takes, and the line of Python."""
    if name is not None:
        _one(catalogue.method_named(name), json)
        return
    groups = catalogue.groups()
    if group is not None and group not in groups:
        raise BadInput(f"There is no group {brief(group)} of methods; there are {', '.join(groups)}.")
    chosen = {g: found for g, found in groups.items() if group in (None, g)}
    if json:
        print_json([_entry(one) for found in chosen.values() for one in found])
        return
    for i, (title, found) in enumerate(chosen.items()):
        if i:
            typer.echo()
        print_rows([{"type": f"openwork {title} {m.name}", "what": m.summary, "paper": m.paper} for m in found], title)
    typer.echo("\n`openwork methods NAME` says all of one; `openwork GROUP NAME --help` its options.")


def _entry(about: Method) -> dict[str, str]:
    return {"name": about.name, "group": about.group, "summary": about.summary, "paper": about.paper}


def _one(about: Method, json: bool) -> None:
    python, shell = example(about)
    if json:
        rows = [_described(p) for p in about.parameters]
        said = {"about": about.about, "definitions": about.definitions}
        print_json({**_entry(about), **said, "parameters": rows, "python": python, "shell": shell})
        return
    typer.echo(f"{about.name} ({about.group})\n\n{visible_lines(about.about)}\n")
    if about.paper:
        typer.echo(f"From: {visible(about.paper)}\n")
    print_rows([{k: "" if v is None else v for k, v in _described(p).items()} for p in about.parameters], "Takes")
    typer.echo(f"\nDefinitions\n{_indented(visible_lines(about.definitions))}")
    typer.echo(f"\nIn Python\n{_indented(python)}\n\nOn the command line\n{_indented(shell)}")


def visible_lines(text: str) -> str:
    """A text of several lines without what could move the cursor."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.split("\n"))


def _described(p: Parameter) -> dict[str, Any]:
    """What one may give for a parameter, and what stands there if one does not."""
    several = "a list, each " if p.several else ""
    default = None if p.required else "none" if p.default is None else p.default
    return {
        "parameter": p.name,
        "wanted": f"{several}{p.kind.words.rstrip(',')}",
        "default": "(needed)" if p.required else default,
        "what": p.doc,
    }


_EXAMPLES: dict[str, Any] = {"prompt": "The capital of France is", "token": " Paris", "unit": "L5H3", "layers": "3"}


def example(about: Method) -> tuple[str, str]:
    """A call of what it needs and nothing else, in Python and for the shell."""
    needed = {p.name: _example(p) for p in about.parameters if p.required}
    needed = {name: value for name, value in needed.items() if value is not None}
    call = Call(about.name, DEFAULT if about.of_model else "", needed, about)
    return call.python(), call.shell() or ""


def _example(p: Parameter) -> Any:
    kind = p.kind
    if isinstance(kind, Number):
        value: Any = kind.example
    elif isinstance(kind, ChangeKind):
        value = "zero:L5H3"
    elif kind.control == "choice":
        value = kind.options[0]  # type: ignore[attr-defined]
    elif kind.control == "switch":
        value = True
    else:
        value = (
            _EXAMPLES["prompt" if isinstance(kind, PromptKind) else kind.control]
            if kind.control in _EXAMPLES
            else "NAME"
        )
    return [value] if p.several else value
