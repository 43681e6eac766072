"""The wheel carries everything: code, data, the dashboard's assets, the command; and finds its data outside the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel, built without network and unpacked as an installation would have it."""
    folder = tmp_path_factory.mktemp("wheel")
    pytest.importorskip("hatchling", reason="building a wheel needs hatchling; install the dev extra")
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run([*command, "--wheel-dir", folder, ROOT], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("openwork-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, cwd: Path, code: str) -> str:
    """Run Python somewhere else, with the unpacked wheel first on the path."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_module_data_file_and_asset_is_in_the_wheel(installed):
    for package in ("openwork", "probe", "circuits", "app"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert (installed / path.relative_to(ROOT)).is_file(), path
    for path in (p for p in (ROOT / "data").rglob("*") if p.is_file()):
        assert (installed / "probe" / "_data" / path.relative_to(ROOT / "data")).read_bytes() == path.read_bytes()
    assert list((installed / "app" / "assets").glob("*.js"))
    assert list((installed / "app" / "assets").glob("*.css"))


def test_nothing_else_is_in_the_wheel(installed):
    assert {p.name for p in installed.iterdir()} == {"openwork", "probe", "circuits", "app", "openwork-0.1.0.dist-info"}


def test_the_command_and_the_licence_are_declared(installed):
    (info,) = installed.glob("openwork-*.dist-info")
    assert "openwork = openwork.__main__:main" in (info / "entry_points.txt").read_text()
    assert (info / "licenses" / "LICENSE").is_file()


def test_bundled_data_is_found_from_elsewhere(installed, tmp_path):
    code = "import probe.text.bundled as b; print(b.__file__); print(b.bundled('sotu.parquet'))"
    module, data = run(installed, tmp_path, code).splitlines()
    assert Path(module).is_relative_to(installed)
    assert data == str(installed / "probe" / "_data" / "sotu.parquet")
    code = "from probe.text.documents import corpus; print(len(list(corpus())))"
    assert run(installed, tmp_path, code) == "228"


def test_importing_the_packages_does_no_work(installed, tmp_path):
    code = "import openwork, probe, circuits, app, sys; print([m for m in ('torch', 'transformers', 'dash') if m in sys.modules])"
    assert run(installed, tmp_path, code) == "[]"
