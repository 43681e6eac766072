"""The training pages in a real browser: a training started from the form, followed, resumed and judged; curves of several runs;
what is damaged, cut off or not there; hostile names."""

import json
import os
import re
import time
from pathlib import Path

import pytest
from browsing import chromium, expect, kept, loaded, pytestmark, tab
from browsing import site as empty_site

from app.cli import run
from app.jobs import table as jobs
from app.pages.training import work as trainings
from probe.artifacts.folder import place
from probe.artifacts.json import write_json
from probe.artifacts.manifest import Manifest, writing
from probe.artifacts.names import partial
from probe.training.training_request import Asked

expect.set_options(timeout=25_000)  # the machine may be shared

HOSTILE = "<img src=x onerror='window.pwned=1'>, and more"


def line(step: int, loss: float) -> str:
    found = {
        "step": step,
        "tokens": 100 * step,
        "loss": loss,
        "fvu": loss,
        "l0": 8.0,
        "dead_share": 0.0,
        "seconds": step / 10,
    }
    return json.dumps(found) + "\n"


def store_run(name: str, lines: int = 30, **config) -> Path:
    """A finished run made by hand: a manifest and a log."""
    facts = {"dictionary_kind": "sae", "d_dict": 96, "sparsifier": {"name": "topk", "k": 8}, "sites_in": ["mlp_out.1"]}
    manifest = Manifest("dictionary", name, sites=("blocks.1.mlp.hook_out",), config={"lr": 0.1, **config}, facts=facts)
    with writing(place("dictionary", name), manifest) as beside:
        (beside / "metrics.jsonl").write_text("".join(line(i, 1 / i) for i in range(1, lines + 1)))
    return place("dictionary", name)


def store_report(name: str, dictionary: str, kind: str, fvu: float) -> None:
    own = {
        "fvu": fvu,
        "fvu_affine": 0.6,
        "l0": 8.0,
        "dead_share": 0.0,
        "ce": 3.9,
        "ce_spliced": 4.0,
        "ce_zero": 5.0,
        "ce_mean": 4.8,
    }
    counts = dict.fromkeys(("n_tokens", "n_documents", "n_ce_tokens", "n_ce_documents"), 9)
    shares = {"ce_recovered_zero": 0.9, "ce_recovered_mean": 0.89, "site_in": "mlp_in.1", "site_out": "mlp_out.1"}
    facts = {"kind": kind, "name": dictionary, **own, **counts, **shares, "errors": {"fvu": 0.01}}
    with writing(place("result", name), Manifest("result", name, parents=(dictionary, "c"), facts=facts)) as beside:
        write_json(beside / "report.json", facts)


@pytest.fixture(scope="module")
def site(empty_site) -> str:
    """Runs made by hand: two finished ones, a long one, one of a hostile name, one cut off, a damaged result."""
    store_run("alpha", epochs=1)
    store_run("beta", epochs=2)
    store_run(HOSTILE)
    store_report("eval-alpha", "alpha", "sae", 0.4)
    store_report("eval-gone", "gone", "transcoder", 0.3)
    place("result", "torn").mkdir(parents=True)
    (place("result", "torn") / "manifest.json").write_text("{")
    cut = partial(place("dictionary", "cut"))
    cut.mkdir()
    (cut / "metrics.jsonl").write_text(line(1, 1.0) + "{damaged}\n" + line(2, 0.5) + line(3, 0.2)[:12])
    for path in (cut / "metrics.jsonl", cut):
        os.utime(path, (time.time() - 7200,) * 2)
    return empty_site


def field(tab, name: str):
    """A box of the form."""
    return tab.locator(".ow-popout-body").get_by_label(name, exact=True)


def curves(tab):
    return tab.locator(".ow-panel", has=tab.get_by_role("heading", name="Curves"))


def table(tab, name: str):
    """The rows of a table by its heading."""
    return tab.locator(".ow-panel", has=tab.get_by_role("heading", name=name)).locator("tbody tr")


