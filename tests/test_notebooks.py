"""Every notebook runs from top to bottom: on the toy model always, on the default model where it is at hand."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def execute(path: Path, model: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a notebook in its own kernel; an error in any cell is an error here."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("OPENWORK_MODEL", model)
    monkeypatch.setenv("OPENWORK_HOME", str(home))
    monkeypatch.setenv("PLOTLY_RENDERER", "json")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_on_the_toy_model(path, home, monkeypatch):
    execute(path, "toy", home, monkeypatch)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_on_the_default_model(path, home, monkeypatch):
    execute(path, "smollm2-135m", home, monkeypatch)
