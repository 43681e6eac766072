"""A declared method in a real browser: asked by its form, shown, kept, found again, put beside another."""

import re

import pytest
from browsing import SLACK, chromium, expect, pytestmark, site, tab

from probe.artifacts.folder import place
from probe.methods import catalogue
from probe.methods.reading import declared_in

expect.set_options(timeout=20_000 * SLACK)
PROMPT = "one two <b>three</b>"


@pytest.fixture(autouse=True)
def sample(monkeypatch):
    """The sample method, as if it were public."""
    known = (*catalogue.methods(), *declared_in("sample_method"))
    monkeypatch.setattr(catalogue, "methods", lambda: known)


def test_a_method_is_found_asked_shown_and_kept(tab, site, toy):
    import sample_method

    sample_method.count_tokens(toy, PROMPT, times=5).save(place("result", "mine"))
    tab.goto(f"{site}/methods")
    tab.get_by_label("Find a method").fill("nobody count")
    expect(tab.locator(".ow-method")).to_have_count(1)
    expect(tab).to_have_url(re.compile("q=nobody"))
    tab.locator(".ow-method").click()
    expect(tab.locator("h1")).to_have_text("Count tokens")
    expect(tab.get_by_text("No result yet")).to_be_visible()
    run, finding = tab.get_by_role("button", name="Run"), tab.locator("#method-panels .ow-finding")
    run.click()
    expect(tab.get_by_text("count-tokens needs prompt.").first).to_be_visible()
    tab.get_by_role("textbox", name="Prompt").fill(PROMPT)
    tab.locator("#ask-model").click()
    tab.get_by_role("option", name="toy", exact=True).click()
    tab.get_by_label("Times").fill("10")
    run.click()
    expect(tab.get_by_text("times is 10; a whole number from 1 to 9").first).to_be_visible()
    tab.get_by_label("Times").fill("3")
    tab.get_by_label("Layers").fill("7")
    run.click()
    expect(tab.locator(".ow-slot .error")).to_contain_text("There is no layer 7")
    tab.get_by_label("Layers").fill("-1")
    run.click()
    expect(finding).to_contain_text("layers [3]")
    expect(tab).to_have_url(re.compile(r"m=toy&prompt=[0-9a-f]{12}&layers=-1&times=3"))
    expect(tab.locator("#method-earlier tbody tr")).to_have_count(2)
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
    expect(tab.locator("#result-panels .js-plotly-plot .main-svg").first).to_be_visible()
    expect(tab.locator("#result-panels table.ow-rows").first).to_contain_text("two")
    expect(tab.locator("#result-panels .ow-strip .ow-tok").first).to_be_visible()
    tab.get_by_role("link", name="Change and run again").click()
    expect(tab.get_by_label("Ratio")).to_have_value("5")