def test_runs_are_laid_over_each_other_and_kept_in_the_address(tab, site):
    tab.goto(site + "/training?runs=alpha")
    rows = tab.locator("#training-runs tbody tr")
    expect(rows).to_have_count(4)
    expect(curves(tab).locator(".legendtext")).to_have_text(["alpha"])
    tab.locator("#training-runs tr.click", has_text="beta").click()
    expect(curves(tab).locator(".legendtext")).to_have_text(["alpha", "beta"])
    expect(table(tab, "Settings that differ")).to_have_text([re.compile("epochs.*1.*2")])
    curves(tab).get_by_text("step", exact=True).click()
    expect(curves(tab).locator(".xtitle").first).to_have_text("step")
    expect(tab).to_have_url(re.compile(r"runs=alpha%2Cbeta.*show-axis=step"))
    tab.reload()
    expect(curves(tab).locator(".legendtext")).to_have_text(["alpha", "beta"])
    expect(curves(tab).locator(".xtitle").first).to_have_text("step")
    row = tab.locator("#training-runs tr.click", has_text="beta")
    row.focus()
    row.press("Enter")
    expect(curves(tab).locator(".legendtext")).to_have_text(["alpha"])
    tab.locator("#training-runs tr.click", has_text="beta").click()  # the same row again counts
    expect(curves(tab).locator(".legendtext")).to_have_text(["alpha", "beta"])


def test_a_hostile_name_stays_text(tab, site):
    tab.goto(site + "/training")
    tab.locator("#training-runs tr.click", has_text="<img").wait_for()
    if not tab.locator("#training-runs tr.selected", has_text="<img").count():
        tab.locator("#training-runs tr.click", has_text="<img").click()
    last = table(tab, "Last numbers of the runs shown").filter(has_text="<img")
    expect(last).to_be_visible()
    tab.reload()
    last.click()
    expect(tab.locator("h1")).to_have_text(HOSTILE)
    assert tab.evaluate("window.pwned") is None and tab.locator("main img[src='x']").count() == 0


def test_judgements_are_a_table_and_a_picture(tab, site):
    tab.goto(site + "/training")
    listed = tab.locator(".ow-panel", has=tab.get_by_role("heading", name="Judged dictionaries"))
    trade = tab.locator(".ow-panel", has=tab.get_by_role("heading", name="Sparsity against faithfulness"))
    expect(listed.locator("tbody tr")).to_have_count(2)
    expect(trade.locator(".legendtext")).to_have_count(2)
    expect(trade.locator(".annotation-text")).to_have_text("affine map 0.6")
    expect(tab.get_by_role("alert")).to_contain_text("torn")
    expect(listed.locator("th", has_text="FVU").first).to_have_attribute("title", re.compile("squared error"))
    trade.locator(".points path").first.click(force=True)  # each point opens its run
    expect(tab.locator("h1")).to_have_text("alpha")
    tab.go_back()
    trade.get_by_text("CE spliced", exact=True).click()
    expect(trade.locator(".annotation-text").first).to_contain_text("untouched model")
    listed.locator("tr.click").click()
    expect(tab.locator("h1")).to_have_text("alpha")
    expect(tab.get_by_role("heading", name="Beside what it is compared with")).to_be_visible()
    expect(tab.locator(".ow-panel", has_text="Measures").get_by_text("squared error over squared")).to_be_visible()
    table(tab, "Judged dictionaries").click()
    expect(tab).to_have_url(re.compile("/results/eval-alpha"))


def test_a_run_that_was_cut_off_says_how_it_goes_on(tab, site):
    tab.goto(site + "/training/cut")
    expect(tab.get_by_text("This training was cut off")).to_be_visible()
    expect(tab.get_by_text("--resume")).to_be_visible()
    expect(tab.get_by_text("1 damaged line left out")).to_be_visible()
    expect(table(tab, "The log")).to_have_count(2)
    tab.goto(site + "/training/none")
    expect(tab.get_by_text("No training run named")).to_be_visible()


def test_a_log_that_grows_is_followed(tab, site):
    growing = partial(place("dictionary", "growing"))
    growing.mkdir()
    (growing / "metrics.jsonl").write_text(line(1, 1.0))
    tab.goto(site + "/training/growing")
    expect(table(tab, "The log")).to_have_count(1)
    tab.evaluate("document.querySelector('#run-figure .js-plotly-plot').kept = true")
    with (growing / "metrics.jsonl").open("a") as file:
        file.write(line(2, 0.5) + line(3, 0.4))
    expect(table(tab, "The log")).to_have_count(3)
    expect(tab.get_by_text("growing, live after 300 tokens")).to_be_visible()
    assert tab.evaluate(
        "document.querySelector('#run-figure .js-plotly-plot').kept"
    )  # drawn anew, where it was looked at


