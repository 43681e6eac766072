"""The lens page in a real browser: maps, cells, followed tokens, long prompts, permalinks, snippets."""

import re
import shlex

import pytest
from browsing import SLACK, chromium, expect, pytestmark, site, tab

from app.library import prompts

TEXT = "The capital of France is Paris and <b>the</b> capital of Italy is"
LONG = "One two three four five six seven. " * 40
WAIT = 90_000  # milliseconds for model work on a busy machine
expect.set_options(timeout=20_000 * SLACK)


@pytest.fixture(scope="module")
def page(site) -> str:
    return f"{site}/lens?m=toy&p={prompts.store(TEXT, 'toy').id}"


def opened(tab, address: str):
    """The page once a token was followed."""
    tab.goto(address)
    expect(tab.locator("#lens-rows td").first).to_be_visible(timeout=WAIT)
    expect(tab.locator("#lens-followed td").first).to_be_visible(timeout=WAIT)
    return tab


def test_without_a_prompt_it_offers_a_box_and_recent_ones(tab, site, page):
    tab.goto(site + "/lens")
    expect(tab.locator("h1")).to_have_text("Logit lens")
    tab.locator(".ow-card", has_text="The capital of France").click()
    expect(tab).to_have_url(re.compile(r"/lens\?m=toy&p=[0-9a-f]{12}"))
    expect(tab.locator("#lens-rows td").first).to_be_visible(timeout=WAIT)


def test_cells_are_chosen_by_token_layer_and_keys_and_kept(tab, page):
    opened(tab, page)
    expect(tab.locator("#lens-rows tbody tr")).to_have_count(5)  # the embedding and four layers
    tab.locator("#lens-strip .ow-tok").nth(3).click()
    expect(tab.locator("#lens-rows-title")).to_contain_text("(position 3)")
    tab.locator("#lens-rows tbody tr").nth(2).click()  # the last layer is on top
    expect(tab.locator("#lens-cell-title")).to_contain_text("layer 1")
    expect(tab).to_have_url(re.compile(r"t=3.*l=2|l=2.*t=3"))
    tab.keyboard.press("Shift+ArrowUp")
    expect(tab.locator("#lens-cell-title")).to_contain_text("layer 2")
    tab.keyboard.press("Shift+ArrowRight")
    expect(tab.locator("#lens-cell-title")).to_contain_text("(position 4)")
    tab.reload()
    expect(tab.locator("#lens-cell-title")).to_contain_text("(position 4), at layer 2", timeout=WAIT)


def test_colours_are_kept_in_the_address(tab, page):
    opened(tab, page)
    for name, short in (("entropy", "entropy"), ("KL", "kl"), ("rank", "rank"), ("norm", "norm")):
        tab.locator("#lens-by").get_by_text(name, exact=True).click()
        expect(tab).to_have_url(re.compile(rf"[?&]c={short}\b"))
    tab.reload()
    expect(tab.locator("#lens-by input[value='norm']")).to_be_checked()
    expect(tab.locator("#lens-map .cbtitle, #lens-map [class*='title']").first).to_be_attached(timeout=WAIT)


def test_any_token_is_followed_by_text_or_id(tab, page):
    opened(tab, page)
    expect(tab.locator("#lens-follow-title")).to_have_text("Follow the final prediction of each position")
    tab.locator("#lens-own-next").click()
    expect(tab).to_have_url(re.compile(r"[?&]q=next\b"))
    expect(tab.locator("#lens-follow-title")).to_contain_text("really follows")
    tab.locator("#lens-pick-text").fill("france")
    tab.locator("#lens-pick-found tr.click", has_text="France").first.click()
    expect(tab).to_have_url(re.compile(r"[?&]q=\d+"))
    expect(tab.locator("#lens-follow-title")).to_contain_text("France (token")
    expect(tab.locator("#lens-lines .legendtext").first).to_contain_text("France", timeout=WAIT)
    tab.reload()
    expect(tab.locator("#lens-lines .legendtext").first).to_contain_text("France", timeout=WAIT)
    tab.locator("#lens-pick-text").fill("9")
    expect(tab.locator("#lens-pick-found tr.click td").nth(1)).to_have_text("9")
    tab.locator("#lens-pick-text").fill("no such token here")
    expect(tab.get_by_text("No token begins with this")).to_be_visible()
    tab.locator("#lens-quantity").get_by_text("rank", exact=True).click()
    expect(tab.locator("#lens-follow-map-title")).to_contain_text("Rank")


def test_a_token_of_the_table_is_followed_by_a_click(tab, page):
    opened(tab, page)
    tab.locator("#lens-next tbody tr").nth(1).click()
    expect(tab).to_have_url(re.compile(r"[?&]q=\d+"))
    assert tab.locator("main b").count() == 0


def test_long_prompts_show_a_window_or_all(tab, site):
    opened(tab, f"{site}/lens?m=toy&p={prompts.store(LONG, 'toy').id}&t=10")
    expect(tab.locator("#lens-map-note")).to_contain_text("Positions 0 to 255 of")
    tab.locator("#lens-extent").get_by_text("all", exact=True).click()
    expect(tab).to_have_url(re.compile(r"[?&]w=all\b"))
    expect(tab.locator("#lens-map-note")).to_contain_text(re.compile(r"Positions 0 to (\d{3}) of"))
    expect(tab.locator("#lens-map-note")).not_to_contain_text("0 to 255")


def test_maps_are_dark_where_the_system_is(tab, page):
    tab.emulate_media(color_scheme="dark")
    opened(tab, page)
    expect(tab.locator("#lens-map .ytick text").first).to_have_css("fill", "rgb(180, 188, 200)")


def test_snippets_run_as_printed(tab, page):
    from app.cli import run

    opened(tab, page + "&q=9")
    expect(tab.locator("#lens-code pre").first).to_be_attached(timeout=WAIT)
    blocks = tab.locator("main details.ow-code pre").all_text_contents()
    python = [b for b in blocks if "import" in b]
    shell = [b for b in blocks if b.startswith("openwork ")]
    assert len(python) == len(shell) == 2
    for block in python:
        exec(compile(block, "snippet", "exec"), {})
    for line in shell:
        assert run(shlex.split(line)[1:]) == 0, line
