"""HTML that a notebook may show: plain elements, nothing that runs, calls out, or fights the colours around it."""

import re
from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects elements and attributes, and checks that what is opened is closed."""

    VOID = frozenset({"img", "br", "hr"})

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = set(), [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)


ALLOWED = {
    *("div", "span", "p", "table", "thead", "tbody", "tr", "th", "td", "img", "details", "summary"),
    *("svg", "text", "rect", "path", "line", "polyline", "circle", "image", "title"),
}


def check(html: str) -> Reader:
    """Plain elements, no script, no id, no handler, no request, no fixed text or ground colour."""
    found = Reader(html)
    assert not found.open and found.tags <= ALLOWED, found.tags - ALLOWED
    for name, value in found.attributes:
        assert name != "id" and not name.startswith("on"), name
        if name in ("src", "href"):
            assert value.startswith("data:image/png;base64,")
        assert "http" not in (value or "").replace("http://", "x") or name in ("title", "alt", "aria-label")
        if name == "style":
            plain = re.sub(r"background:(rgba\([^)]*\)|linear-gradient\(.*\))", "", value)
            assert not re.search(r"(?<![-\w])color:(?!inherit)|background(-color)?:", plain), value
            assert "url(" not in value
    html.encode("utf8")  # no lone halves of characters
    return found
