"""The dashboard's budgets in a real browser: how long until it answers, until pages stand, until a click shows; how much is sent.

    python benchmarks/bench_dashboard.py [--home DIR] [--repeat 5] [--json]

Artifacts of the default model: a graph of 2,000 units with 300 of them pinned, a feature table of neurons with 20 examples of 96
tokens, and (made up of random numbers in the real format, for its size only) a table of 100,000 units. They are made once, in
`--home` or a folder beside the model cache. The server is a process of its own, the browser the system's Chromium. Every time
is the median of `--repeat`; "warm" is a page that this browser has opened before.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Page, Response, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

PROMPT = "When Mary and John went to the store, John gave a drink to"
GRAPH, NEURONS, MANY = "bench-graph", "bench-neurons", "bench-100k"
PINNED, LAYER, WAIT = 300, 4, 120_000

SETTLED = """() => {
  const seen = (e) => e.getClientRects().length > 0;
  const busy = [...document.querySelectorAll('.ow-skeleton, [aria-busy=true], .ow-slot .ow-partial')].filter(seen);
  return document.querySelector('h1') && busy.length === 0;
}"""
CLICK = """(selector) => new Promise((done) => {
  const start = performance.now(), token = document.querySelectorAll(selector)[2];
  const look = () => document.querySelector('#strip .selected') === document.querySelectorAll(selector)[2]
    ? requestAnimationFrame(() => done(performance.now() - start)) : requestAnimationFrame(look);
  token.dispatchEvent(new MouseEvent('mousedown', {bubbles: true}));
  token.click(); look();
})"""
AT_REST = """() => new Promise((done) => {
  const idle = (left) => requestIdleCallback(() => left ? setTimeout(idle, 150, left - 1) : done());
  idle(4);
})"""
SCROLL = """(row) => new Promise((done) => {
  const start = performance.now(), view = document.querySelector('#ub-grid .ag-body-viewport');
  const there = () => {
    const cells = [...document.querySelectorAll('#ub-grid .ag-center-cols-container .ag-row')];
    const full = cells.filter((c) => c.textContent.trim() && +c.getAttribute('row-index') >= row - 2);
    full.length ? done(performance.now() - start) : requestAnimationFrame(there);
  };
  const height = document.querySelector('#ub-grid .ag-row').getBoundingClientRect().height;
  view.scrollTop = row * height; there();
})"""


@dataclass(frozen=True)
class Measured:
    """One line of the table; budget None: told, not asked."""

    what: str
    value: float
    unit: str
    budget: float | None

    @property
    def passed(self) -> bool | None:
        return None if self.budget is None else self.value <= self.budget

    def row(self) -> str:
        said = {None: "", True: "pass", False: "FAIL"}[self.passed]
        budget = "" if self.budget is None else f"{self.budget:g} {self.unit}"
        return f"{self.what:<58} {self.value:>8.3g} {self.unit:<3} {budget:>10}  {said}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="where the artifacts are, or are made")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="also one line of JSON")
    asked, _ = parser.parse_known_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("dashboard: no chromium on the path, nothing measured", file=sys.stderr)
        return 0
    prepare(asked.home)
    found = measure(chromium, asked.repeat)
    print("\n".join(m.row() for m in found))
    if asked.json:
        lines = [
            {"what": m.what, "value": m.value, "unit": m.unit, "budget": m.budget, "pass": m.passed} for m in found
        ]
        print(json.dumps({"bench": "dashboard", "measured": lines}))
    return 0


# -- artifacts -----------------------------------------------------------------------------------------------------------


def prepare(folder: Path | None) -> None:
    """The home with everything in it; in a process of its own, so that this one stays small."""
    from probe.model.models_folder import model_cache

    os.environ["OPENWORK_HOME"] = str((folder or model_cache().parent / "bench-dashboard").resolve())
    made = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import bench_dashboard; bench_dashboard.make()"
    subprocess.run([sys.executable, "-c", made], check=True)


def make() -> None:
    """What is not there yet."""
    from probe.artifacts.folder import place

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    if not place("features", MANY).exists():
        from big_table import big_table

        big_table(MANY, 100_000)
    if not (place("graph", GRAPH).exists() and place("features", NEURONS).exists()):
        from probe.model.load import load_model

        model = load_model(os.environ.get("OPENWORK_MODEL", "smollm2-135m"))
        make_graph(model)
        make_neurons(model)


def make_graph(model: Any) -> None:
    """A graph of the prompt, its 300 most influential units pinned."""
    import numpy as np

    import circuits
    from circuits.graph.graph import UNITS
    from probe.artifacts.folder import place
    from probe.model.load import stamp

    if place("graph", GRAPH).exists():
        return
    graph = circuits.trace(model, PROMPT, config=circuits.TraceConfig(max_nodes=2000))
    order = np.argsort(-graph.influence * graph.nodes.where(*UNITS), kind="stable")[:PINNED]
    circuits.save_graph(graph, place("graph", GRAPH), model=stamp(model))
    circuits.choose_nodes(place("graph", GRAPH), pinned=[int(i) for i in order])


def make_neurons(model: Any) -> None:
    """A feature table of one layer's neurons over some of the bundled corpus."""
    import probe
    from probe.artifacts.folder import place
    from probe.features.measuring.config import FeatureConfig

    if place("features", NEURONS).exists():
        return
    layer = min(LAYER, model.cfg.n_layers - 1)
    tokens = probe.tokenize(model, probe.corpus(seed=0), context=128, max_tokens=60_000)
    sites = [f"mlp_in.{layer}", f"mlp_out.{layer}"]
    cache = probe.harvest(model, tokens, sites, place("cache", "bench-cache"), resume=True)
    config = FeatureConfig(top=20, window=96, before=60)
    probe.build_features(model, layer, cache, place("features", NEURONS), config, resume=True)


