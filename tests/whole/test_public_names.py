"""The public names: each is there and typed, none hides behind a submodule, and `openwork` has all of them."""

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from tiny import tiny

import circuits
import openwork
import probe
from openwork.own import is_own
from probe.errors import BadInput
from probe.public import homes

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["probe", "circuits", "probe.features", "openwork"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_no_module_takes_its_place(package):
    module = import_module(package)
    submodules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    assert not submodules & set(module.__all__)  # importing a submodule would set that name to the module
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert dir(module) == sorted(module.__all__)  # what <TAB> offers: no Any, no import_module
    assert all((ROOT / one / "py.typed").is_file() for one in ("openwork", "probe", "circuits", "app"))


def test_the_common_name_has_all_of_both():
    own = {"probe", "circuits", "notebook", "methods", "Call", "call_of", "__version__"}
    assert set(openwork.__all__) == {*probe.__all__, *circuits.__all__, *own}
    assert "sinks" in [method.name for method in openwork.methods()]
    shared = set(probe.__all__) & set(circuits.__all__)
    assert all(getattr(probe, n) is getattr(circuits, n) is getattr(openwork, n) for n in shared)
    assert openwork.probe is probe and openwork.trace is circuits.trace and is_own(probe, "probe")


@pytest.mark.parametrize("package", [probe, circuits, openwork])
def test_a_name_there_is_not_is_answered_with_the_nearest(package):
    name = next(n for n in package.__all__ if len(n) > 8 and n[0] != "_")
    with pytest.raises(AttributeError, match=f"Did you mean .*{name}"):
        getattr(package, name[:-1] + "z")
    with pytest.raises(AttributeError, match="no public name '__wrapped__'.$"):
        _ = package.__wrapped__


def test_a_module_is_told_apart():
    with pytest.raises(AttributeError, match=r"`import probe\.doesnotexist`|no public name"):
        _ = probe.doesnotexist
    code = "import probe\ntry: probe.words\nexcept AttributeError as e: print(e)"
    assert "`import probe.words`" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout


def asked_of_models():
    for package in (probe, circuits):
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.isfunction(found) and next(iter(inspect.signature(found).parameters), "") == "model":
                yield pytest.param(found, id=name)


@pytest.mark.parametrize("function", asked_of_models())
def test_a_model_in_another_place_is_answered_in_a_sentence(function):
    """Swapped arguments, one model too many, a text for the model: no attribute errors, and no model printed."""
    model = tiny("gpt2")
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    swapped = ["The capital of", *[model] * (len(needed) - 1)]
    for given in (swapped, [model] * len(needed)) if len(needed) > 1 else (swapped,):
        with pytest.raises(BadInput, match=f"{function.__name__}.*model") as refused:
            function(*given)
        assert len(str(refused.value)) < 300
    if len(needed) > 1:
        with pytest.raises(TypeError, match="missing|needs"):
            function(model)  # too few arguments stay Python's own business


def test_the_stub_names_what_it_says():
    """Each line of a stub holds for a type checker too: the module defines or imports that name."""
    for package in (probe, circuits):
        for name, module in homes(package.__file__).items():
            assert hasattr(import_module(module), name), (module, name)
        assert "__getattr__" not in Path(package.__file__).with_suffix(".pyi").read_text()  # it would hide every error


@pytest.mark.slow
def test_a_type_checker_knows_every_name_and_no_other(tmp_path):
    checker = pytest.importorskip("pyright").__name__
    asked = ("probe.logit_lens", "openwork.trace", "openwork.probe.head", "probe.logit_lenz", "openwork.tracee")
    (tmp_path / "asked.py").write_text("\n".join(["import probe", "import openwork", *asked, ""]))
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{ROOT}"], "reportAttributeAccessIssue": "error"}}')
    command = [sys.executable, "-m", checker, "--pythonpath", sys.executable, "-p", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    assert [line for line in said.splitlines() if "asked.py:" in line and ("logit_lenz" in line or "tracee" in line)], (
        said
    )
    assert "2 errors" in said, said


@pytest.fixture
def project(tmp_path) -> Path:
    """A folder where Python is started, with an `app`, a `probe` and a `circuits` of its own."""
    for name in ("app", "probe", "circuits"):
        (tmp_path / f"{name}.py").write_text("whose = 'the project'\n")
    return tmp_path


def python(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=environment)


def test_a_project_with_an_app_of_its_own(project):
    code = (
        "import openwork, sys; assert openwork.probe.__file__.startswith(sys.argv[1]) and openwork.parse_site('resid_post.3')\n"
        "import openwork.view; import app.server.notebook; print(sys.path.count(sys.argv[1]))"
    )
    done = python(project, "-c", code, str(ROOT))
    assert done.stdout.strip() == "1" and not done.stderr  # the path is as it was
    done = python(project, "-m", "openwork", "--version")
    assert done.stdout.startswith("openwork 0") and done.returncode == 0, done.stderr


def test_where_theirs_came_first_a_sentence_says_whose_it_is(project):
    done = python(
        project, "-c", "import app\nimport openwork\nprint(app.whose, openwork.head(1, 2).head)\nopenwork.notebook"
    )
    assert done.stdout.strip() == "the project 2"
    assert (
        f"another 'app' was imported first, from {project / 'app.py'}" in done.stderr
        and "rename the other" in done.stderr
    )
    done = python(project, "-c", "import probe\nimport openwork")
    assert "ImportError: Openwork's package 'probe' is at" in done.stderr
