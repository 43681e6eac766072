"""What `make measures` counts, on small trees of known counts."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import QUICK, costliest_file_first, suite_of

from scripts.measures import Row, measures, table
from scripts.measuring.duplicates import duplicates
from scripts.measuring.imports import circles, import_graph
from scripts.measuring.seconds import last_run
from scripts.measuring.sizes import anys, fullest_folder, length, parameters, percentile
from scripts.measuring.sources import sources

ROOT = Path(__file__).resolve().parents[2]


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def graph_of(root: Path) -> set[tuple[str, str]]:
    return {(a, b) for a, b in import_graph(sources(root, "probe")).edges}


def test_imports_that_run_are_found_and_no_others(tmp_path: Path) -> None:
    files = {
        "probe/__init__.py": "from probe.public import attach\n",
        "probe/__init__.pyi": "from probe.deep.home import Name as Name\n",
        "probe/public.py": "import torch\nimport probe_of_another\n",
        "probe/deep/__init__.py": "from .home import Name\n",
        "probe/deep/home.py": "from . import beside\nfrom ..public import attach\nclass Name: ...\n",
        "probe/deep/beside.py": "def late():\n    try:\n        import probe.top as t\n    except ImportError:\n        pass\n",
        "probe/top.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from probe.deep import home\n"
        "else:\n    from probe import public\n",
        "probe/user.py": "def late():\n    from probe import Name, public\n    import_module('probe.top')\n",
    }
    assert graph_of(write(tmp_path, files)) == {
        ("probe", "probe.public"),
        ("probe.deep", "probe.deep.home"),
        ("probe.deep.home", "probe.deep.beside"),
        ("probe.deep.home", "probe.public"),
        ("probe.deep.beside", "probe.top"),
        ("probe.top", "probe.public"),
        ("probe.user", "probe"),
        ("probe.user", "probe.deep.home"),
        ("probe.user", "probe.public"),
    }


def test_circles_are_counted_once_each(tmp_path: Path) -> None:
    files = {
        "probe/a.py": "from probe.b import x\n",
        "probe/b.py": "def late():\n    import probe.c\n",
        "probe/c.py": "from probe import a\n",
        "probe/d.py": "import probe.a\nfrom probe.e import y\n",
        "probe/e.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from probe.d import Z\n",
        "probe/f.py": "import probe.g\n",
        "probe/g.py": "import probe.f\n",
        "probe/h.py": "import probe.h\n",
    }
    found = circles(sources(write(tmp_path, files), "probe"))
    assert found == [["probe.a", "probe.b", "probe.c"], ["probe.f", "probe.g"]]


@pytest.mark.slow
def test_no_module_of_ours_imports_in_a_circle() -> None:
    ours = [file for package in ("probe", "circuits", "app") for file in sources(ROOT, package)]
    assert circles(ours) == []


def only(code: str) -> ast.FunctionDef:
    return next(node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef))


def test_sizes_of_functions() -> None:
    long = only(
        '@decorated(\n    1,\n)\ndef f(a, b, /, c: int = 1, *rest, d, **more) -> None:\n    """Doc."""\n\n    return a\n'
    )
    assert (length(long), parameters(long)) == (4, 6)
    assert parameters(only("class A:\n    def f(self, a): ...")) == parameters(only("def f(*, self, a): ...")) - 1 == 1
    assert [percentile(range(1, n + 1)) for n in (1, 9, 10, 11, 100)] == [1, 9, 9, 10, 90]


@pytest.mark.slow
def test_what_belongs_together_among_parameters_stands_in_settings() -> None:
    files = [file for part in ("probe", "circuits") for file in sources(ROOT, part)]
    assert [f"{file.module}.{f.name}" for file in files for f in file.functions if parameters(f) > 8] == []


@cache
def of_this_tree() -> list:
    """The measures of this checkout, scanned once: it takes seconds."""
    return list(measures(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["files in the fullest folder", "functions over 60 lines", "things written twice"])
def test_whoever_adds_something_hears_at_once_what_it_does_to_the_measures(measure: str) -> None:
    """Those that one change alone can spoil; CONTRIBUTING.md says what to do about each."""
    rows = [row for row in of_this_tree() if row.measure.startswith(measure)]
    assert rows and not [f"{row.measure}: {row.now} at {', '.join(row.names)}" for row in rows if row.ok is False]


def test_folders_and_signatures(tmp_path: Path) -> None:
    signatures = "x: Any = 1\ndef f(a: Any, b: dict[str, Any] | None, *c: Any, d: 'int') -> Any:\n    e: Any = a\n"
    files = {
        "app/__init__.py": "",
        "app/a.py": signatures,
        "app/pages/b.py": "",
        "app/pages/c.py": "",
        "app/pages/x.txt": "",
    }
    found = sources(write(tmp_path, files), "app")
    assert fullest_folder(found) == (2, tmp_path / "app" / "pages") and fullest_folder([]) == (0, Path())
    assert anys(found) == 4


ONE = """
def one(rows, least=3):
    kept = [r for r in rows if r.size > least]
    return sum(kept) / len(kept)
"""
RENAMED = """
class Other:
    async def two(self, xs, few):
        '''Says what.'''
        left = [x for x in xs if x.size > few]
        return sum(left) / len(left)
