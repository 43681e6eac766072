"""The dashboard in a real browser: every page, both schemes, hostile text, no console error, no request leaves the machine.

Drives the system's Chromium through Playwright; skipped where there is none.
"""

import re
import time
from pathlib import Path

import pytest
from browsing import SLACK, chromium, expect, kept, loaded, pytestmark, tab
from browsing import site as empty_site
from records import HOSTILE, heads_of, lens_of, store_graph, units_of

from app.jobs import table as jobs
from app.library import prompts, recent_records

FIRST_PAGE = 3.0  # seconds, on two quiet cores
STORED = 0.3


@pytest.fixture(scope="module")
def site(empty_site) -> str:
    """A served dashboard with one stored graph, one damaged one, and one prompt whose readings are in memory."""
    store_graph("small")
    (store_graph("torn") / "graph.safetensors").write_bytes(b"torn")
    return empty_site


def read_prompt(tokens: list[str], text: str) -> str:
    """A stored prompt with readings made by hand; its path."""
    prompt = prompts.store(text, "toy")
    recent_records.remember("lens", "toy", text, lens_of(text, tokens))
    recent_records.remember("heads", "toy", text, heads_of(text, tokens))
    recent_records.remember("units", "toy", text, units_of(text, tokens))
    return f"/p/{prompt.id}?m=toy"


def test_first_page_is_quick_and_complete(tab, site):
    start = time.perf_counter()
    loaded(tab, site + "/")
    expect(tab.get_by_role("heading", name="See the movement")).to_be_visible()
    assert time.perf_counter() - start < FIRST_PAGE * SLACK
    expect(tab.get_by_text("one <b>two").first).to_be_visible()
    assert tab.title() == "Home · Openwork"


@pytest.mark.parametrize("path", ["/p", "/circuits", "/jobs"])
def test_pages_load_from_the_navigation(tab, site, path):
    tab.goto(site + "/")
    tab.locator(f"nav a[href='{path}']").click()
    expect(tab.locator("h1")).to_have_text({"/p": "Prompts", "/circuits": "Circuits", "/jobs": "Jobs"}[path])
    tab.go_back()
    expect(tab.locator("h1")).to_have_text("See the movement")


def test_unknown_addresses_say_so(tab, site):
    tab.goto(site + "/no/such/page")
    expect(tab.get_by_text("There is no such page")).to_be_visible()
    tab.goto(site + "/p/000000000000")
    expect(tab.get_by_text("No prompt with this address")).to_be_visible()
    tab.goto(site + "/circuits/none")
    expect(tab.get_by_text("No graph named 'none'")).to_be_visible()


