"""What the documents name is there: files and folders, and in CONTRIBUTING every room."""

import re

import pytest
from paths import ROOT

DOCUMENTS = ["README.md", "CONTRIBUTING.md", *(str(f.relative_to(ROOT)) for f in sorted((ROOT / "docs").glob("*.md")))]
TREES = "probe|circuits|app|openwork|tests|scripts|benchmarks|notebooks|docs|data"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_in_documents_are_there(name):
    named = re.findall(rf"`((?:{TREES})/[\w./-]+)`", (ROOT / name).read_text(encoding="utf8"))
    assert not [
        p for p in named if not re.search("[A-Z]{3}", p) and not (ROOT / p).exists()
    ]  # pages/NAME stands for any


def test_contributing_is_the_map_of_the_rooms():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
    for package in ("probe", "circuits", "app"):
        table = re.search(rf"^\| `{package}/` \|.*?\n\n", text, re.M | re.S)
        assert table, package
        first = "".join(row.split("|")[1] for row in table[0].strip().splitlines()[2:])
        named = {name.rstrip("/").split("/")[0] for name in re.findall(r"`([\w/]+/)`", first)}
        rooms = {f.parent.name for f in (ROOT / package).glob("*/__init__.py")}
        assert named == rooms, package
        assert all((ROOT / package / room / "__init__.py").read_text().startswith('"""') for room in rooms)
