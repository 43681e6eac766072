"""A declared method in a real browser: asked by its form, shown, kept, found again, put beside another."""

import re
import time

import pytest
from browsing import SLACK, chromium, expect, kept, pytestmark, site, tab
from dash import Input, Output, dcc, html

from app.components import slot
from app.server.main import make_server
from probe.artifacts.folder import place
from probe.methods import catalogue
from probe.methods.read_declarations import declared_in

expect.set_options(timeout=20_000 * SLACK)
PROMPT = "one two <b>three</b>"


@pytest.fixture(autouse=True)
def sample(monkeypatch):
    """The sample method, as if it were public."""
    known = (*catalogue.methods(), *declared_in("sample_method"))
    monkeypatch.setattr(catalogue, "methods", lambda: known)


def slow(monkeypatch) -> None:
    """A server that is slower than a slot asks: its first answer is that the work runs still, each comes late."""
    look, asked = slot._look, []

    def late(key):
        asked.append(key)
        found = look(key) if len(asked) > 1 else (None, None, False)
        time.sleep(2 * slot._EVERY / 1000)
        return found

    monkeypatch.setattr(slot, "_look", late)


def test_a_method_is_found_asked_shown_and_kept(tab, site, toy, monkeypatch):
    import sample_method

    sample_method.count_tokens(toy, PROMPT, times=5).save(place("result", "mine"))
    tab.goto(f"{site}/methods")
    tab.get_by_label("Find a method").fill("nobody count")
    expect(tab.locator(".ow-method")).to_have_count(1)
    expect(tab).to_have_url(re.compile("q=nobody"))
    tab.locator("#nav-methods").click()  # the address that the page was opened by: the page is made anew
    expect(tab.get_by_label("Find a method")).to_have_value("")
    tab.get_by_label("Find a method").fill("nobody count")
    expect(tab.locator(".ow-method")).to_have_count(1)
    tab.locator(".ow-method").click()
    expect(tab.locator("h1")).to_have_text("Count tokens")
    expect(tab.get_by_text("No result yet")).to_be_visible()
    run, finding = tab.get_by_role("button", name="Run"), tab.locator(".ow-block-panels .ow-finding")
    run.click()
    expect(tab.get_by_text("count-tokens needs prompt").first).to_be_visible()
    tab.get_by_role("textbox", name="Prompt").fill(PROMPT)
    tab.get_by_label("Model").first.click()
    tab.get_by_role("option", name="toy", exact=True).click()
    tab.get_by_label("Times").fill("10")
    run.click()
    expect(tab.get_by_text("times is 10; a whole number from 1 to 9").first).to_be_visible()
    tab.get_by_label("Times").fill("3")
    tab.get_by_label("Layers").fill("7")
    run.click()
    expect(tab.locator(".ow-slot .error")).to_contain_text("There is no layer 7")
    tab.get_by_label("Layers").fill("-1")
    slow(monkeypatch)
    run.click()
    expect(finding).to_contain_text("layers [3]")
    expect(tab).to_have_url(re.compile(r"m=toy&prompt=[0-9a-f]{12}&layers=-1&times=3"))
    expect(tab.locator(".ow-block-earlier tbody tr")).to_have_count(2)
    tab.get_by_placeholder("Put another result beside it").click()
    tab.get_by_role("option").filter(has_text="times 5").click()
    expect(tab.locator(".ow-side")).to_have_text(["A", "B"])
    tab.get_by_label("Target", exact=True).fill("the")
    tab.locator(".ow-tokenpick tr.click").first.click()
    expect(tab.get_by_label("Target", exact=True)).to_have_value(re.compile(r"id:\d+"))
    expect(tab.locator(".ow-tokenpick .ow-rows-note").first).to_contain_text("the token")
    tab.reload()
    expect(finding).to_have_count(2)
    expect(tab.get_by_role("textbox", name="Prompt")).to_have_value(PROMPT)


def test_a_result_that_python_saved_opens_and_fills_the_form(tab, site, toy):
    import probe

    probe.sinks(toy, PROMPT, ratio=5, draws=3).save(place("result", "sunk"))
    tab.goto(f"{site}/results/sunk")
    expect(tab.locator(".ow-block-panels .js-plotly-plot .main-svg").first).to_be_visible()
    expect(tab.locator(".ow-block-panels table.ow-rows").first).to_contain_text("two")
    expect(tab.locator(".ow-block-panels .ow-strip .ow-tok").first).to_be_visible()
    tab.get_by_role("link", name="Change and run again").click()
    expect(tab.get_by_label("Ratio")).to_have_value("5")


def test_two_blocks_of_one_page_run_on_their_own(tab, toy, tmp_path, monkeypatch):
    """A page that holds a method twice: each has its form, its result, its key in the address, and hears what the page gives."""
    import threading

    from app import pages
    from app.frame.shell import Page
    from app.methods.block import Block

    blocks = [
        Block("one", "count-tokens", ("times",), "first", "One"),
        Block("two", "count-tokens", ("layers",), "second", "Two"),
    ]

    def layout(query):
        button = html.Button("Another prompt", id="other")
        return [
            dcc.Store(id="selection", data={}),
            button,
            *(b.layout("toy", {"prompt": PROMPT}, query) for b in blocks),
        ]

    def register(app):
        @app.callback(Output(blocks[1].part("fixed"), "data"), Input("other", "n_clicks"), prevent_initial_call=True)
        def other(_):
            return {"prompt": "four"}

    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    monkeypatch.setattr(pages, "PAGES", [Page("/both", "Both", layout, register)])
    server = make_server(port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}/both"
    tab.goto(here)
    one, two = tab.locator(".ow-block").first, tab.locator(".ow-block").last
    one.get_by_label("Times").fill("3")
    one.get_by_role("button", name="Run").click()
    expect(one.locator(".ow-finding")).to_contain_text("count 45")
    expect(tab).to_have_url(re.compile("first=method"))
    two.get_by_role("button", name="Run").click()
    expect(two.locator(".ow-finding")).to_contain_text("count 30")
    expect(one.locator(".ow-finding")).to_contain_text("count 45")
    tab.get_by_role("button", name="Another prompt").click()
    expect(two.get_by_text("was asked before")).to_be_visible()
    two.get_by_role("button", name="Run").click()
    expect(two.locator(".ow-finding")).to_contain_text("count 8")
    tab.reload()
    expect(one.locator(".ow-finding")).to_contain_text("count 45")
    expect(two.locator(".ow-finding")).to_contain_text("count 8")
    expect(one.get_by_label("Times")).to_have_value("3")
    server.shutdown()
    server.server_close()
