"""The patching page in a real browser, on the toy model: prompts, measure, sweeps, one patch, storing, permalinks, snippets."""

import re
import shlex
from functools import cache

import numpy as np
import pytest
from browsing import SLACK, chromium, expect, pytestmark, tab
from browsing import site as empty_site

import circuits
from app.cli import run
from app.jobs import work
from app.library import memory, models, prompts
from app.pages.patching import work as patching_state
from app.pages.patching.work import Asked
from probe.model.load import load_model
from probe.tasks.examples import EXAMPLES
from probe.words import percent

CLEAN, CORRUPTED = "Mary and John went to Rome", "Mary and Mary went to Rome"
WAIT = 30_000 * SLACK


@pytest.fixture(scope="module")
def site(empty_site) -> str:
    """A served dashboard whose worker holds the toy model; the tests have their own, because two threads must not share hooks."""
    models.model_named("toy")
    own()
    return empty_site


@cache
def own():
    return load_model("toy")


def asked(**changes) -> Asked:
    """The pair of these tests on the toy model."""
    ids = [prompts.store(text, "toy").id for text in (CLEAN, CORRUPTED)]
    return Asked(**{"model": "toy", "clean": ids[0], "corrupted": ids[1], "right": " the", "wrong": " and", **changes})


@cache
def made(over: str, direction: str = "denoise"):
    return circuits.patch_sweep(own(), CLEAN, CORRUPTED, answers=(" the", " and"), over=over, direction=direction)


def opened(tab, site, **changes):
    """The page with a sweep that is in memory."""
    one = asked(**changes)
    memory.remember("work", "", one.key(), made(one.over, one.direction))
    memory.remember("work", "", one.pair_key(), made(one.over, one.direction).pair)
    tab.goto(site + one.address())
    expect(tab.locator("#patching-figure .js-plotly-plot .hm").first).to_be_visible(timeout=WAIT)


def test_empty_page_explains_and_shows_an_example(tab, site):
    tab.goto(site + "/patching")
    expect(tab.get_by_text("Where does the answer come from?")).to_be_visible()
    expect(tab.locator(".ow-examples button")).to_have_count(len(EXAMPLES))
    tab.locator("#patching-model").click()
    tab.get_by_role("option", name="toy").click()
    tab.get_by_role("button", name=re.compile("Show me")).click()
    expect(tab).to_have_url(re.compile(r"over=resid_pre"))
    expect(tab.locator("#patching-clean")).to_have_value(EXAMPLES[0].clean)
    expect(tab.locator("#patching-tokens .patching-column.differs")).to_have_count(1, timeout=WAIT)


def test_prompts_are_written_and_compared_before_anything_is_patched(tab, site):
    tab.goto(site + "/patching?m=toy")
    tab.locator("#patching-clean").fill(CLEAN)
    tab.locator("#patching-corrupted").fill(CORRUPTED)
    tab.get_by_role("button", name="Compare").click()
    pair = circuits.read_pair(own(), CLEAN, CORRUPTED)
    columns = tab.locator("#patching-tokens .patching-column")
    expect(columns).to_have_count(len(pair.clean.tokens), timeout=WAIT)
    expect(tab.locator(".patching-counts")).to_contain_text(f"clean: {len(pair.clean.tokens)} tokens")
    assert [int(i) for i in tab.locator(".patching-column.differs .at").all_inner_texts()] == pair.differs
    expect(tab.locator("#patching-facts")).to_contain_text(f"{pair.clean.value:.3f}".replace("-", "−"))
    expect(tab.locator("#patching-facts")).to_contain_text("what the clean run says")
    expect(tab.locator("#patching-shown")).to_be_hidden()
    tab.locator("#patching-right").fill(" the")
    tab.locator("#patching-wrong").fill(" and")
    tab.get_by_role("button", name="Measure", exact=True).click()
    expect(tab).to_have_url(re.compile(r"right=(%20|\+)the"))
    expect(tab.locator("#patching-facts")).to_contain_text("' the' (right)", timeout=WAIT)
    tab.go_back()
    expect(tab.locator("#patching-facts")).to_contain_text("what the clean run says")


