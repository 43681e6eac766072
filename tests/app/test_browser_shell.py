"""The shell in a real browser: search, keys, home and its demo, jobs, two tabs, a page that fails, a server that comes back."""

import re
import threading
import time

import pytest
from browsing import chromium, expect, kept, loaded, pytestmark, site, tab
from damaged import MARKUP, fill
from records import heads_of, lens_of, store_graph, units_of

from app.frame import shell
from app.jobs import repeat_job
from app.jobs import table as jobs
from app.library import prompts, recent_records
from app.pages import home as home_page
from app.server.main import make_server
from probe.artifacts.folder import home, place
from probe.artifacts.json import write_json
from probe.artifacts.manifest import Manifest, writing

expect.set_options(timeout=30_000)


@pytest.fixture(autouse=True)
def _quiet():
    """What a test has queued ends with it."""
    yield
    for table in list(jobs._tables.values()):
        for job in table.active():
            table.cancel(job.id)
            table.wait(job.id, 120)


def read_prompt(tokens: list[str], text: str, model: str = "toy") -> str:
    """A stored prompt with readings made by hand; its path."""
    prompt = prompts.store(text, model)
    recent_records.remember("lens", model, text, lens_of(text, tokens))
    recent_records.remember("heads", model, text, heads_of(text, tokens))
    recent_records.remember("units", model, text, units_of(text, tokens))
    return f"/p/{prompt.id}?m={model}"


def slow_job(title: str, key: str = "", seconds: float = 60) -> jobs.Job:
    """A job that counts until it is cancelled."""

    def work(progress):
        with progress.stage("count", total=100 * seconds, unit="tok") as step:
            for _ in range(int(100 * seconds)):
                step(1)
                time.sleep(0.01)

    task = ["slow", {"title": title, "key": key}]
    return jobs.job_table().submit("test", title, work, key=key, again=task)


# -- search and keys -------------------------------------------------------------------------------------------------


def test_search_finds_and_opens_by_keyboard_alone(tab, site):
    store_graph("small")
    prompts.store(f"hostile {MARKUP}", "toy")
    tab.goto(site + "/jobs")
    expect(tab.locator("h1")).to_have_text("Jobs")
    tab.keyboard.press("/")
    field = tab.get_by_role("combobox", name="Search")
    expect(field).to_be_focused()
    expect(tab.get_by_role("option")).not_to_have_count(0)
    tab.keyboard.type("hostile")
    expect(tab.get_by_role("option")).to_have_count(1)
    expect(tab.get_by_role("option")).to_contain_text(f"hostile {MARKUP}")
    assert tab.evaluate("window.pwned") is None
    field.fill("pr")
    expect(tab.get_by_role("option").first).to_contain_text("Prompts")
    first = tab.get_by_role("option", selected=True).text_content()
    tab.keyboard.press("ArrowDown")
    expect(tab.get_by_role("option", selected=True)).not_to_have_text(first or "")
    for _ in range(6):  # the focus never leaves the dialog
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.querySelector('dialog[open]').contains(document.activeElement)")
    field.fill("small")
    expect(tab.get_by_role("option").first).to_contain_text("small")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("/circuits/small$"))
    expect(tab.locator("dialog[open]")).to_have_count(0)
    tab.go_back()
    expect(tab.locator("h1")).to_have_text("Jobs")


def test_search_closes_with_escape_and_gives_the_focus_back(tab, site):
    tab.goto(site + "/")
    tab.locator("#search-button").click()
    tab.keyboard.type("no such thing anywhere")
    expect(tab.locator(".ow-search-note")).to_contain_text("Nothing here holds")
    tab.keyboard.press("Escape")
    expect(tab.locator("dialog[open]")).to_have_count(0)
    expect(tab.locator("#search-button")).to_be_focused()


