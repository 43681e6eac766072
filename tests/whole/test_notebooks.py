"""Every notebook runs from top to bottom: on the toy model always, on the default model where it is at hand.

On the default model those that train and judge read a part of the text they say, which is long enough for every cell.
One kernel runs them all, so that torch is imported once; what one of them named is forgotten before the next.
"""

import ast
import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import circuits
import openwork
import probe
from scripts.notebooks import FIGURE, scrubbed, stamp, trim

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


SHORTER = {"40_000": "8_000", "else 2000": "else 500", '"topk:16", "topk:32", "topk:64"': '"topk:16", "topk:64"'}
"""What a notebook trains and judges on, and what is enough here."""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager.start_kernel(cwd=str(NOTEBOOKS[0].parent))
    yield manager
    manager.shutdown_kernel(now=True)


def execute(path: Path, model: str, home: Path, kernel: Any) -> Any:
    """Run a notebook where no name of another is left; an error in any cell is an error here."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for whole, part in SHORTER.items():
            cell.source = cell.source.replace(whole, part)
    named = {"OPENWORK_MODEL": model, "OPENWORK_HOME": str(home), "PLOTLY_RENDERER": "json"}
    first = nbformat.v4.new_code_cell(f"%reset -f\nimport gc, os\ngc.collect()\nos.environ.update({named})\ndel gc, os")
    notebook.cells.insert(0, first)
    NotebookClient(notebook, km=kernel, timeout=600).execute()
    del notebook.cells[0]
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    return notebook


def shortened(path: Path) -> bool:
    """Does the run here read less than the notebook says?"""
    text = path.read_text(encoding="utf8")
    return any(whole in text for whole in SHORTER)


def said(cells: list, home: Path) -> list[str]:
    """The words of what cells printed, without numbers, which differ a little from machine to machine."""
    shown = [o for cell in cells for o in cell.get("outputs", []) if o.get("name") != "stderr"]
    texts = ["".join(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in shown]
    return [
        word
        for text in texts
        if not text.startswith("Figure(")
        for word in re.findall(r"[^\W\d]+", scrubbed(text, home))
    ]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_uses_public_names_only(path):
    """What a reader copies works from outside: no module of ours is imported from, and no name that is not offered."""
    public = {p.__name__: {*p.__all__} for p in (probe, circuits, openwork)}
    cells = [c for c in json.loads(path.read_text(encoding="utf8"))["cells"] if c["cell_type"] == "code"]
    tree = ast.parse("\n".join("".join(c["source"]) for c in cells))
    imported = (a for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names)
    public |= {str(a.asname): public[a.name] for a in imported if a.asname and a.name in public}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            ours = [a.name for a in node.names if a.name.split(".")[0] in (*public, "app")]
            assert not [name for name in ours if name not in public]
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in (*public, "app"):
            assert {a.name for a in node.names} <= public.get(str(node.module), set()), node.module
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in public:
            assert node.attr in public[node.value.id], f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_is_stored_is_of_this_code(path):
    """`make notebooks` stores what a notebook shows; a change of its code asks for it again."""
    text = path.read_text(encoding="utf8")
    notebook = json.loads(text)
    assert notebook["metadata"].get("openwork", {}).get("source") == stamp(notebook["cells"]), "run `make notebooks`"
    shown = [o for c in notebook["cells"] for o in c.get("outputs", [])]
    assert shown and not [o for o in shown if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert len(text) < 400_000
    assert not re.search(r"/tmp/|/home/|/root/|/Users/|https?://(?!127\.0\.0\.1:8050)[^\"]*\.js", json.dumps(shown))


def test_another_code_is_another_stamp_and_its_layout_is_not():
    def cells(*sources):
        return [{"cell_type": "code", "source": s} for s in sources]

    assert stamp(cells("a = 1", "a")) == stamp(cells("a=1  # one\n", "(a)")) != stamp(cells("a = 2", "a"))


def test_what_is_stored_is_what_a_reader_needs(home):
    import nbformat.v4 as made

    def shown(**data):
        return made.new_output("display_data", data={kind.replace("_", "/"): value for kind, value in data.items()})

    outputs = [
        made.new_output("stream", name="stderr", text="50%|#####"),
        made.new_output(
            "stream",
            name="stdout",
            text=f"kept in {home}/a on 127.0.0.1:43117 after 3.2 s, 2026-01-02T03:04:05+00:00\n",
        ),
        shown(text_html="<iframe src='x'></iframe>", text_plain="a page"),
        shown(text_html="<p>rows</p>", text_plain="rows", application_json="{}"),
    ]
    outputs.append(made.new_output("display_data", data={FIGURE: {"data": [], "layout": {}}}))
    notebook = made.new_notebook(cells=[made.new_code_cell("1", outputs=outputs)])
    trim(notebook, home, lambda figure: {"image/png": "drawn"})
    said, page, rows, figure = notebook.cells[0].outputs
    assert said.text == "kept in runs/a on 127.0.0.1:8050 after … s, …\n"
    assert [page.data, rows.data] == [{"text/plain": "a page"}, {"text/html": "<p>rows</p>", "text/plain": "rows"}]
    assert figure.data == {"image/png": "drawn"} and notebook.metadata["openwork"]["source"] == stamp(notebook.cells)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_on_the_toy_model(path, home, kernel):
    execute(path, "toy", home, kernel)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_on_the_default_model(path, home, kernel):
    notebook = execute(path, "smollm2-135m", home, kernel)
    if not shortened(path):
        was, now = said(json.loads(path.read_text(encoding="utf8"))["cells"], home), said(notebook.cells, home)
        assert difflib.SequenceMatcher(None, was, now, autojunk=False).ratio() > 0.9, (was, now)