def test_empty_home_shows_the_one_command(tab, site, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    tab.goto(site + "/")
    expect(tab.get_by_role("button", name="Make the demo")).to_be_visible()
    expect(tab.get_by_text("openwork demo", exact=True)).to_be_visible()


def test_colour_scheme_is_kept_and_figures_follow(tab, site):
    tab.goto(site + read_prompt(["a", " b"], "schemes"))
    tick = tab.locator("#lens-figure .xtick text").first
    expect(tick).to_be_visible()
    before = tick.evaluate("e => getComputedStyle(e).fill")
    html = tab.locator("html")
    expect(html).to_have_attribute("data-mantine-color-scheme", "light")
    tab.locator("#toggle").click()
    expect(html).to_have_attribute("data-mantine-color-scheme", "dark")
    expect(tick).not_to_have_css("fill", before)
    tab.reload()
    expect(html).to_have_attribute("data-mantine-color-scheme", "dark")


def test_figures_are_dark_from_the_start_where_the_system_is(tab, site):
    """No toggle is pressed: the first figure must already wear the scheme that the page took from the system."""
    tab.emulate_media(color_scheme="dark")
    loaded(tab, site + read_prompt(["a", " b"], "dark system"))
    expect(tab.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    expect(tab.locator("#lens-figure .ytick text").first).to_have_css("fill", "rgb(180, 188, 200)")


def test_hostile_tokens_stay_text(tab, site):
    tab.goto(site + read_prompt(HOSTILE, "hostile <img/src='x'onerror=window.pwned=3>"))
    tokens = tab.locator("#strip .ow-tok")
    expect(tokens).to_have_count(len(HOSTILE))
    expect(tokens.nth(0)).to_have_text(HOSTILE[0])
    expect(tokens.nth(1)).to_have_text(HOSTILE[1])
    expect(tokens.nth(2)).to_have_text("<b>bold</b>")
    expect(tokens.nth(4)).to_have_text("∅")
    expect(tokens.nth(5)).to_have_text("·a↵⇥b")
    expect(tab.locator("#units tr").nth(1)).to_be_visible()
    expect(tab.locator("#lens-figure .xtick text").first).to_be_visible()
    assert tab.evaluate("window.pwned") is None
    assert tab.locator("main img, #strip b, #strip script").count() == 0


def test_token_click_moves_every_panel_and_the_address(tab, site):
    tab.goto(site + read_prompt(["zero", " one", " two", " three"], "clicks"))
    expect(tab.locator("#units td.unit")).to_have_text(["L1N10"])
    tab.locator("#strip .ow-tok").nth(1).click()
    expect(tab).to_have_url(re.compile(r"[?&]t=1(&|$)"))
    expect(tab.locator("#units td.unit")).to_have_text(["L1N8"])
    expect(tab.locator("#strip .selected")).to_have_text("·one")
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#strip .selected")).to_have_text("·two")
    expect(tab).to_have_url(re.compile(r"[?&]t=2(&|$)"))  # the mark comes first, the address with what follows from it
    tab.reload()
    expect(tab.locator("#strip .selected")).to_have_text("·two")


WATCHED = """() => new Promise((done) => {
  const seen = [], send = window.dash_clientside.set_props, tokens = [...document.querySelectorAll('#strip .ow-tok')];
  window.dash_clientside.set_props = (id, props) => {
    if (id === 'selection') seen.push('sent ' + props.data.token);
    send(id, props);
  };
  tokens[1].click(); seen.push('marked ' + document.querySelector('#strip .selected').dataset.at);
  tokens[2].click(); seen.push('marked ' + document.querySelector('#strip .selected').dataset.at);
  requestAnimationFrame(() => seen.push('frame'));
  setTimeout(() => { window.dash_clientside.set_props = send; done(seen); }, 700);
})"""


def test_a_click_is_painted_before_what_follows_from_it(tab, site):
    """And clicks between two frames go out as one."""
    tab.goto(site + read_prompt(["zero", " one", " two", " three"], "painted"))
    expect(tab.locator("#units td.unit")).to_have_text(["L1N10"])
    assert tab.evaluate(WATCHED) == ["marked 1", "marked 2", "frame", "sent 2"]
    expect(tab.locator("#units td.unit")).to_have_text(["L1N9"])
    expect(tab).to_have_url(re.compile(r"[?&]t=2(&|$)"))


def test_head_thumbnail_opens_its_pattern(tab, site):
    tab.goto(site + read_prompt(["a", " b", " c"], "heads"))
    canvas = tab.locator("#thumbs canvas")
    expect(canvas).to_be_visible()
    canvas.click(position={"x": 34 + 10, "y": 20 + 10})
    expect(tab.locator("#head-facts h2")).to_have_text("L0H0")
    expect(tab).to_have_url(re.compile(r"h=0\.0"))
    canvas.press("ArrowDown")
    expect(tab.locator("#head-facts h2")).not_to_have_text("L0H0")


def test_hovering_a_pattern_marks_its_tokens(tab, site):
    tab.goto(site + read_prompt(["a", " b", " c"], "hovers"))
    plot = tab.locator("#pattern .nsewdrag")
    expect(plot).to_be_visible()
    plot.scroll_into_view_if_needed()
    for i in range(20):  # until plotly listens
        box = plot.bounding_box()
        tab.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * (0.86 + 0.002 * i))
        tab.wait_for_timeout(300)
        if tab.locator("#strip .linked").count():
            break
    expect(tab.locator("#strip .linked")).to_have_text(["a", "·c"])


def test_a_thousand_tokens_are_windowed(tab, site):
    tab.goto(site + read_prompt([f" {i}" for i in range(1000)], "long " * 100))
    tokens = tab.locator("#strip .ow-tok")
    expect(tokens).to_have_count(256)
    expect(tokens.last).to_have_text("·999")
    tab.get_by_role("button", name="‹ earlier").click()
    expect(tokens.first).to_have_text("·488")


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_circuit_lists_connections_that_add_up(tab, site):
    tab.goto(site + "/circuits/small")
    expect(tab.locator("#scores")).to_contain_text("4e−7worst gap of a value and its edges")
    expect(tab.locator("#edges tbody tr").last).to_contain_text("sum = value")
    tab.locator("#nodes tr.click", has_text="L0N11").click()
    expect(tab).to_have_url(re.compile(r"n=2"))
    expect(tab.locator("#node-facts strong")).to_have_text("L0N11")
    amounts = tab.locator("#edges tbody td:nth-child(4)")
    expect(amounts).to_have_count(4)
    found = [number(t) for t in amounts.all_inner_texts()]
    assert sum(found[:-1]) == pytest.approx(found[-1]) == pytest.approx(1.0)
    expect(tab.locator("#node-facts")).to_contain_text("value1")


def test_clicking_a_node_in_the_plot_selects_it(tab, site):
    tab.goto(site + "/circuits/small")
    expect(tab.locator("#node-facts strong")).to_have_text("logit")
    marks = tab.locator("#links .scatterlayer .trace .points path.point")
    expect(marks.first).to_be_visible()
    tab.wait_for_timeout(500)
    box = marks.nth(1).bounding_box()  # the first is the ring around the selected node
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.move(*middle)
    tab.wait_for_timeout(300)
    tab.mouse.click(*middle)
    expect(tab.locator("#node-facts strong")).to_have_text("token")
    expect(tab).to_have_url(re.compile(r"n=[01]"))


def test_exports_download(tab, site):
    tab.goto(site + "/circuits/small")
    with tab.expect_download() as waiting:
        tab.get_by_text("Neuronpedia JSON").click()
    assert waiting.value.suggested_filename == "small.neuronpedia.json"
    assert b"links" in Path(waiting.value.path()).read_bytes()


def test_damaged_graph_shows_why(tab, site):
    tab.goto(site + "/circuits/torn")
    expect(tab.get_by_role("alert")).to_contain_text("graph.safetensors is missing or damaged; trace the prompt again")
    expect(tab.locator("body")).not_to_contain_text("Traceback")


def test_an_empty_prompt_is_refused_in_place(tab, site):
    tab.goto(site + "/")
    tab.get_by_role("button", name="Look inside").click()
    expect(tab.get_by_text("The prompt is empty")).to_be_visible()


def test_a_prompt_is_read_from_the_box(tab, site):
    recent_records.forget()  # what other modules read of this prompt, which would leave nothing to do
    tab.goto(site + "/")
    tab.get_by_role("button", name="The capital of France is", exact=True).click()
    expect(tab.locator("#box-text")).to_have_value("The capital of France is")
    tab.locator("#box-model").click()
    tab.get_by_role("option", name="toy").click()
    tab.get_by_role("button", name="Look inside").click()
    expect(tab).to_have_url(re.compile(r"/p/[0-9a-f]{12}"))
    expect(tab.locator("#strip .ow-tok").first).to_be_visible(timeout=60_000)
    expect(tab.locator("#units td.unit").first).to_be_visible(timeout=60_000)
    tab.goto(site + "/jobs")
    expect(tab.locator(".ow-badge.done").first).to_be_visible()


def test_jobs_are_cancelled_from_their_page(tab, site):
    def work(progress):
        with progress.stage("count", total=10_000) as step:
            for _ in range(10_000):
                step(1)
                time.sleep(0.01)

    jobs.job_table().submit("test", "A long count", work)
    tab.goto(site + "/jobs")
    expect(tab.get_by_text("A long count").last).to_be_visible()
    tab.reload()
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.locator(".ow-badge.cancelled")).to_be_visible()


def test_stored_results_answer_quickly(site):
    """A click on a node, as the server sees it."""
    from app.figures.linkgraph import edges_exchanged
    from app.pages.circuit import callbacks as graph

    graph.arranged("small", 0.8)
    start = time.perf_counter()
    found, shown = graph.arranged("small", 0.8)
    graph.rows.edge_table(found, 2, "in")
    edges_exchanged(found, shown, 2, "light")
    assert time.perf_counter() - start < STORED * SLACK
