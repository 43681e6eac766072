"""Every notebook runs from top to bottom: on the toy model always, on the default model where it is at hand.

On the default model those that train read half of the text they say, which is long enough for every cell and takes half the time.
"""

import ast
import json
from pathlib import Path

import pytest

import circuits
import openwork
import probe

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def execute(path: Path, model: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a notebook in its own kernel; an error in any cell is an error here."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("OPENWORK_MODEL", model)
    monkeypatch.setenv("OPENWORK_HOME", str(home))
    monkeypatch.setenv("PLOTLY_RENDERER", "json")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("40_000", "20_000")
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_uses_public_names_only(path):
    """What a reader copies works from outside: no module of ours is imported from, and no name that is not offered."""
    public = {p.__name__: {*p.__all__} for p in (probe, circuits, openwork)}
    cells = [c for c in json.loads(path.read_text(encoding="utf8"))["cells"] if c["cell_type"] == "code"]
    assert all(
        not c["outputs"] and c["execution_count"] is None for c in cells
    )  # a stored output is a number nobody checks
    for node in ast.walk(ast.parse("\n".join("".join(c["source"]) for c in cells))):
        if isinstance(node, ast.Import):
            ours = [a.name for a in node.names if a.name.split(".")[0] in (*public, "app")]
            assert not [name for name in ours if name not in public]
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in (*public, "app"):
            assert {a.name for a in node.names} <= public.get(str(node.module), set()), node.module
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in public:
            assert node.attr in public[node.value.id], f"{node.value.id}.{node.attr}"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_on_the_toy_model(path, home, monkeypatch):
    execute(path, "toy", home, monkeypatch)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_on_the_default_model(path, home, monkeypatch):
    execute(path, "smollm2-135m", home, monkeypatch)
