"""'In Python' and 'in the shell': the lines that remake what a panel shows, runnable as printed."""

import shlex

from dash import html

from app.components.parts import copy_button, icon


def snippets(python: str, shell: str | None = None) -> html.Details:
    """A collapsed foot of a panel with both, or with Python alone where no command prints the same."""
    words = "in Python, in the shell" if shell else "in Python"
    parts = [*_one("Python", python), *(_one("Shell", shell) if shell else [])]
    return html.Details([html.Summary([icon("code", small=True), words]), *parts], className="ow-code")


def _one(label: str, code: str) -> list[html.H4 | html.Pre]:
    head = html.H4([label, html.Span(copy_button(), **{"data-copy": code})])
    return [head, html.Pre(code)]


def python_for(call: str, module: str, model: str, prompt: str, show: str) -> str:
    """A complete Python example around one function that takes a model and a prompt."""
    name = call.split("(")[0]
    imports = f"from probe import load_model\nfrom {module} import {name}"
    return f"{imports}\n\nmodel = load_model({model!r})\nrecord = {call.format(prompt=repr(prompt))}\n{show}"


def shell_for(command: str, model: str, prompt: str) -> str:
    """`openwork COMMAND --prompt ... --model ...`."""
    return f"openwork {command} --prompt {shlex.quote(prompt)} --model {shlex.quote(model)}"
