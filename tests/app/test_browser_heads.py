"""The heads page in a real browser: reached without a prompt, every head by a score, one head, keys, permalinks, snippets."""

import json
import re
import shlex
from pathlib import Path

import pytest
from browsing import SLACK, chromium, expect, kept, pytestmark, site, tab

from app.library import prompts

TEXT = "One two three four five. One two three <b>four</b>"
TABLE = "#heads-scores table[aria-label^='Heads by']"
WAIT = 90_000  # milliseconds for model work on a busy machine
expect.set_options(timeout=20_000 * SLACK)


@pytest.fixture(scope="module")
def page(site) -> str:
    """The address of the page of a prompt on the toy model."""
    return f"{site}/heads?m=toy&p={prompts.store(TEXT, 'toy').id}"


def opened(tab, address: str):
    """The page once a head was read."""
    tab.goto(address)
    expect(tab.locator("#heads-thumbs canvas")).to_be_visible(timeout=WAIT)
    expect(tab.locator("#heads-read td").first).to_be_visible(timeout=WAIT)
    expect(tab.locator(TABLE).locator("td").first).to_be_visible(timeout=WAIT)
    return tab


def shows(tab, name: str, timeout: float = 20_000 * SLACK) -> None:
    """The page shows where this head looks."""
    expect(tab.locator("#heads-look h2", has_text=f"Attention of {name}:")).to_be_visible(timeout=timeout)


def test_without_a_prompt_it_offers_a_box_and_recent_ones(tab, site, page):
    tab.goto(site + "/heads")
    expect(tab.locator("h1")).to_have_text("Attention heads")
    tab.get_by_role("button", name="Look inside").click()
    expect(tab.get_by_text("The prompt is empty")).to_be_visible()
    tab.locator(".ow-card", has_text="One two three").click()
    expect(tab).to_have_url(re.compile(r"/heads\?m=toy&p=[0-9a-f]{12}"))
    expect(tab.locator("#heads-thumbs canvas")).to_be_visible(timeout=WAIT)
    tab.go_back()
    expect(tab.locator("h1")).to_have_text("Attention heads")


def test_a_prompt_written_there_opens_there(tab, site):
    tab.goto(site + "/heads")
    tab.locator("#box-text").fill("a b a b")
    tab.locator("#box-model").click()
    tab.get_by_role("option", name="toy").click()
    tab.get_by_role("button", name="Look inside").click()
    expect(tab).to_have_url(re.compile(r"/heads\?m=toy&p="))
    expect(tab.locator("#heads-thumbs canvas")).to_be_visible(timeout=WAIT)


def test_a_head_and_a_score_are_chosen_and_kept_in_the_address(tab, page):
    opened(tab, page)
    tab.get_by_label("Score that colours the heads").first.click()
    tab.get_by_role("option", name="copying").click()
    expect(tab).to_have_url(re.compile("metric=copying"))
    expect(tab.locator("#heads-metric-note")).to_contain_text("Coloured by copying")
    expect(tab.locator("#heads-scores").get_by_label("metric", exact=True).first).to_have_value("copying")
    expect(tab.locator(f"{TABLE} tbody tr")).to_have_count(16)
    expect(tab.locator(f"{TABLE} thead")).to_contain_text("direct effect")
    first = tab.locator(f"{TABLE} tbody tr").first
    name = first.locator("td").first.inner_text()
    first.click()
    shows(tab, name)
    expect(tab).to_have_url(re.compile("h=" + name[1:].replace("H", r"\.")))
    tab.reload()
    shows(tab, name, WAIT)
    expect(tab.locator("#heads-metric-note")).to_contain_text("Coloured by copying")


def test_table_sorts_by_a_column(tab, page):
    opened(tab, page)
    tab.locator(f"{TABLE} th", has_text="entropy").click()
    at = 1 + [h.startswith("entropy") for h in tab.locator(f"{TABLE} th").all_inner_texts()].index(True)
    cells = tab.locator(f"{TABLE} tbody tr td:nth-child({at})").all_inner_texts()
    values = [float(c.replace("−", "-")) for c in cells]
    assert values == sorted(values, reverse=True) and len(set(values)) > 4


def test_keys_move_to_neighbouring_heads(tab, page):
    opened(tab, page + "&h=1.1")
    shows(tab, "L1H1")
    tab.keyboard.press("Shift+ArrowRight")
    shows(tab, "L2H1")
    tab.keyboard.press("Shift+ArrowDown")
    shows(tab, "L2H2")
    tab.locator("#heads-thumbs canvas").focus()
    tab.keyboard.press("ArrowLeft")
    shows(tab, "L1H2")


def heats(strip) -> list[float]:
    return strip.locator(".ow-tok").evaluate_all(
        "ts => ts.map(t => parseFloat(t.style.getPropertyValue('--heat')) || 0)"
    )


