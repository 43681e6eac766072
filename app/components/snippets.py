"""'In Python' and 'in the shell': the lines that remake what a panel shows, runnable as printed."""

import shlex
from collections.abc import Sequence

from dash import html

from app.components.parts import copy_button, icon
from probe.methods.call import Call
from probe.methods.catalogue import known


def snippets(python: str, shell: str | None = None) -> html.Details:
    """A collapsed foot of a panel with both, or with Python alone where no command prints the same."""
    words = "in Python, in the shell" if shell else "in Python"
    parts = [*_one("Python", python), *(_one("Shell", shell) if shell else [])]
    return html.Details([html.Summary([icon("code", small=True), words]), *parts], className="ow-code")


def of_call(method: str, model: str = "", show: str = "record", **arguments: object) -> html.Details:
    """The foot of what a declared method, or a tool by its group and name, finds. show: what of its record, in Python."""
    return snippets(
        *lines_of(
            Call.checked(read() if (read := known().get((*method.split(),))) else method, model, arguments), show=show
        )
    )


def _one(label: str, code: str) -> list[html.H4 | html.Pre]:
    head = html.H4([label, html.Span(copy_button(f"the lines for {label}"), **{"data-copy": code})])
    return [head, html.Pre(code)]


def python(lines: str, *, circuits: Sequence[str] = (), probe: Sequence[str] = ()) -> str:
    """Lines of Python under the imports of the public names that they use."""
    used = (("circuits", circuits), ("probe", probe))
    imports = [f"from {package} import {', '.join(sorted(names))}" for package, names in used if names]
    return "\n".join([*imports, "", lines])


def python_of_graph(name: str, lines: str) -> str:
    """Python that works with `graph`, a stored one."""
    return python(f"graph = load_graph({name!r})\n{lines}", circuits=["load_graph"])


def lines_of(call: Call, name: str = "record", show: str = "record") -> tuple[str, str | None]:
    """A call in Python, its record under a name and shown, and in the shell where it can be written there."""
    *head, made, _ = call.python().split("\n")
    return "\n".join([*head, made.replace("record", name, 1), show]), call.shell()


def shell_line(command: str, *options: str) -> str:
    """`openwork COMMAND ...`, quoted for the shell."""
    return shlex.join(["openwork", command, *options])
