"""The patching page in a real browser, on the toy model: prompts, measure, sweeps, one patch, what is stored, permalinks."""

import re
import shlex
from functools import cache

import numpy as np
import pytest
from browsing import SLACK, chromium, expect, kept, pytestmark, tab
from browsing import site as empty_site

import circuits
import probe
from app.cli import run
from app.jobs import work
from app.library import models, prompts
from app.methods.method_jobs import key_for
from app.pages.patching.address import SWEEP, Asked, asked_in
from app.pages.patching.callbacks import MEASURED, SWEPT
from probe.errors import BadInput
from probe.model.load import load_model
from probe.tasks.examples import EXAMPLES
from probe.words import percent

CLEAN, CORRUPTED = "Mary and John went to Rome", "Mary and Mary went to Rome"
TARGET = {"token": " the", "other": " and"}
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


def asked(metric: str = "", **swept) -> Asked:
    """The pair of these tests on the toy model."""
    pair = {"clean": CLEAN, "corrupted": CORRUPTED, "target": TARGET, **({"metric": metric} if metric else {})}
    return Asked("toy", pair, swept)


@cache
def made(over: str, direction: str = "denoise"):
    target = probe.Difference(" the", " and")
    return circuits.patch_sweep(own(), CLEAN, CORRUPTED, target=target, over=over, direction=direction)


def panels(block) -> str:
    """The selector of a block's result."""
    name = block.part("panels")
    return f'[id=\'{{"at":"{name["at"]}","type":"{name["type"]}"}}\']'


def opened(tab, site, **swept):
    """The page with a sweep that is in memory."""
    one = asked(**swept)
    work.keep(key_for(one.sweep()), made(swept["over"], swept.get("direction", "denoise")))
    tab.goto(site + one.address())
    expect(tab.locator(f"{panels(SWEPT)} .js-plotly-plot .hm").first).to_be_visible(timeout=WAIT)


def boxed(tab, block):
    return tab.locator(".ow-block", has=tab.locator(panels(block)))


def box(tab, side: str):
    """The box of a prompt."""
    return tab.locator(f'textarea[id*=\'"of":"{side}"\']')


def write(tab, clean: str | None = None, corrupted: str | None = None):
    """Both boxes filled, and the two runs asked for."""
    for side, text in (("clean", clean), ("corrupted", corrupted)):
        if text is not None:
            box(tab, side).fill(text)
    boxed(tab, MEASURED).get_by_role("button", name="Run", exact=True).click()


def test_empty_page_explains_and_shows_an_example(tab, site):
    tab.goto(site + "/patching?m=toy")
    expect(tab.get_by_text("Where does the answer come from?")).to_be_visible()
    expect(tab.locator("main .ow-link-bar a")).to_have_count(len(EXAMPLES))
    tab.get_by_role("link", name=re.compile("Show me")).click()
    expect(tab).to_have_url(re.compile(r"over=resid_pre"))
    expect(box(tab, "clean")).to_have_value(EXAMPLES[0].clean)
    expect(tab.locator(f"{panels(MEASURED)} .ow-column").first).to_be_visible(timeout=WAIT)


def test_prompts_are_written_and_compared_before_anything_is_patched(tab, site):
    tab.goto(site + "/patching?m=toy")
    box(tab, "clean").fill(CORRUPTED)
    box(tab, "corrupted").fill(CLEAN)
    tab.get_by_role("button", name="Swap").click()
    expect(box(tab, "clean")).to_have_value(CLEAN)
    expect(boxed(tab, SWEPT)).to_be_hidden()
    write(tab)
    pair, shown = circuits.read_pair(own(), CLEAN, CORRUPTED), tab.locator(panels(MEASURED))
    expect(shown.locator(".ow-column")).to_have_count(len(pair.clean.tokens), timeout=WAIT)
    expect(shown).to_contain_text(f"{pair.clean.value:.3f}".replace("-", "−"))
    expect(boxed(tab, SWEPT)).to_be_visible()
    expect(tab.locator(f"{panels(SWEPT)} .js-plotly-plot")).to_have_count(0)
    ask = boxed(tab, MEASURED)
    for field, text in (("Target", " the"), ("Target, minus", " and")):
        ask.get_by_label(field, exact=True).fill(text)
    ask.get_by_role("button", name="Run", exact=True).click()
    expect(tab).to_have_url(re.compile(r"pair=method"))
    expect(shown).to_contain_text("p(' the')", timeout=WAIT)
    tab.reload()
    expect(tab.locator(panels(MEASURED))).to_contain_text("p(' the')", timeout=WAIT)


