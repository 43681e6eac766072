"""The catalogue of methods: a page for all, with a small picture each, and one for each with its parameters and doors."""

from collections.abc import Iterator
from contextlib import nullcontext
from html import escape
from typing import Any

from probe.methods.catalogue import groups
from probe.methods.read_declarations import Method, Parameter
from scripts.documenting.pages import Page
from scripts.documenting.stored import small_world
from scripts.documenting.tried import example, picture, tried

MODEL = "smollm2-135m"


def catalogue(records: dict[str, tuple[Any, str]] | None = None) -> Iterator[Page]:
    """All pages of methods. records: what each gave on the toy model, by name; by default they are run here."""
    by_group = groups()
    if not by_group:
        return
    every = [one for many in by_group.values() for one in many]
    with small_world() if records is None else nullcontext("") as node:
        found = {one.name: (records or {}).get(one.name) or tried(one, node) for one in every}
    pictures = {name: picture(record) if record is not None else "" for name, (record, _) in found.items()}
    yield _all(by_group, pictures)
    for many in by_group.values():
        for one in many:
            yield _one(one, *found[one.name], pictures[one.name])


def _all(by_group: dict[str, list[Method]], pictures: dict[str, str]) -> Page:
    lines = ["# Methods\n"]
    lines += [
        "Each is one declaration and three doors: a function of `openwork`, a subcommand, a page of the dashboard under"
    ]
    lines += [
        "Methods. `openwork methods` prints this list. The small pictures are of the toy model, whose weights are random.\n"
    ]
    for group, many in by_group.items():
        lines += [f"## {group}\n", '<div class="cards" markdown>\n']
        for one in many:
            image = f"![ ](../pictures/method-{one.name}.svg)" if pictures[one.name] else ""
            paper = f'<span class="paper">{one.paper}</span>' if one.paper else ""
            lines += [
                f'<div class="card" markdown>\n{image}\n\n**[{one.name}]({one.name}.md)**\n\n{one.summary}\n\n{paper}\n</div>\n'
            ]
        lines += ["</div>\n"]
    return Page("methods/index.md", "All methods", "\n".join(lines), "Methods")


def _one(about: Method, record: Any, why: str, svg: str) -> Page:
    text = "\n".join(_lines(about, record, why, svg))
    files: dict[str, Any] = {f"pictures/method-{about.name}.svg": svg.encode()} if svg else {}
    return Page(f"methods/{about.name}.md", about.name, text, "Methods", files)


def _lines(about: Method, record: Any, why: str, svg: str) -> Iterator[str]:
    yield f"# {about.name}\n"
    yield f"{about.about}\n"
    yield f'<pre class="output said">{escape(about.definitions)}</pre>\n'
    if about.paper:
        yield f"*{about.paper}*\n"
    if svg:
        yield f"![On the toy model](../pictures/method-{about.name}.svg){{ .picture }}\n"
    if record is not None:
        yield f'On the toy model it says:\n\n<pre class="output said">{escape(repr(record))}</pre>\n'
    elif why:
        yield f"{why}\n"
    yield "## Parameters\n"
    if about.parameters:
        yield "| name | what | by default | takes |\n| --- | --- | --- | --- |"
        yield from (_row(p) for p in about.parameters)
    yield "\n## Three doors\n"
    call = example(about, MODEL)
    if call is not None:
        yield f"In Python:\n\n```python\n{call.python()}\n```\n"
        yield f"In the shell:\n\n```sh\n{call.shell()}\n```\n"
    else:
        yield f"In Python `openwork.{about.function}(...)`, in the shell `openwork {about.group} {about.name} --help`.\n"
    yield f"In the dashboard: Methods, {about.group}, {about.name}. A result that one of them stores opens in the others.\n"


def _row(p: Parameter) -> str:
    default = "needed" if p.required else "" if p.default is None else f"`{p.default}`"
    kind = f"several: {p.kind.words}" if p.several else p.kind.words
    return "| " + " | ".join(c.replace("|", "\\|") for c in (f"`{p.name}`", p.doc, default, kind.rstrip(","))) + " |"