# -- the server ----------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def start() -> tuple[subprocess.Popen, str, float]:
    """A cold `openwork serve`: the process, its address, and the seconds until it answered 200."""
    port = free_port()
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--no-browser"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
    address = f"http://127.0.0.1:{port}"
    while process.poll() is None and time.perf_counter() - begun < 120:
        try:
            with urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return process, address, time.perf_counter() - begun
        except (URLError, OSError):
            time.sleep(0.01)
    raise RuntimeError("`openwork serve` did not answer")


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    process.wait(20)


# -- the measuring -------------------------------------------------------------------------------------------------------


class Traffic:
    """What callbacks send and how long the server took for them; polling for jobs is left out of the times."""

    def __init__(self) -> None:
        self.bytes: list[tuple[int, str]] = []
        self.seconds: list[float] = []
        self.timed = False

    def see(self, response: Response) -> None:
        if "_dash-update-component" not in response.url:
            return
        try:
            body, timing = response.body(), response.request.timing
            asked = json.loads(response.request.post_data or "{}").get("output", "")
        except Exception:  # the page was left before the answer was read
            return
        self.bytes.append((len(body), asked[:60]))
        if self.timed and "jobs.data" not in asked and timing["responseEnd"] > 0:
            self.seconds.append((timing["responseEnd"] - timing["requestStart"]) / 1000)


def median(repeat: int, work: Callable[[], float]) -> float:
    """Infinite where it never came to an end, so that the others are measured still."""
    try:
        return statistics.median(work() for _ in range(repeat))
    except PlaywrightTimeout:
        return float("inf")


def opened(page: Page, address: str, ready: str, count: int = 1) -> float:
    """Seconds from asking for an address until `count` of what it shows are there."""
    told(f"{address} until {count} × {ready}")
    begun = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function("([css, n]) => document.querySelectorAll(css).length >= n", arg=[ready, count], timeout=WAIT)
    return time.perf_counter() - begun


def told(words: str) -> None:
    """What is being measured, for a person who waits."""
    print(f"dashboard: {words}", file=sys.stderr, flush=True)


def measure(chromium: str, repeat: int) -> list[Measured]:
    found = []
    times = []
    for _ in range(max(repeat - 2, 1)):
        process, _, took = start()
        times.append(took)
        stop(process)
    process, site, took = start()
    found.append(Measured("openwork serve answers, cold process", statistics.median([*times, took]), "s", 3))
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            found += pages(browser, site, repeat)
            browser.close()
    finally:
        stop(process)
    return found


def first_page(browser: Any, site: str, repeat: int) -> list[Measured]:
    """Cold: a browser that has nothing of ours. Warm: the same page again."""

    def home(page: Page) -> float:
        begun = time.perf_counter()
        page.goto(site, wait_until="commit")
        page.wait_for_function(SETTLED, timeout=WAIT)
        return time.perf_counter() - begun

    def cold() -> float:
        context = browser.new_context()
        took = home(context.new_page())
        context.close()
        return took

    context = browser.new_context()
    page = context.new_page()
    home(page)
    warm = median(repeat, lambda: home(page))
    sizes = page.evaluate(
        "() => performance.getEntriesByType('resource').filter((e) => e.initiatorType === 'script').map((e) => e.decodedBodySize)"
    )
    context.close()
    return [
        Measured("first page, cold browser", median(repeat, cold), "s", 3),
        Measured("first page, warm", warm, "s", 1.5),
        Measured("scripts of a page", sum(sizes) / 1e6, "MB", None),
    ]


