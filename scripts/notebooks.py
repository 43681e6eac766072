"""Run the notebooks on the default model and store what they show, so that they can be read where nothing is installed.

    python -m scripts.notebooks [NAME ...]       make notebooks; names like 06 or first_steps, by default all

What is stored is what a reader needs: text, records as they show themselves, figures as small pictures (drawn by Chromium with
our own bundle of plotly). Progress, timings, paths and ports of this machine are left out. The notebook says which model it was
run on and what its code was then (`stamp`); a test holds that against the code that stands there, and runs it anew.
"""

import argparse
import ast
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODEL = "smollm2-135m"
FIGURE = "application/vnd.plotly.v1+json"
MOST, BESIDE = 100_000, 50_000
"""Characters of one shown record, alone and beside its figure; a longer one is stored as the lines that it prints."""
WIDTH, HEIGHT = 700, 450
LARGE = 60_000
"""Characters of a picture from which on it is stored as JPEG: a graph of a thousand marks is half a megabyte otherwise."""
_DRAWN = "([figure, size]) => Plotly.toImage(figure, size)"
_SMALLER = """async (png) => {
  const image = new Image();
  image.src = png;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/jpeg", 0.75);
}"""


def stamp(cells: Iterable[Any]) -> str:
    """What the code is, whatever its layout and comments."""
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    return hashlib.sha256(ast.dump(ast.parse(code)).encode()).hexdigest()[:16]


def run(notebook: Any, folder: Path, home: Path) -> None:
    """Every cell, in a kernel of its own."""
    from nbclient import NotebookClient

    os.environ |= {"OPENWORK_MODEL": MODEL, "OPENWORK_HOME": str(home), "PLOTLY_RENDERER": "plotly_mimetype"}
    NotebookClient(notebook, timeout=900, record_timing=False, resources={"metadata": {"path": str(folder)}}).execute()


def trim(notebook: Any, home: Path, draw: Callable[[Any], dict[str, str]]) -> None:
    """Leave of the outputs what is stored."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            most = BESIDE if any(FIGURE in output.get("data", {}) for output in cell.outputs) else MOST
            cell.outputs = [kept for output in cell.outputs if (kept := _trimmed(output, home, draw, most)) is not None]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "openwork": {"model": MODEL, "source": stamp(notebook.cells)},
    }


def _trimmed(output: Any, home: Path, draw: Callable[[Any], dict[str, str]], most: int) -> Any:
    if output.output_type == "stream":
        if output.name == "stderr":
            return None
        output.text = scrubbed(output.text, home)
        return output
    data = output.data
    if FIGURE in data:
        output.data, output.metadata = draw(data[FIGURE]), {}
        return output
    kept = {kind: scrubbed(data[kind], home) for kind in ("text/html", "text/plain") if kind in data}
    if len(kept.get("text/html", "")) > most or "<iframe" in kept.get("text/html", ""):
        del kept["text/html"]
    output.data, output.metadata = kept, {}
    return output if kept else None


def scrubbed(text: str, home: Path) -> str:
    """Without what belongs to this machine and this hour."""
    for place, said in ((home, "runs"), (ROOT, "."), (Path.home(), "~"), (Path(tempfile.gettempdir()), "tmp")):
        text = text.replace(str(place), said)
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:8050", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:[+-][\d:]+|Z)?", "…", text)
    return re.sub(r"\b\d+(?:\.\d+)? (s|ms|seconds|minutes)\b", r"… \1", text)


def drawer(page: Any) -> Callable[[Any], dict[str, str]]:
    """Draws figures in a page of a browser: a PNG, or a JPEG where that would be large, by its kind as base64."""
    page.set_content("<div id='figure'></div>")
    page.add_script_tag(path=str(ROOT / "app/assets/plotly-cartesian.min.js"))

    def draw(figure: Any) -> dict[str, str]:
        layout = {**figure.get("layout", {})}
        layout |= {"paper_bgcolor": "white", "plot_bgcolor": layout.get("plot_bgcolor", "white")}
        size = {"width": layout.get("width") or WIDTH, "height": layout.get("height") or HEIGHT}
        drawn = page.evaluate(_DRAWN, [{"data": figure["data"], "layout": layout}, {**size, "format": "png"}])
        if len(drawn) > LARGE:
            drawn = page.evaluate(_SMALLER, drawn)
        kind, written = drawn.removeprefix("data:").split(";base64,", 1)
        return {kind: written}

    return draw


def store(path: Path, draw: Callable[[Any], dict[str, str]]) -> None:
    """Run one notebook and write it with what it showed; nothing is written where a cell fails."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="openwork-notebook-") as folder:
        run(notebook, path.parent, Path(folder))
        trim(notebook, Path(folder), draw)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf8")
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", file=sys.stderr)


def main() -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="parts of the names of notebooks; all by default")
    names = parser.parse_args().names
    files = [f for f in sorted((ROOT / "notebooks").glob("*.ipynb")) if not names or any(n in f.name for n in names)]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("figures are drawn by Chromium, and there is none on the path", file=sys.stderr)
        return 1
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for file in files:
            store(file, drawer(browser.new_page()))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
