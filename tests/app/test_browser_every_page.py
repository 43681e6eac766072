"""What holds on every page, in a real browser over a home with one of everything: arriving, contrast, keyboard, names, width."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import whole_home
from browsing import SLACK, chromium, expect, gone_to, kept, loaded, pytestmark, tab
from browsing import site as empty_site
from records import lens_of

from app import links
from app.library import prompts, recent_records

expect.set_options(timeout=20_000 * SLACK)
RESTING = """() => {
  const seen = (e) => e.getClientRects().length > 0;
  const busy = [...document.querySelectorAll('.ow-skeleton, [aria-busy=true], .ow-slot .ow-partial')].filter(seen);
  const plots = [...document.querySelectorAll('.dash-graph')].filter((p) => seen(p) && !p.querySelector('.main-svg'));
  return document.querySelector('#page h1') && busy.length + plots.length === 0;
}"""


@pytest.fixture(scope="module")
def site(empty_site) -> str:
    return empty_site


@pytest.fixture(scope="module")
def pages(site) -> dict[str, str]:
    """Addresses by name, of a home that holds one of everything."""
    return whole_home.fill()


def opened(tab, address: str) -> None:
    """The page at rest."""
    tab.goto(address)
    tab.wait_for_function(RESTING, timeout=20_000 * SLACK)


# -- arriving --------------------------------------------------------------------------------------------------------


def down(tab) -> None:
    """To the end of a page that has one."""
    tab.evaluate("() => { document.querySelector('#page').style.minHeight = '3000px'; window.scrollTo(0, 1500); }")
    assert (
        tab.evaluate("scrollY") >= 1500
    )  # more, where something above is drawn only now and the browser holds the line


def arrived(tab, heading: str | re.Pattern[str], title: str | re.Pattern[str]) -> None:
    """At the top of a page whose heading has the focus and whose name the browser's tab bears."""
    expect(tab.locator("#page h1")).to_have_text(heading)
    expect(tab.locator("#page h1")).to_be_focused()
    expect(tab).to_have_title(title)
    assert tab.evaluate("scrollY") == 0


def test_every_way_to_a_page_arrives_at_its_heading(tab, site, pages):
    ways = {
        "link": (pages["prompts"], lambda: tab.locator(".ow-page a.ow-card").first.click(), r".+ · Prompt · Openwork"),
        "row": (pages["prompt"], lambda: tab.locator("#units td.unit").last.click(), r".+ · Unit · Openwork"),
        "navigation": (pages["unit"], lambda: tab.locator("#nav-training").click(), r"Training · Openwork"),
        "button": (pages["units"], lambda: tab.get_by_role("button", name="Open the neuron").click(), r"L0N0 · Unit · Openwork"),
        "key": (pages["heads"], lambda: press(tab, "g", "c"), r"Circuits · Openwork"),
        "search": (pages["run"], lambda: press(tab, "/", *"jobs", "Enter"), r"Jobs · Openwork"),
    }  # fmt: skip
    for way, (start, go, title) in ways.items():
        opened(tab, site + start)
        down(tab)
        go()
        expect(tab, way).not_to_have_url(site + start)
        arrived(tab, re.compile("."), re.compile(f"^{title}$"))


def press(tab, *keys: str) -> None:
    for key in keys:
        if len(keys) > 2 and key == "Enter":
            expect(tab.get_by_role("option", selected=True)).to_contain_text("Jobs")
        tab.keyboard.press(key)


def test_back_and_forward_return_to_where_a_page_was_left(tab, site, pages):
    opened(tab, site + pages["unit"])
    left = tab.evaluate("() => { window.scrollTo(0, 400); return scrollY; }")
    assert left > 100
    press(tab, "g", "j")
    arrived(tab, "Jobs", "Jobs · Openwork")
    tab.go_back()
    expect(tab.locator("#page h1")).to_have_text(re.compile("^L1F3"))
    tab.wait_for_function("(y) => Math.abs(scrollY - y) < 3", arg=left)
    tab.go_forward()
    arrived(tab, "Jobs", "Jobs · Openwork")


# -- every page ----------------------------------------------------------------------------------------------------------

