"""Nothing of a built page comes from another machine, and every link inside of the site leads somewhere.

Links that a reader may click on are let out; what a browser would fetch by itself is not: scripts, styles, pictures, fonts,
frames, and addresses in styles.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

FETCHED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "use": ("href", "xlink:href"),
    "image": ("href", "xlink:href"),
}
AWAY = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.I)


class _Fetches(HTMLParser):
    """What a page fetches, what it links to, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.fetched += [given[name] for name in FETCHED.get(tag, ()) if given.get(name)]
        self.fetched += _addresses(given.get("style", ""))
        self._in_style = tag == "style"
        if tag == "link" and "canonical" not in given.get("rel", "") and "edit" not in given.get("rel", ""):
            self.fetched.append(given.get("href", ""))
        if tag == "a" and "href" in given:
            self.linked.append(given["href"])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.fetched += _addresses(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def _addresses(style: str) -> list[str]:
    return re.findall(r"url\(['\"]?([^'\")]+)", style) + re.findall(r"@import\s+['\"]([^'\"]+)", style)


def problems(site: Path) -> Iterator[str]:
    """What is wrong with a built site, a sentence each; nothing where all is well."""
    pages = {file: _read(file) for file in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"There is no page in {site}."
    for file, page in pages.items():
        said = file.relative_to(site)
        yield from (f"{said} fetches {one} from elsewhere." for one in page.fetched if AWAY.match(one))
        for link in page.linked + page.fetched:
            if (wrong := _leads_nowhere(file, link, pages, site)) is not None:
                yield f"{said} leads to {wrong}, which is not there."
    for file in sorted(site.rglob("*.css")):
        away = [one for one in _addresses(file.read_text(encoding="utf8")) if AWAY.match(one)]
        yield from (f"{file.relative_to(site)} fetches {one} from elsewhere." for one in away)


def _read(file: Path) -> _Fetches:
    page = _Fetches()
    page.feed(file.read_text(encoding="utf8"))
    return page


def _leads_nowhere(file: Path, link: str, pages: dict[Path, _Fetches], site: Path) -> str | None:
    """The link, if it leads inside of the site to what is not there."""
    path, _, anchor = unquote(link).partition("#")
    if AWAY.match(link) or re.match(r"[a-z]+:", link, re.I) or file.name == "404.html":
        return None
    target = file if not path else (site / path.lstrip("/") if path.startswith("/") else file.parent / path)
    target = target.resolve()
    target = target / "index.html" if target.is_dir() else target
    if not target.exists():
        return link
    page = pages.get(target)
    return link if page is not None and anchor and anchor not in page.anchors | {"__skip"} else None