def test_lengths_that_differ_are_explained(tab, site):
    tab.goto(site + "/patching?m=toy")
    write(tab, "Mary went to Rome", "Mary drank to <b>Rome</b>")
    expect(tab.locator(panels(MEASURED))).to_contain_text("They first differ at position", timeout=WAIT)
    assert tab.locator("main b").count() == 0
    write(tab, corrupted=" ")
    expect(boxed(tab, MEASURED).get_by_role("alert")).to_contain_text("The prompt is empty")


def test_a_sweep_is_run_of_what_was_measured_and_a_cell_looked_into(tab, site):
    tab.goto(site + asked().address())
    expect(tab.locator(f"{panels(MEASURED)} .ow-column").first).to_be_visible(timeout=WAIT)
    boxed(tab, SWEPT).get_by_role("button", name="Run", exact=True).click()
    plot = tab.locator(f"{panels(SWEPT)} .js-plotly-plot")
    expect(plot.locator(".hm").first).to_be_visible(timeout=WAIT)
    found = made("resid_pre")
    z = plot.evaluate("node => node.calcdata[0][0].z.map(r => Array.from(r))")
    assert np.allclose(np.array(z), found.effect, atol=1e-4)
    expect(tab).to_have_url(re.compile("sweep=method"))
    shown = tab.locator(panels(SWEPT))
    expect(shown).to_contain_text(found.look(found.order()[0]).summary())
    area = plot.locator(".nsewdrag")
    area.scroll_into_view_if_needed()
    layers, positions = found.raw.shape
    x, y = (positions - 0.5) / positions, 1 - (layers - 0.5) / layers  # the last layer at the last position
    tab.wait_for_timeout(800)  # the figure has settled
    box = area.bounding_box()
    for step in (6, 0):  # plotly notices what is under a pointer that moves
        tab.mouse.move(box["x"] + box["width"] * x - step, box["y"] + box["height"] * y)
        tab.wait_for_timeout(150)
    tab.mouse.down()
    tab.mouse.up()
    cell = (layers - 1, positions - 1)
    expect(shown).to_contain_text(found.look(cell).summary())
    expect(shown).to_contain_text(f"{100 * found.candidates(cell)[0].patched:.1f}")
    expect(tab.locator(".patching-links a").first).to_have_attribute("href", re.compile(rf"t={cell[1]}.*l={cell[0]}"))
    tab.keyboard.press("Shift+ArrowDown")
    expect(shown).to_contain_text(found.look((layers - 2, positions - 1)).summary())
    tab.reload()
    expect(tab.locator(panels(SWEPT))).to_contain_text(found.look((layers - 2, positions - 1)).summary(), timeout=WAIT)


def test_head_sweeps_show_where_the_head_looks(tab, site):
    found = made("heads", "noise")
    opened(tab, site, over="heads", direction="noise")
    row = tab.locator(f"{panels(SWEPT)} tr.click").nth(1)
    expect(row).to_contain_text(found.rows(2)[1]["name"])
    row.focus()
    tab.keyboard.press("Enter")
    second = found.order()[1]
    expect(tab.locator(panels(SWEPT))).to_contain_text(found.look(second).summary())
    expect(tab).to_have_url(re.compile(rf"h={second[0]}\.{second[1]}"))
    expect(tab.locator("#patching-pattern .hm").first).to_be_visible(timeout=WAIT)
    tab.keyboard.press("Shift+ArrowRight")
    beside = (second[0], min(second[1] + 1, found.raw.shape[1] - 1))
    expect(tab.locator(panels(SWEPT))).to_contain_text(found.look(beside).summary())