"""


@pytest.mark.parametrize(
    ("other", "twice"),
    [
        (RENAMED, True),
        (RENAMED.replace("size", "length"), False),  # another attribute
        (RENAMED.replace("sum(", "max("), False),  # another function
        (RENAMED.replace("len(left)", "len(xs)"), False),  # names in other places
        (RENAMED.replace("> few", "> 3"), False),
        (RENAMED.replace("left)\n", "left)\n        # that is all\n"), True),
    ],
)
def test_bodies_that_are_equal_under_other_names(tmp_path: Path, other: str, twice: bool) -> None:
    root = write(tmp_path, {"probe/a.py": ONE, "probe/b.py": other})
    assert duplicates(sources(root, "probe")) == ([["probe.a.one:3", "probe.b.Other.two:5"]] if twice else [])


def test_runs_inside_longer_functions_and_no_trifles(tmp_path: Path) -> None:
    run = "        b = a.read(4)\n        c = b.strip().split('x')\n        print(a, b, c)\n"
    files = {
        "probe/a.py": f"def f(p):\n    log(p)\n    for a in p:\n{run}",
        "probe/b.py": f"def g(q):\n    with q as one:\n{run.replace('a,', 'one,').replace('a.', 'one.')}",
        "probe/c.py": "def small(x):\n    return x.y\n\ndef other(x):\n    return x.y\n",
    }
    assert duplicates(sources(write(tmp_path, files), "probe")) == [["probe.a.f:4", "probe.b.g:3"]]
    files["probe/b.py"] = files["probe/b.py"].replace("(4)", "(5)")
    assert duplicates(sources(write(tmp_path, files), "probe")) == []


def tree(root: Path) -> Path:
    wide = "def f(a, b, c, d, e, f, g, h, i): ...\n"
    files = {
        "probe/a.py": "import probe.b\n" + "\n" * 300,
        "probe/b.py": "import probe.a\ndef long():\n" + "    x = 1\n" * 61,
        "circuits/a.py": "",
        "app/a.py": wide,
        "app/commands/a.py": wide,
    }
    return write(root, files)


def test_the_table_says_what_is_wanted(tmp_path: Path) -> None:
    rows = {row.measure: row for row in measures(tree(tmp_path))}
    said = {name.partition(" (")[0]: (row.now, row.ok) for name, row in rows.items()}
    assert said["import circles at run time"] == (1, False)
    assert said["functions over 60 lines"] == (1, False)
    assert said["functions of more than 8 parameters"] == (1, False)  # and one command's
    assert said["90th percentile of file lengths, probe"] == (301, False)
    assert said["90th percentile of function lengths"] == (62, False)
    assert said["things written twice"] == (0, True)
    assert said["files in the fullest folder of probe"] == (2, True)
    assert said["seconds of `make test`"] == (None, None)
    text = table([*rows.values()], names=True)
    assert "| functions of more than 8 parameters (and of commands: 1) | 1 | 0 | no |" in text
    assert "62 probe.b.long" in text and "probe.a probe.b" in text


def test_a_run_that_failed_tells_no_time(tmp_path: Path) -> None:
    run = {"seconds": 100.4, "tests": 3, "processes": 2, "passed": True}
    for passed, now in ((True, 100), (False, None)):
        write(tree(tmp_path), {".pytest_cache/v/openwork/quick": json.dumps({**run, "passed": passed})})
        assert next(row.now for row in measures(tmp_path) if "make quick" in row.measure) == now
    assert last_run(tmp_path, "test") is None


def test_the_command(tmp_path: Path) -> None:
    def run(*options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "scripts.measures", "--root", str(tree(tmp_path)), *options]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    plain, strict = run("--json"), run("--strict")
    assert plain.returncode == 0 and strict.returncode == 1
    first, *_ = json.loads(plain.stdout)
    row = Row("files in the fullest folder of probe (without __init__)", 2, 18, ("probe",))
    assert first == {"measure": row.measure, "now": 2, "wanted": 18, "names": ["probe"], "ok": True}


def test_only_whole_suites_are_timed() -> None:
    whole, some = pytest.Config.ArgsSource.TESTPATHS, pytest.Config.ArgsSource.ARGS
    asked = [(whole, "", {}), (whole, QUICK, {}), (some, QUICK, {}), (whole, "slow", {})]
    asked += [(whole, "", {"keyword": "word"}), (whole, QUICK, {"collectonly": True})]
    configs = [
        SimpleNamespace(args_source=source, option=SimpleNamespace(markexpr=marks, **options))
        for source, marks, options in asked
    ]
    assert [suite_of(config) for config in configs] == ["test", "quick", "", "", "", ""]


def test_the_costliest_files_come_first_and_stay_whole() -> None:
    marked = [
        ("a", {}),
        ("a", {}),
        ("b", {"slow": 1}),
        ("c", {"browser": 1}),
        ("c", {"browser": 1, "slow": 1}),
        ("b", {}),
    ]
    items = [SimpleNamespace(path=Path(name), get_closest_marker=marks.get) for name, marks in marked]
    assert [item.path.name for item in sorted(items, key=costliest_file_first(items))] == ["c", "c", "b", "b", "a", "a"]