def test_keys_go_toggle_and_explain_themselves_but_not_while_typing(tab, site):
    tab.goto(site + "/")
    expect(tab.locator("h1")).to_have_text("See the movement")
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog", name="Keys")).to_contain_text("Light or dark")
    tab.keyboard.press("j")  # a dialog is open: nothing happens
    tab.keyboard.press("Escape")
    for key in ("g", "j"):
        tab.keyboard.press(key)
    expect(tab.locator("h1")).to_have_text("Jobs")
    html = tab.locator("html")
    before = html.get_attribute("data-mantine-color-scheme")
    tab.keyboard.press("d")
    expect(html).not_to_have_attribute("data-mantine-color-scheme", before)
    tab.keyboard.press("d")
    for key in ("g", "h"):
        tab.keyboard.press(key)
    expect(tab.locator("h1")).to_have_text("See the movement")
    tab.locator("#box-text").fill("")
    tab.locator("#box-text").press_sequentially("g j ? / d")
    expect(tab.locator("#box-text")).to_have_value("g j ? / d")
    expect(tab.locator("dialog[open]")).to_have_count(0)
    expect(html).to_have_attribute("data-mantine-color-scheme", before)


def test_the_registry_of_keys_keeps_its_word(tab, site):
    tab.goto(site + "/jobs")
    expect(tab.locator("h1")).to_have_text("Jobs")
    tab.evaluate(
        """() => { const ow = window.openwork; window.seen = []; window.soiled = true;
        window.back = ow.key("p", "here", () => { window.seen.push("p"); }, { page: "/jobs" });
        ow.key("p", "elsewhere", () => { window.seen.push("wrong"); }, { page: /^\\/lens/ });
        ow.key("g", "declines", () => { window.seen.push("g"); return false; }, { page: "/jobs" });
        ow.key("Ctrl+z", "undo", () => { window.seen.push("undo"); });
        ow.key("Ctrl+Shift+z", "redo", () => { window.seen.push("redo"); }); }"""
    )
    for key in ("p", "Control+z", "Control+Shift+z", "Alt+p"):
        tab.keyboard.press(key)
    tab.evaluate("() => window.back()")
    for key in ("p", "g", "h"):  # the handler of g declines, so g and h go home
        tab.keyboard.press(key)
    expect(tab.locator("h1")).to_have_text("See the movement")
    assert tab.evaluate("window.seen") == ["p", "undo", "redo", "g"]


def test_a_menu_that_is_opened_while_a_page_is_made_stays_open(tab, site):
    tab.set_viewport_size({"width": 420, "height": 800})
    tab.goto(site + "/")
    expect(tab.locator("h1")).to_have_text("See the movement")
    held: list = []
    tab.route("**/_dash-update-component*", lambda route: held.append(route))
    tab.evaluate("() => window.openwork.go('/jobs')")
    tab.get_by_role("button", name="Navigation").click()
    expect(tab.locator("nav a").first).to_be_in_viewport()
    assert held
    with tab.expect_response("**/_dash-update-component*"):
        for route in held:
            route.continue_()
    expect(tab.locator("nav a").first).to_be_in_viewport()


@pytest.mark.parametrize("width", [1440, 1100, 420])
def test_the_frame_fits_its_window(tab, site, width):
    tab.set_viewport_size({"width": width, "height": 800})
    tab.goto(site + "/")
    expect(tab.locator("#search-button")).to_be_visible()
    if width < 700:
        tab.get_by_role("button", name="Navigation").click()
    expect(tab.locator("nav a")).to_have_count(10)
    for link in tab.locator("nav a").all():
        expect(link).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if width < 700:  # whoever went somewhere sees the page
        tab.locator("nav a", has_text="Jobs").click()
        expect(tab.locator("h1")).to_have_text("Jobs")
        expect(tab.locator("nav a").first).not_to_be_in_viewport()


# -- home and jobs ---------------------------------------------------------------------------------------------------