def test_sweeps_of_a_pair_stand_beside_each_other_and_are_stored(tab, site):
    for over in ("heads", "mlp_out"):
        tab.goto(site + asked(over=over).address())
        expect(tab.locator(f"{panels(SWEPT)} .js-plotly-plot .hm").first).to_be_visible(timeout=WAIT)
    small = tab.locator(".patching-small")
    expect(small.nth(1)).to_be_visible()
    expect(tab.locator(".patching-small.shown")).to_contain_text("MLP outputs")
    tab.locator(".patching-small", has_text="heads").first.click()
    expect(tab).to_have_url(re.compile("sweep=method"))
    expect(tab.locator(".patching-small.shown")).to_contain_text("heads")
    circuits.save_patching(made("attn_out"), "kept")  # as Python stores one
    tab.goto(site + "/patching")
    disk = tab.locator(".ow-panel", has=tab.locator("h2", has_text="Stored sweeps"))
    expect(disk.locator("tr.click", has_text="over mlp_out").first).to_be_visible()
    disk.locator("tr.click", has_text="kept").click()
    expect(tab).to_have_url(re.compile("stored=kept"))
    expect(tab.locator(panels(SWEPT))).to_contain_text(made("attn_out").title(), timeout=WAIT)
    expect(box(tab, "clean")).to_have_value(CLEAN)


def test_bad_addresses_say_so(tab, site):
    for query, said in (
        ("over=nothing", "one of"),
        ("m=/etc/passwd", "none of the models"),
        ("p=000000000000&c=000000000000", "No prompt with this address"),
        ("stored=none", "No result named"),
        ("right=a", "Name both"),
    ):
        tab.goto(f"{site}/patching?{query}")
        expect(tab.get_by_role("alert").filter(has_text=said)).to_be_visible()


def test_hostile_prompts_stay_text(tab, site):
    text = "<b>x</b> Mary"
    pair = {"clean": text, "corrupted": "<b>y</b> Mary"}
    tab.goto(site + Asked("toy", pair, {"over": "resid_pre"}).address())
    expect(tab.locator(f"{panels(SWEPT)} .js-plotly-plot .hm").first).to_be_visible(timeout=WAIT)
    assert tab.locator("main b").count() == 0


def test_snippets_run_as_printed(site, capsys):
    for one in (asked(), asked(over="heads", direction="noise"), asked("kl", over="resid_pre")):
        call, names = one.sweep() if one.swept else one.runs(), {}
        exec(call.python(), names)
        if one.swept:
            assert names["record"].over == one.swept["over"]
        assert run(shlex.split(call.shell())[1:]) == 0
        assert "clean" in capsys.readouterr().out


def test_addresses_of_before_ask_the_same(site):
    one = asked(over="heads", direction="noise", control=5)
    ids = [prompts.store(text, "toy").id for text in (CLEAN, CORRUPTED)]
    query = {"m": "toy", "p": ids[0], "c": ids[1], "right": " the", "wrong": " and"}
    assert asked_in({**query, "over": "heads", "dir": "noise", "control": "1"}) == one
    now = dict(part.split("=") for part in one.address().partition("?")[2].replace("%20", " ").split("&"))
    assert asked_in(now) == one and SWEEP not in now


@pytest.mark.parametrize(
    "wrong", [{"right": " the"}, {"wrong": " and"}, {"metric": "accuracy"}, {"over": "heads", "dir": "x"}]
)
def test_answers_are_checked_before_anything_runs(site, wrong):
    with pytest.raises(BadInput):
        asked_in({"m": "toy", **wrong})


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
