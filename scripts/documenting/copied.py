"""The documents of the repository as pages: their text as it stands, links and pictures led to where things are here."""

import re
from collections.abc import Iterator
from pathlib import Path

from scripts.documenting.pages import Page

FIRST = {"README.md": ("index.md", "Openwork", "Start"), "docs/start.md": ("start.md", "How to start", "Start")}
"""Where a document stands on the site, its title and section; others of `docs/` stand under the project."""
LAST = {
    "CONTRIBUTING.md": ("contributing.md", "Contributing", "The project"),
    "CHANGELOG.md": ("changelog.md", "Changes", "The project"),
    "data/PROVENANCE.md": ("provenance.md", "Where the data come from", "The project"),
}
STUDIED = {
    "two-circuits.md": "Two circuits",
    "transcoder-or-autoencoder.md": "Transcoder or autoencoder?",
    "ioi.md": "Indirect object identification",
    "greater-than.md": "Greater-than",
    "factual-recall.md": "Key mechanisms of factual recall",
    "arithmetic.md": "Arithmetic in a few heads",
    "prism.md": "Fact recall, heuristics or guesswork",
    "edge-methods.md": "How good edge attribution is",
}
FURTHER = {
    "coming-from.md": ("Start", "Coming from another library"),
    "architectures.md": ("The project", "Architectures"),
}


def documents(root: Path) -> Iterator[Page]:
    """README and what stands in docs/, then the rest."""
    places = {**FIRST, **{f"docs/{f.name}": _place(f) for f in sorted((root / "docs").glob("*.md"))}, **FIRST, **LAST}
    for name, (path, title, section) in places.items():
        if (root / name).is_file():
            text = (root / name).read_text(encoding="utf8")
            pictures = dict(_pictures(root, name, text))
            yield Page(path, title, mended(text, name, places), section, dict(pictures.values()))


def _place(file: Path) -> tuple[str, str, str]:
    if file.name in STUDIED:
        return f"studies/{file.name}", STUDIED[file.name], "Studies"
    section, title = FURTHER.get(file.name, ("The project", file.stem.replace("-", " ").capitalize()))
    return file.name, title, section


def mended(text: str, name: str, places: dict[str, tuple[str, str, str]]) -> str:
    """Links to another document lead to its page, those to pictures to their copy; what is not on the site is named only."""
    here = places[name][0] if name in places else name
    up = "../" * here.count("/")

    def lead(match: re.Match[str]) -> str:
        bang, said, target = match[1], match[2], match[3]
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        file, _, place = target.partition("#")
        wanted = _resolved(name, file)
        if bang or wanted.endswith((".png", ".svg")):
            return f"{bang}[{said}]({up}pictures/{Path(wanted).name})"
        if wanted in places:
            return f"[{said}]({up}{places[wanted][0]}{'#' + place if place else ''})"
        if wanted.startswith("notebooks/"):
            return f"[{said}]({up}{wanted.removesuffix('.ipynb')}.md)"
        return said

    text = re.sub(r'(srcset|src)="([^"]+\.png)"', lambda m: f'{m[1]}="{up}pictures/{Path(m[2]).name}"', text)
    return re.sub(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)", lead, text)


def _resolved(name: str, target: str) -> str:
    """A relative link of a document, from the root."""
    parts: list[str] = list(Path(name).parent.parts)
    for part in Path(target).parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/".join(parts)


def _pictures(root: Path, name: str, text: str) -> Iterator[tuple[str, tuple[str, Path]]]:
    for target in re.findall(r'!\[[^\]]*\]\(([^)\s]+)\)|(?:srcset|src)="([^"]+)"', text):
        wanted = _resolved(name, target[0] or target[1])
        if (root / wanted).is_file():
            yield wanted, (f"pictures/{Path(wanted).name}", root / wanted)