def test_dark_curves(tab, site):
    tab.emulate_media(color_scheme="dark")
    loaded(tab, site + "/training?runs=alpha")
    expect(curves(tab).locator(".ytick text").first).to_have_css("fill", "rgb(180, 188, 200)")


def test_an_empty_home_offers_the_command(tab, site, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    tab.goto(site + "/training")
    expect(tab.get_by_text("No training yet")).to_be_visible()
    tab.get_by_text("Start a training").click()
    expect(tab.get_by_text("Nothing to train on yet")).to_be_visible()


def test_a_training_from_the_form_to_its_judgement(tab, site, tmp_path):
    """Plan, start, finish; then judge it, all from the pages, on the toy model."""
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": f"document {i} says {i * i} " * 20}) + "\n" for i in range(60)))
    sites = ["--sites", "mlp_in.1,mlp_out.1", "--context", "32", "--tokens", "20000", "--held-out", "0.4"]
    assert run(["harvest", "--model", "toy", "--name", "small", "--text", str(texts), *sites]) == 0
    tab.goto(site + "/training")
    tab.locator("summary", has_text="Start a training").click()
    field(tab, "K").fill("8")
    field(tab, "Epochs").fill("1")
    tab.get_by_text("all other settings").click()
    field(tab, "Name").fill("mine")
    field(tab, "Lr").fill("-1")
    expect(tab.locator("#train-announced")).to_contain_text("lr is -1; a number above 0 was wanted")
    field(tab, "Lr").fill("0.01")
    tab.get_by_role("button", name="What will it take?").click()
    expect(tab.locator("#train-announced")).to_contain_text("512 latents", timeout=60_000)
    expect(tab.locator("#train-announced")).to_contain_text("openwork train --cache small")
    expect(tab.locator("#train-announced")).to_contain_text("--lr 0.01")
    tab.locator("#train-start").click()
    expect(tab).to_have_url(re.compile("/training/mine"))
    expect(tab.locator(".ow-eyebrow")).to_have_text("Training run · finished", timeout=60_000)
    expect(table(tab, "The log").first).to_be_visible()
    judge = tab.locator(".ow-panel", has_text="Judge it")
    judge.get_by_label("Max tokens").fill("300")
    judge.get_by_role("button", name="Run").click()
    expect(tab.get_by_role("heading", name="How often latents fire")).to_be_visible(timeout=60_000)
    expect(tab).to_have_url(re.compile("judged=method"))
    tab.goto(site + "/training")
    table(tab, "Judged dictionaries").filter(has_text="mine").click()
    expect(tab.get_by_role("heading", name="How often latents fire").first).to_be_visible()


def test_an_interrupted_training_is_resumed_from_its_page(tab, site):
    """Cut off by its cancel button's function, continued from the page, finished."""
    if not place("cache", "small").is_dir():
        pytest.skip("needs the cache of the test before")
    asked = Asked("small", "slow", "sae", "topk", 4, 2, 400, 0)
    trainings.start(asked)
    job = jobs.job_table().latest("train:slow")
    metrics = partial(place("dictionary", "slow")) / "metrics.jsonl"
    end = time.monotonic() + 60
    while not (metrics.is_file() and metrics.stat().st_size > 300) and time.monotonic() < end:
        time.sleep(0.05)
    jobs.job_table().cancel(job.id)
    assert jobs.job_table().wait(job.id).state == "cancelled"
    steps = trainings.run_of("slow").final()["step"]
    tab.goto(site + "/training/slow")
    expect(tab.get_by_text("This training was cut off")).to_be_visible()
    tab.get_by_role("button", name="Resume").click()
    expect(tab.locator(".ow-eyebrow")).to_have_text(re.compile("live|finished"), timeout=30_000)
    again = jobs.job_table().latest("train:slow")
    end = time.monotonic() + 60
    while trainings.run_of("slow").final()["step"] <= steps and time.monotonic() < end:
        time.sleep(0.05)
    assert trainings.run_of("slow").final()["step"] > steps
    jobs.job_table().cancel(again.id)
    jobs.job_table().wait(again.id)
