"""Pages as the server sends them, without a server."""

import json
from typing import Any
from urllib.parse import urlsplit

import plotly

from app.frame import shell
from app.pages import PAGES


def as_json(value: Any) -> str:
    """As the server sends it."""
    return json.dumps(value, cls=plotly.utils.PlotlyJSONEncoder, allow_nan=False)


def drawn(address: str, monkeypatch) -> str:
    """The layout of a page as the JSON that is sent; fails where the shell had to step in for a bug of the page."""
    bugs = []
    monkeypatch.setattr(shell, "meet", lambda problem, where: bugs.append(problem) or shell.Trouble("0", where, "x"))
    parts = urlsplit(address)
    layout, _ = shell.route(PAGES, parts.path, f"?{parts.query}")
    assert not bugs, (address, bugs)
    text = json.dumps(layout, cls=plotly.utils.PlotlyJSONEncoder)
    assert "Traceback" not in text
    return text
