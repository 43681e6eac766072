"""Pages of the site as text, and how they are written for mkdocs to build: a folder of Markdown, and the menu."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTIONS = ("Start", "Notebooks", "Methods", "Studies", "Reference", "The project")


@dataclass(frozen=True)
class Page:
    """One page. path: where it stands below the site's root. section: of the menu. files: what lies beside it, by
    path; bytes, or the file that is copied."""

    path: str
    title: str
    text: str
    section: str
    files: dict[str, bytes | Path] = field(default_factory=dict)


def write(pages: Iterable[Page], folder: Path, root: Path) -> Path:
    """All pages as files, new each time, and the settings that mkdocs reads; returns these."""
    shutil.rmtree(folder, ignore_errors=True)
    sources, found = folder / "pages", list(pages)
    for page in found:
        put(sources / page.path, page.text.encode())
        for path, content in page.files.items():
            put(sources / path, content.read_bytes() if isinstance(content, Path) else content)
    source = {"paths": [str(root)], "options": {"extensions": [str(root / "scripts/documenting/docstrings.py")]}}
    settings = {
        "INHERIT": str(root / "mkdocs.yml"),
        "docs_dir": str(sources),
        "site_dir": str(root / "site"),
        "theme": {"custom_dir": str(root / "docs/theme")},
        "plugins": {"mkdocstrings": {"handlers": {"python": source}}},
        "nav": menu(found),
    }
    file = folder / "mkdocs.yml"
    file.write_text(json.dumps(settings, indent=1), encoding="utf8")  # JSON is YAML too
    return file


def put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def menu(pages: list[Page]) -> list[dict[str, Any]]:
    """The menu: the sections in order, in each its pages in theirs."""
    found: list[dict[str, Any]] = []
    for section in SECTIONS:
        inside: list[Any] = [{page.title: page.path} for page in pages if page.section == section]
        found += [{section: inside}] if inside else []
    return found
