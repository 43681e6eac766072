"""A frame around the dashboard in a real browser: a page on another loopback port may, a page of a foreign origin may not."""

import functools
import http.server
import os
import threading

import pytest
from browsing import CHROMIUM, chromium, expect, playwright, pytestmark
from records import small_graph


@pytest.fixture(scope="module")
def framed(tmp_path_factory):
    """The notebook's server, and a page on another loopback port that frames it."""
    before, os.environ["OPENWORK_HOME"] = os.environ["OPENWORK_HOME"], str(tmp_path_factory.mktemp("framed"))
    folder = tmp_path_factory.mktemp("host")
    view = small_graph().open()
    (folder / "index.html").write_text(f"<!doctype html><body>{view._repr_html_()}", encoding="utf8")
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    os.environ["OPENWORK_HOME"] = before


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_page_on_loopback_frames_the_dashboard(chromium, framed):
    complaints: list[str] = []
    for host in ("127.0.0.1", "localhost"):
        page = chromium.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.goto(f"http://{host}:{framed}/")
        frame = page.frame_locator("iframe")
        expect(frame.locator("h1")).to_be_visible(timeout=20_000)
        expect(frame.get_by_text("one <b>two").first).to_be_visible(timeout=20_000)
        page.close()
    assert not [c for c in complaints if "404" not in c], complaints  # the framing page has no icon


def test_a_page_of_a_foreign_origin_cannot(framed):
    rules = "--host-resolver-rules=MAP foreign.example 127.0.0.1"
    found, shown = [], []

    def look() -> None:  # a second driver in a thread of its own: the fixture's holds this one
        with playwright.sync_playwright() as driver:
            other = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", rules])
            page = other.new_page()
            page.on("console", lambda m: found.append(m.text) if m.type == "error" else None)
            page.goto(f"http://foreign.example:{framed}/")
            page.wait_for_function("() => document.querySelector('iframe')")
            for _ in range(50):
                if any("frame-ancestors" in words for words in found):
                    break
                page.wait_for_timeout(100)
            shown.append(page.frames[-1].url)
            other.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(60)
    assert any("frame-ancestors" in words for words in found), found
    assert shown[0].startswith("chrome-error:"), found