def test_lengths_that_differ_are_explained(tab, site):
    tab.goto(site + "/patching?m=toy")
    tab.locator("#patching-clean").fill("Mary went to Rome")
    tab.locator("#patching-corrupted").fill("Mary drank to <b>Rome</b>")
    tab.get_by_role("button", name="Compare").click()
    expect(tab.locator("#patching-facts [role=alert]")).to_contain_text("They first differ at position", timeout=WAIT)
    expect(tab.locator(".patching-counts.bad")).to_be_visible()
    tab.locator("#patching-corrupted").fill(" ")
    tab.get_by_role("button", name="Compare").click()
    expect(tab.locator("#patching-refused")).to_contain_text("The prompt is empty")


def test_a_sweep_is_run_and_a_cell_looked_into(tab, site):
    tab.goto(site + asked().address())
    expect(tab.locator("#patching-facts .ow-stat").first).to_be_visible(timeout=WAIT)
    tab.get_by_role("button", name="Run", exact=True).click()
    found = made("resid_pre")
    expect(tab.locator("#patching-figure .js-plotly-plot .hm").first).to_be_visible(timeout=WAIT)
    z = tab.evaluate(
        "() => document.querySelector('#patching-figure .js-plotly-plot').calcdata[0][0].z.map(r => Array.from(r))"
    )
    assert np.allclose(np.array(z), found.effect, atol=1e-4)
    best = found.order()[0]
    expect(tab.locator(".patching-name")).to_have_text(found.name(best))
    expect(tab).to_have_url(re.compile(rf"[?&]t={best[1]}(&|$)"))
    plot = tab.locator("#patching-figure .nsewdrag")
    plot.scroll_into_view_if_needed()
    layers, positions = found.raw.shape
    x, y = (positions - 0.5) / positions, 1 - (layers - 0.5) / layers  # the last layer at the last position
    tab.wait_for_timeout(800)  # the outline of the first cell is drawn
    box = plot.bounding_box()
    for step in (6, 0):  # plotly notices what is under a pointer that moves
        tab.mouse.move(box["x"] + box["width"] * x - step, box["y"] + box["height"] * y)
        tab.wait_for_timeout(150)
    tab.mouse.down()
    tab.mouse.up()
    cell = (layers - 1, positions - 1)
    expect(tab.locator(".patching-name")).to_have_text(found.name(cell))
    expect(tab.locator("#patching-cell .value").first).to_have_text(f"{found.effect[cell]:.3f}".replace("-", "−"))
    expect(tab.locator("#patching-then tbody tr").first).to_contain_text(
        f"{100 * found.candidates(cell)[0].patched:.1f}"
    )
    expect(tab.locator(".patching-links a").first).to_have_attribute("href", re.compile(rf"t={cell[1]}.*l={cell[0]}"))
    tab.reload()
    expect(tab.locator(".patching-name")).to_have_text(found.name(cell), timeout=WAIT)


def test_head_sweeps_show_where_the_head_looks(tab, site):
    found = made("heads", "noise")
    opened(tab, site, over="heads", direction="noise")
    row = tab.locator("#patching-rows tbody tr").nth(1)
    expect(row.locator("td.unit")).to_have_text(found.rows(2)[1]["name"])
    row.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator(".patching-name")).to_have_text(found.rows(2)[1]["name"])
    expect(tab.locator("#patching-pattern .hm").first).to_be_visible(timeout=WAIT)
    expect(tab).to_have_url(re.compile(r"h=\d\.\d"))


def test_sweeps_of_a_pair_stand_beside_each_other(tab, site):
    opened(tab, site, over="heads", direction="noise")
    opened(tab, site, over="mlp_out")
    small = tab.locator(".patching-small")
    expect(small.nth(1)).to_be_visible()
    expect(tab.locator(".patching-small.shown")).to_contain_text("MLP outputs")
    tab.locator(".patching-small", has_text="heads").first.click()
    expect(tab).to_have_url(re.compile("over=heads"))
    expect(tab.locator(".patching-small.shown")).to_contain_text("heads")