def test_damaged_artifacts_of_every_kind_leave_home_alive(tab, site, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    fill(home())
    tab.goto(site + "/")
    expect(tab.get_by_role("alert")).to_contain_text("stored artifacts cannot be read")
    expect(tab.locator(".ow-card", has_text="<img src=x onerror").first).to_be_visible()
    assert tab.evaluate("window.pwned") is None and tab.locator("main img").count() == 0


def test_the_demo_is_one_click_can_be_cancelled_and_goes_on(tab, site, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    before = slow_job("What runs first")
    tab.goto(site + "/")
    expect(tab.get_by_text("openwork demo", exact=True)).to_be_visible()
    tab.get_by_role("button", name="Make the small one").click()
    expect(tab.locator("#home-running")).to_contain_text("waits for “What runs first”")
    expect(tab.locator("#job-chip")).to_contain_text("1 more")
    tab.reload()
    tab.locator("#home-running").get_by_role("button", name="Cancel").first.click()
    expect(tab.get_by_text("The small demo was cancelled")).to_be_visible()
    jobs.job_table().cancel(before.id)
    tab.locator("#home-running").get_by_role("button", name="Go on").click()
    link = tab.get_by_role("link", name="Open its circuit")
    expect(link).to_be_visible(timeout=240_000)
    expect(tab.locator("#home-stored h2", has_text="Circuits")).to_be_visible()  # what it made appears by itself
    expect(tab.locator("#model-chip")).to_contain_text("toy")
    link.click()
    expect(tab).to_have_url(re.compile(r"/circuits/toy-demo-transcoder(\?|$)"))


def test_a_jobs_log_stays_open_while_it_runs_and_it_runs_again(tab, site, monkeypatch):
    monkeypatch.setitem(repeat_job.TASKS, "slow", lambda asked: slow_job(**asked))
    slow_job("A count to watch", key="watch")
    tab.goto(site + "/jobs")
    row = tab.locator(".ow-job", has_text="A count to watch").first
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text("began")
    moved = row.locator(".meta", has_text="count").first.text_content()
    expect(row.locator(".meta", has_text="count").first).not_to_have_text(moved or "")  # drawn again
    expect(row.locator("pre")).to_be_visible()
    tab.reload()
    tab.get_by_role("button", name="Cancel").first.click()
    expect(tab.locator(".ow-badge.cancelled").first).to_be_visible()
    tab.get_by_role("button", name="Run again").first.click()
    expect(tab.locator(".ow-badge.running")).to_be_visible()
    jobs.job_table().cancel(jobs.job_table().latest("watch").id)
    expect(tab.locator("#jobs-active")).to_contain_text("Nothing runs at the moment")


def test_two_tabs_on_two_models_stay_apart(chromium, tab, site):
    one = read_prompt(["a", " b", " c"], "of the toy")
    two = read_prompt(["x", " y", " z"], "of the other", "smollm2-135m")
    other = chromium.new_page()
    try:
        for page, path, first in ((tab, one, "a"), (other, two, "x")):
            page.goto(site + path)
            expect(page.locator("#strip .ow-tok").first).to_have_text(first)
        for page, token, word in ((tab, 1, "·b"), (other, 2, "·z")):
            page.bring_to_front()  # browsers draw nothing in a tab that is behind
            page.locator("#strip .ow-tok").nth(token).click()
            expect(page.locator("#strip .selected")).to_have_text(word)
        for page, model, token, word in ((tab, "toy", 1, "·b"), (other, "smollm2-135m", 2, "·z")):
            page.bring_to_front()
            expect(page).to_have_url(re.compile(rf"m={model}.*t={token}"))
            expect(page.locator("#nav-lens")).to_have_attribute("href", re.compile(rf"m={model}&.*t={token}"))
            page.reload()
            expect(page.locator("#strip .selected")).to_have_text(word)
    finally:
        other.close()


# -- failures --------------------------------------------------------------------------------------------------------


def test_a_page_that_fails_says_so_and_the_shell_lives(tab, site, monkeypatch, caplog):
    def bug(*_):
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(home_page, "stored", bug)
        tab.goto(site + "/")
        expect(tab.get_by_role("alert")).to_contain_text("This page could not be made")
    alert = tab.get_by_role("alert").text_content() or ""
    reference = re.search(r"reference ([0-9a-f]{6})", alert)
    assert reference and reference[1] in caplog.text and "secret" not in alert
    tab.locator("#nav-jobs").click()
    expect(tab.locator("h1")).to_have_text("Jobs")


def test_a_banner_tells_of_a_stopped_server_and_goes_when_it_is_back(chromium, site):
    server = make_server(port=0)
    port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page, ours = chromium.new_page(), []
    page.on("pageerror", lambda e: ours.append(str(e)))
    try:
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("h1")).to_have_text("See the movement")
        server.shutdown()
        server.server_close()
        banner = page.locator(".ow-banner")
        expect(banner).to_contain_text("The server has stopped. Start it withopenwork serve", timeout=15_000)
        server = make_server(port=port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        expect(banner).to_be_hidden(timeout=15_000)
        page.locator("#nav-jobs").click()
        expect(page.locator("h1")).to_have_text("Jobs")
    finally:
        page.close()
        server.shutdown()
        server.server_close()
    assert ours == []


def test_a_page_behind_a_rewriting_proxy_says_what_to_do(chromium, site):
    """As Codespaces shows it: the page's origin is the proxy's, the Host header loopback's."""
    page, seen = chromium.new_page(), "https://name-8050.app.example"

    def through(route):
        asked = route.request
        headers = {**asked.headers, "sec-fetch-site": "same-origin"}
        headers |= {"origin": seen} if asked.method == "POST" else {}
        route.fulfill(response=route.fetch(url=asked.url.replace(seen, site), headers=headers))

    page.route("**/*", through)
    page.goto(seen)
    expect(page.locator(".ow-banner")).to_contain_text(f"openwork serve --allow-origin {seen}", timeout=15_000)
    page.close()


def test_a_result_has_a_page_of_its_own(tab, site):
    report = {"kind": MARKUP, "errors": {"fvu": 0.01}, "steps": [{"step": MARKUP}, {"step": "b"}]}
    with writing(place("result", "judged"), Manifest("result", "judged", None, (), facts={})) as folder:
        write_json(folder / "report.json", report)
    tab.goto(site + "/results/judged")
    expect(tab.locator("h1")).to_have_text("judged")
    expect(tab.locator(".ow-rows-box tbody td", has_text="onerror").first).to_have_text(MARKUP)
    expect(tab.get_by_text("errors fvu")).to_be_visible()


# -- parts that never change -----------------------------------------------------------------------------------------


def test_still_parts_stand_in_the_page_as_they_would_by_themselves(tab, site, monkeypatch):
    """The same elements, attributes and texts, hostile ones too; their links lead on without loading the page anew."""
    store_graph("still")
    prompts.store(f"hostile {MARKUP}", "toy")
    paths = ("/circuits/still", "/", "/p", "/units", "/jobs")  # the first stores its prompt, which others list
    drawn = {}
    for name in ("still", "by themselves"):
        if name == "by themselves":
            monkeypatch.setattr(shell, "still", lambda part: part)
        for path in paths:
            loaded(tab, site + path)
            expect(tab.locator("h1")).to_be_visible()
            expect(tab.locator(".ow-skeleton")).to_have_count(0)
            tab.wait_for_load_state("networkidle")
            drawn[name, path] = at_rest(tab)
    for path in paths:
        assert drawn["still", path] == drawn["by themselves", path], path
    assert tab.evaluate("window.pwned") is None


def at_rest(tab) -> str:
    """The structure of the page, once it no longer changes."""
    before, now = None, tab.evaluate(STRUCTURE)
    while now != before:
        tab.wait_for_timeout(300)
        before, now = now, tab.evaluate(STRUCTURE)
    return now


STRUCTURE = """() => {
  const left = /^(id|data-dash|data-mantine|aria-|for$|data-drawn)/, drawn = /^(svg|canvas)$/i;
  const others = '.js-plotly-plot, .mantine-Slider-root, .mantine-SegmentedControl-root, .ag-root-wrapper, .dash-graph';
  const kept = (node) => [...node.attributes].filter((a) => !left.test(a.name)).map((a) => `${a.name}=${a.value}`).sort();
  const told = (node) => node.nodeType === 3 ? node.data
    : node.nodeType !== 1 || drawn.test(node.tagName) || node.matches(others) ? ''
    : [node.tagName, kept(node).join(' '), ...[...node.childNodes].map(told)];
  return JSON.stringify(told(document.querySelector('#page')));
}"""


def test_a_link_in_a_still_part_leads_on_without_a_new_page(tab, site):
    tab.goto(site + "/nothing/here")
    tab.evaluate("window.kept = 1")
    tab.get_by_role("link", name="Go home").click()
    expect(tab.locator("h1")).not_to_have_text("There is no such page")
    assert tab.evaluate("[window.kept, location.pathname]") == [1, "/"]