def test_strips_show_both_directions_and_choose_query_and_key(tab, page):
    opened(tab, page + "&h=0.1&t=4")
    look = tab.locator("#heads-look")
    keys, queries = look.locator(".ow-strip").nth(0), look.locator(".ow-strip").nth(1)
    row = heats(keys)
    assert max(row) == 100 and not any(row[5:])  # nobody looks ahead
    queries.locator(".ow-tok").nth(2).hover()
    expect(keys.locator(".ow-tok").nth(4)).to_have_css("--heat", "0.0%")
    hovered = heats(queries)
    assert not any(hovered[:2]) and any(hovered[2:])  # who looks at token 2 stands behind it
    tab.mouse.move(2, 300)
    expect(keys.locator(".ow-tok").nth(2)).to_have_attribute("style", re.compile(r"--heat"))
    assert heats(keys) == row
    keys.locator(".ow-tok").nth(1).click()
    expect(tab).to_have_url(re.compile(r"[?&]s=1\b"))
    expect(look.locator("h2", has_text="(key 1)")).to_be_visible()
    expect(tab.locator("#heads-read h2", has_text="(key 1)")).to_be_visible()
    queries.locator(".ow-tok").nth(6).click()
    expect(tab).to_have_url(re.compile(r"[?&]t=6\b"))
    expect(look.locator("h2", has_text="(query 6)")).to_be_visible()


def test_a_head_is_taken_away_in_place(tab, page):
    opened(tab, page + "&h=2.1")
    change, run = (
        tab.locator("#heads-change"),
        tab.locator("#heads-change").get_by_role("button", name="Run", exact=True),
    )
    expect(change.get_by_label("Changes")).to_have_value("ablate:L2H1")
    run.click()
    expect(change.locator(".ow-finding")).to_contain_text("ablate L2H1", timeout=WAIT)
    change.get_by_text("mean", exact=True).click()
    change.get_by_text("at the selected token", exact=True).click()
    expect(change.get_by_label("Changes")).to_have_value(re.compile(r"mean:L2H1@\d+"))
    run.click()
    expect(change.locator(".ow-finding")).to_contain_text("mean L2H1@", timeout=WAIT)
    tab.reload()  # what was run is in the address
    expect(change.locator(".ow-finding")).to_contain_text("mean L2H1@", timeout=WAIT)
    expect(change.get_by_label("Changes")).to_have_value(re.compile(r"mean:L2H1@\d+"))
    expect(tab.locator("#heads-thumbs canvas")).to_be_visible(timeout=WAIT)
    shows(tab, "L2H1")
    tab.locator("#heads-thumbs canvas").focus()
    tab.keyboard.press("Shift+ArrowDown")
    expect(change.get_by_label("Changes")).to_have_value(re.compile(r"ablate:L2H2"))


def test_a_run_that_an_address_of_before_names_is_shown(tab, page):
    """Edits were kept under keys of their own before they were a method's results."""
    from app.jobs import results, work
    from probe.interventions.edited_run import edited_run
    from probe.interventions.values import Zero
    from probe.model.load import load_model

    found = edited_run(load_model("toy"), TEXT, [Zero("L1H3")])
    results.keep("edit:0123456789abcdef", "Run without L1H3", found, page="")
    work.keep("edit:0123456789abcdef", found)
    tab.goto(page + "&h=1.3&edit=edit:0123456789abcdef")
    expect(tab.locator("#heads-change")).to_contain_text("With ablate L1H3", timeout=WAIT)


def test_another_next_token_is_explained(tab, page):
    opened(tab, page + "&h=2.1")
    tab.locator("#heads-target input").fill("war")
    tab.locator("#heads-target tr.click").first.click()
    expect(tab).to_have_url(re.compile(r"[?&]y=\d+"))
    expect(tab.locator("#heads-scores")).to_contain_text("towards ' war'", timeout=WAIT)
    expect(tab.locator("#heads-read")).to_contain_text("to the logit of ·war", timeout=WAIT)


def test_what_is_shown_can_be_saved_and_stays_text(tab, page):
    opened(tab, page)
    tab.locator("#heads-scores .ow-panel", has=tab.locator("table[aria-label^='Heads by']")).get_by_role(
        "button", name="Save"
    ).click()
    with tab.expect_download() as waiting:
        tab.get_by_role("menuitem", name="JSON").first.click()
    rows = json.loads(Path(waiting.value.path()).read_text())
    assert len(rows) == 16 and {"head", "entropy, mean", "copying, by weights"} <= rows[0].keys()
    assert tab.locator("main b").count() == 0


def test_snippets_run_as_printed(tab, page):
    from app.cli import run

    opened(tab, page + "&h=1.2&t=3")
    tab.locator("#heads-change").get_by_role("button", name="Run", exact=True).click()
    expect(tab.locator("#heads-change pre").first).to_be_attached(timeout=WAIT)
    blocks = tab.locator("main details.ow-code pre").all_text_contents()
    python = [b for b in blocks if "import" in b]
    shell = [b for b in blocks if b.startswith("openwork ")]
    assert len(python) == 3 and len(shell) == 3
    for block in python:
        exec(compile(block, "snippet", "exec"), {})
    for line in shell:
        assert run(shlex.split(line)[1:]) == 0, line