CONTRAST = (Path(__file__).parents[1] / "support" / "contrast.js").read_text(encoding="utf8")
OPENED = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"


WEAR = "(scheme) => document.documentElement.setAttribute('data-mantine-color-scheme', scheme)"


FITS = (Path(__file__).parents[1] / "support" / "fits.js").read_text(encoding="utf8")
REACH = (Path(__file__).parents[1] / "support" / "reach.js").read_text(encoding="utf8")


@pytest.mark.slow
def test_every_page_stands_out_is_named_and_fits(tab, site, pages):
    """One walk: contrast of all text in both schemes, what keyboards and screen readers need, and no void or cut column at any
    width (half of 1,440 is a zoom of 200 %)."""
    warnings = []
    tab.on("console", lambda m: warnings.append(m.text) if m.type == "warning" else None)
    for name, address in pages.items():
        opened(tab, site + address)
        tab.evaluate(OPENED)
        stands_out(tab, name)
        assert tab.evaluate(REACH) == [], name
        for width in (390, 720, 1280, 3840, 1440):
            tab.set_viewport_size({"width": width, "height": 900})
            fits(tab, f"{name}, {width}")
    for key, there in (("/", tab.get_by_role("option").first), ("?", tab.get_by_role("heading", name="Keys"))):
        tab.keyboard.press(key)
        expect(there).to_be_visible()
        stands_out(tab, key)
        tab.keyboard.press("Escape")
    assert warnings == []


def fits(tab, name: str) -> None:
    """Once the figures have taken their new width."""
    for wait in (30, 100, 300, 600, 1200, 2400):
        tab.wait_for_timeout(wait)
        if not (wrong := tab.evaluate(FITS)):
            break
    assert wrong == [], name


def stands_out(tab, name: str) -> None:
    """In both schemes, once what changes with the scheme has changed."""
    for scheme in ("dark", "light"):
        tab.evaluate(WEAR, scheme)
        for wait in (60, 250, 500, 1000, 2000, 4000):
            tab.wait_for_timeout(wait)
            if not (seen := tab.evaluate(CONTRAST))["failed"]:
                break
        assert seen["count"] > 15 and seen["failed"] == [], f"{name}, {scheme}"


def test_the_contrast_test_sees_what_is_too_faint(tab, site):
    opened(tab, site + "/nothing-here")
    tab.evaluate(
        "() => { document.querySelector('h1').style.color = '#999'; document.querySelector('h3').style.opacity = .4; }"
    )
    assert len(tab.evaluate(CONTRAST)["failed"]) == 2


# -- keyboard and screen reader --------------------------------------------------------------------------------------


def test_a_table_is_one_stop_and_arrows_move_in_it(tab, site, pages):
    opened(tab, site + pages["heads"])
    rows = tab.locator("#heads-scores table[aria-label^='Heads by'] tr.click")
    assert rows.count() > 10
    rows.first.focus()
    tab.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    tab.keyboard.press("End")
    expect(rows.last).to_be_focused()
    assert tab.locator("#heads-scores table[aria-label^='Heads by'] tr[tabindex='0']").count() == 1
    tab.keyboard.press("Tab")
    assert not tab.evaluate(
        "document.querySelector('#heads-scores table[aria-label^=Heads]').contains(document.activeElement)"
    )


def test_popouts_close_by_escape_and_by_a_press_elsewhere(tab, site, pages):
    opened(tab, site + pages["prompt"])
    popout, summary = tab.locator("details.ow-popout").first, tab.locator("details.ow-popout > summary").first
    summary.click()
    popout.locator("input, textarea, button").first.focus()
    tab.keyboard.press("Escape")
    expect(popout).not_to_have_attribute("open", re.compile(".*"))
    expect(summary).to_be_focused()
    summary.click()
    expect(popout).to_have_attribute("open", re.compile(".*"))
    tab.locator("h1").click()
    expect(popout).not_to_have_attribute("open", re.compile(".*"))


def test_the_first_stop_skips_the_frame(tab, site):
    loaded(tab, site + "/jobs")
    expect(tab.locator("#jobs-active")).to_be_visible()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="Skip to the page")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.locator("h1")).to_be_focused()