def pages(browser: Any, site: str, repeat: int) -> list[Measured]:
    from app import links
    from app.library import prompts

    found = first_page(browser, site, repeat)
    model = os.environ.get("OPENWORK_MODEL", "smollm2-135m")
    prompt = prompts.store(PROMPT, model)
    page, traffic = browser.new_page(viewport={"width": 1440, "height": 900}), Traffic()
    page.on("response", traffic.see)

    unit = site + links.unit_page(NEURONS, 7)
    median(1, lambda: examples(page, unit))
    found.append(Measured("unit page, 20 × 96 tokens, warm", median(repeat, lambda: examples(page, unit)), "s", 1.5))

    circuit = site + links.circuit_page(GRAPH)
    drawn = "#subgraph g[data-id]"
    median(1, lambda: opened(page, circuit, drawn, PINNED))
    found.append(
        Measured(
            f"circuit with a subgraph of {PINNED} nodes",
            median(repeat, lambda: opened(page, circuit, drawn, PINNED)),
            "s",
            2,
        )
    )

    heads, canvas = site + links.heads_page(model, prompt.id), "#heads-thumbs canvas"
    median(1, lambda: opened(page, heads, canvas))  # the forward pass, which is not counted
    found.append(
        Measured(
            "heads, all thumbnails, forward pass done", median(repeat, lambda: opened(page, heads, canvas)), "s", 2
        )
    )

    found += clicks(page, site + links.prompt_page(prompt.id, model), traffic, repeat)
    found += browsing(page, site + links.table_page(MANY), repeat)
    size, asked = max(traffic.bytes)
    found.append(Measured(f"largest answer to a callback ({asked})", size / 1e6, "MB", 1))
    return found


def examples(page: Page, address: str) -> float:
    """Seconds until a unit's strongest 20 examples of 96 tokens stand in full."""
    begun = time.perf_counter()
    page.goto(f"{address}?view=full", wait_until="commit")
    count = "() => document.querySelector('.ow-example-group')?.querySelectorAll('.ow-tok').length >= 20 * 96"
    page.wait_for_function(count, timeout=WAIT)
    return time.perf_counter() - begun


def clicks(page: Page, address: str, traffic: Traffic, repeat: int) -> list[Measured]:
    """A click on a token: until it is marked, at rest and while the click before may still be drawn; and until the server has
    answered with that token's numbers."""
    opened(page, address, "#strip .ow-tok", 5)
    page.wait_for_function(SETTLED, timeout=WAIT)
    expect(page.locator("#units tr").nth(2)).to_be_visible(timeout=WAIT)
    at_rest, hurried, traffic.timed = [], [], True
    for i in range(repeat):
        for shown, wait in ((at_rest, AT_REST), (hurried, "() => new Promise((done) => setTimeout(done, 400))")):
            page.locator("#strip .ow-tok").nth(4 + i % 4).click()
            page.evaluate(wait)
            shown.append(page.evaluate(CLICK, "#strip .ow-tok"))
            page.evaluate(AT_REST)
    traffic.timed = False
    slow = max(traffic.seconds) if traffic.seconds else float("nan")
    middle = statistics.median(traffic.seconds) if traffic.seconds else float("nan")
    return [
        Measured("click on a token is marked", statistics.median(at_rest), "ms", 100),
        Measured("the same, 400 ms after another click", statistics.median(hurried), "ms", None),
        Measured("stored results, round trip", 1000 * middle, "ms", 300),
        Measured("stored results, slowest round trip", 1000 * slow, "ms", None),
    ]


def browsing(page: Page, address: str, repeat: int) -> list[Measured]:
    """Jumps through 100,000 units, and a filter over all of them (the server's answer; the field waits 350 ms for more text)."""
    opened(page, address, "#ub-grid .ag-center-cols-container .ag-row")
    count, text = page.locator("#ub-count"), page.locator("#ub-text")
    expect(count).to_have_text("100,000 of 100,000", timeout=WAIT)
    jumps = [page.evaluate(SCROLL, 9_000 * (i + 1)) for i in range(repeat)]
    answers: list[float] = []

    def timed(response: Response) -> None:
        if "_dash-update-component" in response.url and "ub-" in (response.request.post_data or "")[:200]:
            timing = response.request.timing
            answers.append(timing["responseEnd"] - timing["requestStart"])

    page.on("requestfinished", lambda request: timed(request.response()))
    for i in range(repeat):
        text.fill(f"word{31 + i}")
        text.press("Enter")
        expect(count).not_to_have_text("100,000 of 100,000", timeout=WAIT)
        text.fill("")
        text.press("Enter")
        expect(count).to_have_text("100,000 of 100,000", timeout=WAIT)
    return [
        Measured("100,000 units: a page of rows after a jump", statistics.median(jumps), "ms", 300),
        Measured(
            "100,000 units: answer to a filter", statistics.median(answers) if answers else float("nan"), "ms", 300
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