def test_sweeps_are_stored_and_opened_again(tab, site):
    opened(tab, site, over="attn_out")
    tab.get_by_role("button", name="Store", exact=True).click()
    expect(tab.locator("#patching-stored-note")).to_have_text("Write a name first.")
    tab.locator("#patching-name").fill("kept")
    tab.get_by_role("button", name="Store", exact=True).click()
    expect(tab.locator("#patching-stored-note")).to_have_text("Stored as kept.")
    name = tab.locator(".patching-name").inner_text()
    tab.goto(site + "/patching")
    tab.locator("#patching-disk tr.click", has_text="kept").click()
    expect(tab).to_have_url(re.compile("stored=kept"))
    expect(tab.locator(".patching-name")).to_have_text(name, timeout=WAIT)
    expect(tab.locator("#patching-clean")).to_have_value(CLEAN)


def test_bad_addresses_say_so(tab, site):
    for query, said in (
        ("over=nothing", "none of resid_pre"),
        ("m=/etc/passwd", "none of the models"),
        ("p=000000000000&c=000000000000", "No prompt with this address"),
        ("stored=none", "No result named"),
        ("right=a", "Name both"),
    ):
        tab.goto(f"{site}/patching?{query}")
        expect(tab.get_by_role("alert").filter(has_text=said)).to_be_visible()


def test_hostile_prompts_stay_text(tab, site):
    text = "<b>x</b> Mary"
    ids = [prompts.store(t, "toy").id for t in (text, "<b>y</b> Mary")]
    tab.goto(site + Asked("toy", *ids, over="resid_pre").address())
    expect(tab.locator("#patching-figure .js-plotly-plot .hm").first).to_be_visible(timeout=WAIT)
    assert tab.locator("main b").count() == 0


def test_snippets_run_as_printed(site, capsys):
    for one in (asked(), asked(over="heads", direction="noise"), asked(over="resid_pre", metric="kl")):
        names: dict = {}
        exec(patching_state.python_for(one), names)
        if one.over:
            assert names["sweep"].over == one.over and names["sweep"].direction == one.direction
        assert run(shlex.split(patching_state.shell_for(one))[1:]) == 0
        assert "clean" in capsys.readouterr().out


def test_what_is_in_memory_is_not_run_again(site):
    one = asked(over="head_q")
    record = made("head_q")
    memory.remember("work", "", one.key(), record)
    assert patching_state.start_sweep(one) == one.key() and work.result(one.key()) is record
    assert [a.over for a, _ in patching_state.found_beside(asked()) if a.over == "head_q"] == ["head_q"]


@pytest.mark.parametrize(
    "wrong", [{"right": " the", "wrong": ""}, {"right": "", "wrong": " and"}, {"right": "x" * 100, "wrong": "y"}]
)
def test_answers_are_checked_before_anything_runs(site, wrong):
    from probe.errors import BadInput

    with pytest.raises(BadInput):
        patching_state.checked(asked(**wrong))


def test_small_shares_keep_their_digits(tab, site):
    """In tables as in Python: a probability of a thousandth of a per cent is no `0.0 %`."""
    values = [0.0, 1.0, 0.99, 0.25, 0.00069, 0.0004999, 2.13e-5, 9.9e-8, 1e-9, -3e-4, -1e-9]
    tab.goto(site + "/patching")
    tab.wait_for_function("!!(window.openwork && window.dash_clientside.openwork.rows)")
    drawn = tab.evaluate(
        """values => {
            const node = document.createElement("div"), columns = [{ key: "p", label: "p", kind: "share" }];
            node.id = "shares";
            document.body.appendChild(node);
            window.dash_clientside.callback_context = { outputs_list: { id: node.id } };
            window.dash_clientside.openwork.rows({ columns, rows: values.map((p) => ({ p })) });
            return [...node.querySelectorAll("td")].map((cell) => cell.textContent);
        }""",
        values,
    )
    assert drawn == [percent(value) for value in values] and drawn[6] == "0.0021 %"
