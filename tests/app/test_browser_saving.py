"""What a panel shows can be saved: data exact, pictures as drawings, a page without scripts."""

import csv
import json
from pathlib import Path

import pytest
from browsing import chromium, expect, kept, pytestmark, site, tab
from records import HOSTILE, heads_of, lens_of, units_of

from app.library import prompts, recent_records


@pytest.fixture
def hub(tab, site) -> None:
    """The hub of a hostile prompt."""
    text = "saved"
    prompt = prompts.store(text, "toy")
    for name, made in (("lens", lens_of), ("heads", heads_of), ("units", units_of)):
        recent_records.remember(name, "toy", text, made(text, HOSTILE))
    tab.goto(f"{site}/p/{prompt.id}?m=toy")
    expect(tab.locator("#strip .ow-tok").first).to_be_visible()


def saved(tab, panel: str, *path: int | str) -> Path:
    """The file that a panel's menu gives: the nth part's format."""
    where = tab.locator(f".ow-panel:has(> header h2:text-is('{panel}'))")
    where.locator(".ow-export").click()
    expect(tab.locator(".ow-menu")).to_be_visible()
    with tab.expect_download() as waiting:
        tab.locator(".ow-menu").get_by_role("menuitem", name=str(path[0]), exact=True).nth(int(path[1])).click()
    expect(tab.locator(".ow-menu")).to_have_count(0)
    return Path(waiting.value.path())


def test_a_strip_is_saved_exactly(tab, hub):
    rows = json.loads(saved(tab, "Tokens", "JSON", 0).read_text(encoding="utf8"))
    assert [row["token"] for row in rows] == HOSTILE and rows[0]["loss"] is None and rows[1]["loss"] > 0
    table = list(csv.DictReader(saved(tab, "Tokens", "CSV", 0).open(encoding="utf8", newline="")))
    assert [json.loads(row["token"]) for row in table] == HOSTILE


def test_a_figure_is_saved_as_a_drawing_and_as_numbers(tab, hub):
    expect(tab.locator("#lens-figure .heatmaplayer image")).to_be_visible()
    drawing = saved(tab, "Logit lens", "SVG", 0).read_text(encoding="utf8")
    assert drawing.startswith("<svg") and "<script" not in drawing
    table = list(csv.DictReader(saved(tab, "Logit lens", "CSV", 0).open(encoding="utf8", newline="")))
    assert len(table) == 3 * len(HOSTILE) and {"x", "y", "value"} <= table[0].keys()


def test_heads_are_saved_as_a_picture_and_a_table(tab, hub):
    expect(tab.locator("#pattern .heatmaplayer image")).to_be_visible()
    assert saved(tab, "Attention heads", "PNG", 1).read_bytes()[:4] == b"\x89PNG"
    rows = json.loads(saved(tab, "Attention heads", "JSON", 1).read_text(encoding="utf8"))
    assert len(rows) == 6 and {"layer", "head", "previous_token"} <= rows[0].keys()


def test_a_saved_page_is_static_and_stays_text(tab, hub, chromium, tmp_path):
    file = tmp_path / "saved.html"
    file.write_bytes(saved(tab, "Tokens", "HTML", 0).read_bytes())
    page = chromium.new_page()
    page.goto(file.as_uri())
    expect(page.locator(".ow-tok")).to_have_count(len(HOSTILE))
    expect(page.locator(".ow-tok").first).to_have_text(HOSTILE[0])
    assert page.evaluate("window.pwned") is None and page.locator("script").count() == 0
    page.close()


def test_the_menu_is_worked_from_the_keyboard(tab, hub):
    button = tab.locator(".ow-panel:has(> header h2:text-is('Tokens')) .ow-export")
    button.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator(".ow-menu button").first).to_be_focused()
    tab.keyboard.press("ArrowDown")
    expect(tab.locator(".ow-menu button").nth(1)).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.locator(".ow-menu")).to_have_count(0)
    expect(button).to_be_focused()
