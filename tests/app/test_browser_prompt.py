"""The prompt hub's links, norms and tracing form, and two prompts side by side, in a real browser with the toy model."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from browsing import chromium, expect, kept, pytestmark, tab
from browsing import site as empty_site
from records import HOSTILE, heads_of, lens_of, units_of

import probe
from app.cli import run
from app.jobs import readings
from app.library import models, prompts, recent_records
from probe.artifacts.folder import place
from probe.comparison.prompts import ComparedPrompts, PairCandidate, compare_prompts
from probe.methods.call import call_of
from probe.show.made import remember
from probe.text.alignment import align

expect.set_options(timeout=25_000)  # the machine may be shared
A, B = "The capital of France is", "The large capital of Spain is"


@pytest.fixture(scope="module")
def site(empty_site, toy) -> str:
    """toy is asked for so that the libraries are imported once, before the worker and the tests need them at the same time."""
    return empty_site


def read_prompt(tokens: list[str], text: str) -> prompts.Prompt:
    """A stored prompt with readings made by hand."""
    recent_records.remember("lens", "toy", text, lens_of(text, tokens))
    recent_records.remember("heads", "toy", text, heads_of(text, tokens))
    recent_records.remember("units", "toy", text, units_of(text, tokens))
    return prompts.store(text, "toy")


def compared(a: str, b: str) -> tuple[prompts.Prompt, prompts.Prompt, ComparedPrompts]:
    """Two stored prompts, and what differs between them."""
    return prompts.store(a, "toy"), prompts.store(b, "toy"), compare_prompts(models.model_named("toy"), a, b)


def test_links_follow_the_selection_and_units_open_their_page(tab, site):
    prompt = read_prompt(["zero", " one", " two"], "links")
    tab.goto(f"{site}/p/{prompt.id}?m=toy")
    tab.locator("#strip .ow-tok").nth(1).click()
    lens = tab.locator("#prompt-links a", has_text="Lens")
    expect(lens).to_have_attribute("href", re.compile(rf"/lens\?m=toy&p={prompt.id}&t=1"))
    patching = tab.locator("#prompt-links a", has_text="Patching")
    expect(patching).to_have_attribute("href", re.compile(rf"/patching\?m=toy&p={prompt.id}"))
    expect(tab.locator("#growth .legendtext", has_text="one (1)")).to_have_count(1)
    expect(tab.locator("#norms .xtick text")).to_have_count(3)
    tab.locator("#units tr.click").first.click()
    expect(tab).to_have_url(re.compile(r"/units/neuron/1/8\?.*m=toy"))


def test_the_form_announces_what_a_trace_takes_and_starts_it(tab, site):
    models.model_named("toy")
    prompt = prompts.store(A, "toy")
    readings.read_prompt("toy", A)
    tab.goto(f"{site}/p/{prompt.id}?m=toy")
    tab.locator("summary", has_text="Trace this prompt").click()
    form = tab.locator(".ow-popout-body", has_text="Trace its circuit")
    plan, run = form.get_by_role("status"), form.get_by_role("button", name="Run", exact=True)
    expect(plan).to_contain_text("of memory")
    form.get_by_label("Max nodes").fill("60")
    expect(plan).to_contain_text("up to 60 units")
    form.get_by_label("Heads").fill("3-x")
    expect(plan).to_contain_text("heads is '3-x'")
    expect(run).to_be_disabled()
    form.get_by_label("Heads").fill("")
    form.locator(".ow-tokenpick").nth(1).locator("tr.click").nth(1).click()  # rather than the second: the likeliest
    expect(form.get_by_label("Target, minus")).to_have_value(re.compile(r"id:\d+"))
    expect(form.get_by_label("Target", exact=True)).to_have_value(re.compile(r"id:\d+"))
    run.click()
    expect(tab).to_have_url(re.compile("/circuits/"))
    expect(tab.locator("#links .main-svg").first).to_be_visible()


def test_two_prompts_are_aligned_and_follow_one_column(tab, site):
    """By the address of before, which goes to the page of the method and keeps what was selected."""
    a, b, found = compared(A, B)
    columns = found.alignment.columns
    tab.goto(f"{site}/p/{a.id}/beside/{b.id}?m=toy")
    boxes, tables = tab.locator(".ow-column"), tab.locator(".ow-chosen .ow-panel")
    expect(boxes).to_have_count(len(columns))
    expect(tab).to_have_url(re.compile(rf"/methods/compare-prompts\?m=toy&a_={a.id}&b_={b.id}"))
    expect(tab.locator(".ow-gap")).to_have_count(sum(c.a is None or c.b is None for c in columns))
    last = found.candidates[-1][0]
    expect(tables.nth(0).locator("tbody tr")).to_have_count(min(20, len(found.candidates[-1])))
    expect(tables.nth(0).locator("tbody td.r").first).to_contain_text(f"{last.a:.3f}"[:4])
    expect(tables.nth(1).locator("tbody tr")).to_have_count(len(found.layers))
    tab.locator(".ow-columns").focus()
    tab.keyboard.press("Home")
    expect(boxes.first).to_have_class(re.compile("selected"))
    expect(tab).to_have_url(re.compile("c=0"))
    expect(tab.get_by_text("both read the same up to this token")).to_be_visible()
    tab.reload()
    expect(boxes.first).to_have_class(re.compile("selected"))
    expect(tab.get_by_text("both read the same up to this token")).to_be_visible()
    tab.get_by_role("link", name="Swap").click()
    expect(tab).to_have_url(re.compile(f"a_={b.id}&b_={a.id}"))
    expect(boxes.first).to_be_visible()


def test_hostile_and_long_columns(tab, site):
    n = 700
    tokens = [*HOSTILE, *(f" {i}" for i in range(n))]
    hand_made("hostile columns", "other columns", tokens).save(place("result", "by-hand"))
    tab.goto(f"{site}/results/by-hand?c=0")
    expect(tab.locator(".ow-column")).to_have_count(256)
    expect(tab.locator(".ow-column").first.locator(".ow-tok").first).to_have_text(HOSTILE[0])
    assert tab.evaluate("window.pwned") is None
    tab.get_by_role("button", name="later ›").click()
    expect(tab.locator(".ow-columns-pager")).to_contain_text(f"256–511 of {n + len(HOSTILE)} columns")


def hand_made(a: str, b: str, tokens: list[str]) -> ComparedPrompts:
    """A comparison of equal tokens without a model, as one of before was stored: without losses and first tokens."""
    lens = lens_of(a, tokens)
    alignment = align(lens.token_ids, lens.token_ids)
    n = len(tokens)
    candidates = [[PairCandidate(1, "<b>x", 0.5, 0.25)] for _ in range(n)]
    return remember(
        ComparedPrompts(
            prompts=(a, b),
            tokens=(tokens, tokens),
            alignment=alignment,
            layers=lens.layers,
            kl=np.ones((len(lens.layers), n)),
            candidates=candidates,
            units=[[] for _ in range(n)],
            heads=np.zeros((2, 3, n)),
        ),
        {"method": "compare-prompts", "model": "toy", "arguments": {"a": a, "b": b}},
    )


def test_snippets_of_the_hub_and_of_two_prompts_run_as_printed(site, capsys):
    from app.pages.prompt.panels import panels

    call = call_of(compared(A, B)[2])
    for python, shell in {*snippets_in(panels("toy", A)), (call.python(), call.shell())}:
        names: dict = {}
        exec(python, names)
        assert names["record"] is not None
        if shell and not shell.startswith("openwork heads"):  # checked with its own page
            assert run(shlex.split(shell)[1:]) == 0, shell
    capsys.readouterr()


def snippets_in(laid) -> set[tuple[str, str]]:
    """Python and shell of every panel, each pair once."""
    found = set()
    for part in laid:
        for code in [c for c in part._traverse() if getattr(c, "className", "") == "ow-code"]:
            texts = [c.children for c in code._traverse() if type(c).__name__ == "Pre"]
            found.add((texts[0], texts[1] if len(texts) > 1 else ""))
    return found


def test_units_command_and_its_limits(site, capsys, tmp_path: Path):
    assert run(["units", "--prompt", A, "--model", "toy", "--position", "99"]) == 2
    assert "no position 99" in capsys.readouterr().err
    assert run(["compare", "--prompt", A, "--with", "", "--model", "toy"]) == 2
