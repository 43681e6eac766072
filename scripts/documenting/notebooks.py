"""Notebooks with their stored outputs as pages: text and code as they stand, what a cell printed and showed below it."""

import base64
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from scripts.documenting.pages import Page


def notebooks(root: Path) -> Iterator[Page]:
    """Each notebook of the folder."""
    for file in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(file.read_text(encoding="utf8"))["cells"]
        files: dict[str, bytes | Path] = {}
        text = "\n\n".join(part for i, cell in enumerate(cells) for part in _cell(cell, f"{file.stem}-{i}", files))
        title = next((line[2:] for line in text.split("\n") if line.startswith("# ")), file.stem)
        yield Page(f"notebooks/{file.stem}.md", title, text, "Notebooks", files)


def _cell(cell: dict[str, Any], name: str, files: dict[str, bytes | Path]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        source = re.sub(r"\]\(\.\./docs/(two-circuits|transcoder-or-autoencoder)\.md", r"](../studies/\1.md", source)
        yield re.sub(r"\]\(((?:\d\d)_\w+)\.ipynb", r"](\1.md", source.replace("](../docs/", "](../"))
        return
    yield f"```python\n{source}\n```"
    for i, output in enumerate(cell.get("outputs", [])):
        yield from _output(output, f"{name}-{i}", files)


def _output(output: dict[str, Any], name: str, files: dict[str, bytes | Path]) -> Iterator[str]:
    data = output.get("data", {})
    if output["output_type"] == "stream":
        yield f'<pre class="output">{escape("".join(output["text"]))}</pre>'
    elif (kind := next((k for k in ("png", "jpeg") if f"image/{k}" in data), None)) is not None:
        files[f"pictures/notebook-{name}.{kind}"] = base64.b64decode("".join(data[f"image/{kind}"]))
        yield f"![What the cell draws](../pictures/notebook-{name}.{kind})"
    elif "text/html" in data:
        yield f'<div class="output">{re.sub(chr(10) + "+", chr(10), "".join(data["text/html"]))}</div>'
    elif "text/plain" in data:
        yield f'<pre class="output">{escape("".join(data["text/plain"]))}</pre>'
