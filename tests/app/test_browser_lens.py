"""The lens page in a real browser: maps, places, followed tokens, long prompts, permalinks, snippets."""

import re
import shlex

import pytest
from browsing import SLACK, chromium, expect, kept, pytestmark, site, tab

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
    for figure in ("[data-axes='token layer'] .main-svg", "[data-axes='layer'] .main-svg"):
        expect(tab.locator(figure).first).to_be_visible(timeout=WAIT)
    return tab


def panel(tab, heading: str):
    """The first panel whose heading has these words."""
    return tab.locator(".ow-panel", has=tab.locator("h2", has_text=heading)).first


def heading(tab, words: str):
    return tab.locator("h2", has_text=words).first


def turn(tab, option: str, value: str):
    """Turn an option of the first figure that has it."""
    tab.locator(f"[id*='method-turn'][id*='{option}']").first.get_by_text(value, exact=True).click()


def test_without_a_prompt_it_offers_a_box_and_recent_ones(tab, site, page):
    tab.goto(site + "/lens")
    expect(tab.locator("h1")).to_have_text("Logit lens")
    tab.locator(".ow-card", has_text="The capital of France").click()
    expect(tab).to_have_url(re.compile(r"/lens\?m=toy&p=[0-9a-f]{12}"))
    expect(heading(tab, "layer by layer")).to_be_visible(timeout=WAIT)


def test_places_are_chosen_by_token_layer_and_keys_and_kept(tab, page):
    opened(tab, page)
    layers = panel(tab, "layer by layer")
    expect(layers.locator("tbody tr")).to_have_count(5)  # the embedding and four layers
    tab.locator(".ow-strip .ow-tok").nth(3).click()
    expect(heading(tab, "(position 3), layer by layer")).to_be_visible()
    layers.locator("tbody tr").nth(2).click()
    expect(heading(tab, "(position 3), at layer 1")).to_be_visible()
    expect(tab).to_have_url(re.compile(r"t=3.*l=2|l=2.*t=3"))
    tab.keyboard.press("Shift+ArrowUp")
    expect(heading(tab, "at layer 2")).to_be_visible()
    tab.keyboard.press("Shift+ArrowRight")
    expect(heading(tab, "(position 4), at layer 2")).to_be_visible()
    expect(panel(tab, "layer by layer").locator("tr.selected")).to_have_count(1)
    tab.reload()
    expect(heading(tab, "(position 4), at layer 2")).to_be_visible(timeout=WAIT)


def test_colours_are_kept_in_the_address_and_those_of_before_are_known(tab, page):
    opened(tab, page + "&c=entropy")
    turned = tab.locator("[id*='method-turn'][id*='colour']")
    expect(turned.locator("input[value='entropy']")).to_be_checked()
    for name, words in (("kl", "KL"), ("rank", "rank"), ("norm", "norm")):
        turn(tab, "colour", words)
        expect(tab).to_have_url(re.compile(rf"[?&]show-colour={name}\b"))
    expect(tab.get_by_text("length of the residual stream").first).to_be_attached()
    tab.reload()
    expect(turned.locator("input[value='norm']")).to_be_checked(timeout=WAIT)


def test_any_token_is_followed_by_text_or_id(tab, page):
    opened(tab, page)
    legend = tab.locator("[data-axes='layer'] .legendtext").first
    expect(heading(tab, "The final prediction everywhere")).to_be_visible()
    tab.locator("#lens-own-next").click()
    expect(tab).to_have_url(re.compile(r"[?&]q=next\b"))
    expect(tab.locator("#lens-own-next")).to_have_attribute("aria-pressed", "true")
    expect(heading(tab, "What really follows everywhere")).to_be_visible(timeout=WAIT)
    tab.locator(".ow-tokenpick input").fill("france")
    tab.locator(".ow-tokenpick tr.click", has_text="France").first.click()
    expect(tab).to_have_url(re.compile(r"[?&]q=\d+"))
    expect(legend).to_contain_text("France", timeout=WAIT)
    tab.reload()
    expect(legend).to_contain_text("France", timeout=WAIT)
    tab.locator(".ow-tokenpick input").fill("9")
    expect(tab.locator(".ow-tokenpick tr.click td").nth(1)).to_have_text("9")
    tab.locator(".ow-tokenpick input").fill("no such token here")
    expect(tab.get_by_text("No token begins with this")).to_be_visible()
    turn(tab, "quantity", "rank")
    expect(tab.locator("[data-axes='layer'] .ytitle")).to_have_text("1 + rank")
    expect(tab.locator("[id*='method-turn'][id*='quantity'] input[value='rank']:checked")).to_have_count(
        2
    )  # lines and map


def test_a_token_of_the_table_is_followed_by_a_click(tab, page):
    opened(tab, page)
    panel(tab, ", at layer").locator("tbody tr").nth(1).click()
    expect(tab).to_have_url(re.compile(r"[?&]q=\d+"))
    assert tab.locator("main b").count() == 0


def test_long_prompts_show_a_window_or_all(tab, site):
    opened(tab, f"{site}/lens?m=toy&p={prompts.store(LONG, 'toy').id}&t=10")
    across = tab.locator("[data-axes='token layer'] .xtitle").first
    expect(across).to_have_text(re.compile("positions 0 to 255 of"))
    turn(tab, "extent", "all")
    expect(tab).to_have_url(re.compile(r"[?&]show-extent=all\b"))
    expect(across).not_to_have_text(re.compile("positions 0 to 255"))


def test_maps_are_dark_where_the_system_is(tab, page):
    tab.emulate_media(color_scheme="dark")
    opened(tab, page)
    expect(tab.locator("[data-axes='token layer'] .ytick text").first).to_have_css("fill", "rgb(180, 188, 200)")


def test_snippets_run_as_printed(tab, page):
    from app.cli import run

    opened(tab, page + "&q=9")
    blocks = tab.locator("main details.ow-code pre").all_text_contents()
    python = [b for b in blocks if "import" in b]
    shell = [b for b in blocks if b.startswith("openwork ")]
    assert len(python) == len(shell) == 2
    for block in python:
        exec(compile(block, "snippet", "exec"), {})
    for line in shell:
        assert run(shlex.split(line)[1:]) == 0, line
