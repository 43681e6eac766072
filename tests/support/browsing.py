"""Fixtures of the browser tests: a served dashboard with a home of its own, the system's Chromium, and a tab that fails on any
console error and on any request that leaves the machine. Import them by name into a test module.

    from browsing import chromium, expect, pytestmark, site, tab
"""

import os
import re
import shutil
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from app.server.main import make_server

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the browser tests need the package playwright (extra 'dev')"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path; Debian's package `chromium` has one"),
]
expect = playwright.expect
ALONE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) == 1
SLACK = float(os.environ.get("OPENWORK_TEST_SLACK", "1.5" if ALONE else "3"))  # more where the machine is shared
expect.set_options(timeout=10_000 * SLACK)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[str]:
    """The address of a served dashboard over an empty home; the module's tests fill it."""
    before = os.environ["OPENWORK_HOME"]
    os.environ["OPENWORK_HOME"] = str(tmp_path_factory.mktemp("site"))
    server = make_server(port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    os.environ["OPENWORK_HOME"] = before


@pytest.fixture(scope="module")
def chromium():
    """One profile for a file's tests: scripts are fetched and compiled once. What a page stored goes with its tab."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_context(viewport=WINDOW)
        browser.close()


@pytest.fixture(scope="module")
def kept(chromium) -> list:
    """The tab of the file's last test, where it left it as it found it."""
    return []


@pytest.fixture
def tab(chromium, kept):
    """A page that must not complain and must not ask anybody else. It goes on where the last test of the file was: `goto` leads
    to another page of the dashboard without loading it all anew, `loaded` does that."""
    page = kept.pop() if kept else chromium.new_page()
    page.set_default_timeout(20_000)
    complaints, requests = [], []
    watch = {
        "console": lambda m: complaints.append(m.text) if m.type == "error" else None,
        "pageerror": lambda e: complaints.append(str(e)),
        "request": lambda r: requests.append(r.url),
    }
    for event, heard in watch.items():
        page.on(event, heard)
    loading, page.goto = page.goto, lambda address: gone_to(page, address)
    yield page
    page.goto = loading
    at_rest = page.url.startswith("http") and not complaints and page.evaluate(LEFT)
    chromium.clear_cookies()
    for event, heard in watch.items():
        page.remove_listener(event, heard)
    if at_rest:
        page.unroute_all()
        page.set_viewport_size(WINDOW)
        kept.append(page)
    else:
        page.close()
    assert not complaints, complaints
    outside = [u for u in requests if not re.match(r"(http://127\.0\.0\.1:\d+/|data:|blob:)", u)]
    assert not outside, outside


WINDOW = {"width": 1440, "height": 900}
LEFT = """() => {
  localStorage.clear();
  const light = document.documentElement.getAttribute("data-mantine-color-scheme") === "light";
  return light && !window.soiled && !!document.querySelector("#page h1");
}"""


def loaded(tab, address: str) -> None:
    """The page with all its scripts, as one who comes."""
    type(tab).goto(tab, address)


def gone_to(tab, address: str) -> None:
    """The page has arrived, perhaps not all that is on it; without loading the scripts again where they are there and it is
    another page."""
    here, there = urlsplit(tab.url), urlsplit(address)
    if here.netloc != there.netloc or here.path == (there.path or "/"):
        loaded(tab, address)
        return
    before = tab.locator("#page").get_attribute("data-arrived") or ""
    tab.evaluate("(path) => window.openwork.go(path)", address[address.index("/", 8) :])
    expect(tab.locator("#page")).not_to_have_attribute("data-arrived", before)