# -- long prompts ----------------------------------------------------------------------------------------------------


MIDDLES = """(id) => [...document.querySelectorAll(`${id} .xtick text`)].map((label) => {
  const box = label.getBoundingClientRect();
  return box.left + box.width / 2;
})"""
AT_END = """() => {
  const frame = document.querySelector('.ow-from-end');
  return frame.scrollLeft > 100 && frame.scrollLeft + frame.clientWidth > frame.scrollWidth - 3;
}"""


def apart(tab, figure: str) -> float:
    """Pixels between neighbouring labels of a figure's x axis, the least."""
    tab.wait_for_timeout(2500)  # plotly draws, then labels are thinned
    places = tab.evaluate(MIDDLES, figure)
    assert len(places) > 4
    return min(b - a for a, b in zip(sorted(places), sorted(places)[1:], strict=False))


def test_labels_of_600_tokens_do_not_touch(tab, site):
    words = [f" word{i}" for i in range(600)]
    text = "".join(words)
    recent_records.remember("lens", "toy", text, lens_of(text, words))
    tab.set_viewport_size({"width": 1280, "height": 900})
    opened(tab, site + links.lens_page("toy", prompts.store(text, "toy").id))
    assert apart(tab, "[data-axes='token layer']") > 11
    tab.set_viewport_size({"width": 390, "height": 900})
    assert apart(tab, "[data-axes='token layer']") > 11


def test_the_link_graph_of_a_long_prompt_begins_at_its_prediction(tab, site, pages):
    tab.set_viewport_size({"width": 1100, "height": 900})
    opened(tab, site + pages["circuit-long"])
    tab.wait_for_function(AT_END)
    assert apart(tab, "#links") > 11
    sizes = tab.evaluate(
        "() => [...document.querySelectorAll('#subgraph text.title')].map((t) => t.getBoundingClientRect().height)"
    )
    assert sizes and min(sizes) > 9


TILTED = """(tilted) => {
  const word = document.querySelector('[data-axes=column] .xtick text');
  return word && tilted === /rotate\\(-[1-9]/.test(word.getAttribute('transform'));
}"""
INSIDE = """() => {
  const frame = document.querySelector('#subgraph svg').getBoundingClientRect();
  const nodes = [...document.querySelectorAll('#subgraph .node')].map((node) => node.getBoundingClientRect());
  const left = Math.min(...nodes.map((n) => n.left)), right = Math.max(...nodes.map((n) => n.right));
  return nodes.length > 0 && left >= frame.left && right <= frame.right && right - left > 0.3 * frame.width;
}"""


def test_figures_follow_the_window(tab, site, pages):
    """Words tilt where they would touch and lie flat again; a subgraph fits its frame again; what is hidden takes no room."""
    tab.set_viewport_size({"width": 390, "height": 900})
    opened(tab, site + pages["prompts-beside"])
    tab.wait_for_function(TILTED, arg=True)
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.wait_for_function(TILTED, arg=False)
    tab.set_viewport_size({"width": 390, "height": 900})
    opened(tab, site + pages["circuit"])
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.wait_for_function(INSIDE)
    opened(tab, site + pages["unit"])
    assert tab.locator("main [hidden]").evaluate_all("(all) => all.every((e) => e.getClientRects().length === 0)")


# -- what stays behind -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_piles_up_over_thirty_pages(tab, site, pages):
    watch = tab.context.new_cdp_session(tab)
    opened(tab, site + pages["home"])
    order = ["circuit", "table", "lens", "jobs", "unit", "heads", "circuits", "training", "prompt", "home"]
    counts = []
    for _ in range(3):
        for name in order:
            gone_to(tab, site + pages[name])
            tab.wait_for_timeout(300)  # most of it is drawn
        tab.wait_for_function(RESTING, timeout=20_000 * SLACK)
        watch.send("HeapProfiler.collectGarbage")
        counts.append(watch.send("Memory.getDOMCounters"))
    # The grid keeps a last table for a while, or does not; what piles up grows in every round.
    for name in ("nodes", "jsEventListeners"):
        values = [c[name] for c in counts]
        assert min(after - before for before, after in pairwise(values)) < 0.01 * values[0], counts
