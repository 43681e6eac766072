"""Pictures of every page in light and dark, for `docs/screens/` and for looking at them.

    python scripts/screenshots.py [--home DIR] [--out docs/screens] [--only heads,unit] [--schemes dark] [--full]

Serves the dashboard of a home that holds a finished `openwork demo`, a feature table and a sweep (what is missing is left out,
with a line that says so), and photographs the pages with the system's Chromium. The list of pages is `PAGES` below; a picture is
taken when what the page names is there and nothing on it is loading any more. Needs `playwright` and a `chromium` on the path.
"""

import argparse
import os
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

PROMPT = "When Mary and John went to the store, John gave a drink to"
CORRUPTED = "When Mary and John went to the store, Mary gave a drink to"
SWAPPED = "When Mary and John went to the store, Tom gave a drink to"
WORK = 240_000  # milliseconds that model work behind a page may take

SETTLED = """() => {
  const seen = (e) => e.getClientRects().length > 0;
  const unfilled = '.ow-fills :is(.ow-rows-box, .ow-columns-box, .ow-stats, .ow-facts):empty';
  const busy = [...document.querySelectorAll(`.ow-skeleton, [aria-busy=true], .ow-slot .ow-partial, ${unfilled}`)].filter(seen);
  const plots = [...document.querySelectorAll('.dash-graph')].filter(seen);
  const empty = plots.filter((p) => !p.querySelector('.main-svg'));
  return busy.length === 0 && empty.length === 0 && document.fonts.status === 'loaded';
}"""


@dataclass(frozen=True)
class Shot:
    """A picture: its name, the address (made from what `prepare` found; None leaves the page out), what must be visible, and what
    is done first."""

    name: str
    address: Callable[[dict[str, Any]], str | None]
    ready: str
    first: Callable[[Page], None] = lambda page: None


def fixed(path: str) -> Callable[[dict[str, Any]], str]:
    return lambda found: path


def of(key: str) -> Callable[[dict[str, Any]], str | None]:
    return lambda found: found.get(key)


def at(selector: str) -> Callable[[Page], None]:
    """Scroll so that this panel begins below the header."""
    to = "(e) => window.scrollTo(0, e.getBoundingClientRect().top + window.scrollY - 150)"
    return lambda page: page.locator(selector).first.evaluate(to)


PAGES = (
    Shot("home", fixed("/"), "h1"),
    Shot("prompts", fixed("/p"), "h1"),
    Shot("prompt", of("prompt"), "#strip .ow-tok"),
    Shot("prompts-beside", of("prompts-beside"), ".ow-column .ow-tok, .ow-column span"),
    Shot("heads", of("heads"), "#heads-thumbs canvas"),
    Shot("lens", of("lens"), "h1"),
    Shot("units", fixed("/units"), "h1"),
    Shot("unit-browser", of("unit-browser"), ".ag-row"),
    Shot("unit", of("unit"), "h1"),
    Shot("neuron", of("neuron"), "h1"),
    Shot("circuits", fixed("/circuits"), "#circuits"),
    Shot("circuit", of("circuit"), "#links .main-svg"),
    Shot("circuits-beside", of("circuits-beside"), "h1"),
    Shot("patching", of("patching"), ".ow-block .main-svg", at(".ow-block .main-svg")),
    Shot("training", fixed("/training"), "h1"),
    Shot("run", of("run"), "h1"),
    Shot("jobs", fixed("/jobs"), "h1"),
    Shot("missing", fixed("/nothing-here"), "h1"),
)


def prepare(model: str) -> dict[str, Any]:
    """Addresses of pages on what the home holds, chosen so that there is something to see."""
    from app import links
    from app.jobs import readings
    from app.library import prompts
    from app.library.artifacts import library

    found: dict[str, Any] = {}
    main, other = prompts.store(PROMPT, model), prompts.store(SWAPPED, model)
    corrupted = prompts.store(CORRUPTED, model)
    heads = readings.reading("heads", model, PROMPT)
    best = heads.rows("induction", 1)[0]["head"][1:].replace("H", ".")
    found["prompt"] = links.prompt_page(main.id, model, token=len(heads.tokens) - 1, head=best)
    found["prompts-beside"] = links.beside_page(main.id, other.id, model)
    found["heads"] = links.heads_page(model, main.id, head=best)
    found["lens"] = links.lens_page(model, main.id, token=len(heads.tokens) - 1)
    chosen = {"right": " Mary", "wrong": " John", "over": "resid_pre", "dir": "denoise"}
    found["patching"] = links.patching_page(model, main.id, corrupted.id, **chosen)
    kept = library().kinds
    found |= units(kept["features"], model) | circuits(kept["graph"]) | trainings(kept["dictionary"])
    return found


def units(tables: list[Any], model: str) -> dict[str, Any]:
    """The largest table, and its unit that fires hardest without firing everywhere."""
    from app import links
    from probe.features import open_features

    strongest = {"neuron": links.neuron_page(model, 15, 120)}
    if not tables:
        return strongest
    folder = max((path for path, _ in tables), key=lambda p: open_features(p).n_units)
    table = open_features(folder)
    unit = (table.search(density=(1e-4, 1e-2), sort="max", descending=True, limit=1).units or [0])[0]
    return {**strongest, "unit-browser": links.table_page(folder.name), "unit": links.unit_page(folder.name, unit)}


def circuits(graphs: list[Any]) -> dict[str, Any]:
    """The demo's graph through its transcoder, else the newest; and two graphs of one prompt."""
    from app import links

    names = [path.name for path, _ in graphs]
    if not names:
        return {}
    chosen = "demo-transcoder" if "demo-transcoder" in names else names[0]
    prompt = {path.name: manifest.facts.get("prompt") for path, manifest in graphs}
    others = [n for n in names if n != chosen and prompt[n] == prompt[chosen]] or [n for n in names if n != chosen]
    beside = {"circuits-beside": links.circuits_beside(chosen, others[0])} if others else {}
    return {"circuit": links.circuit_page(chosen, node=strongest_unit(chosen)), **beside}


def strongest_unit(name: str) -> int | None:
    """The unit with most influence, so that its connections are in the picture."""
    from app.library import graphs as library_graphs
    from circuits.graph.graph import UNITS

    graph = library_graphs.stored_graph(name)
    units = graph.nodes.where(*UNITS)
    return int((graph.influence * units).argmax()) if units.any() else None


def trainings(dictionaries: list[Any]) -> dict[str, Any]:
    """A run with the longest log."""
    from app import links

    logs = [(path / "metrics.jsonl", path.name) for path, _ in dictionaries]
    logs = [(file.stat().st_size, name) for file, name in logs if file.is_file()]
    return {"run": links.run_page(max(logs)[1])} if logs else {}


def photograph(page: Page, shot: Shot, address: str, file: Path, full: bool) -> None:
    """One page, when it has come to rest."""
    page.goto(address)
    expect(page.locator(shot.ready).first).to_be_visible(timeout=WORK)
    page.wait_for_function(SETTLED, timeout=WORK)
    shot.first(page)
    page.wait_for_function(SETTLED, timeout=WORK)
    page.mouse.move(1, 1)
    page.wait_for_timeout(400)  # what fades in
    page.screenshot(path=file, full_page=full, animations="disabled")
    alerts = [words for words in page.get_by_role("alert").all_inner_texts() if words.strip()]
    if alerts and shot.name != "missing":
        raise RuntimeError(f"the page says: {alerts[0][:200]}")


def take(browser: Browser, shot: Shot, address: str, scheme: str, asked: argparse.Namespace) -> bool:
    """One picture in one scheme; False when the page complained or never came to rest."""
    size: Any = {"width": asked.width, "height": asked.height}
    page = browser.new_page(viewport=size, color_scheme="dark" if scheme == "dark" else "light")
    page.add_init_script(f"try {{ localStorage.setItem('mantine-color-scheme-value', '{scheme}') }} catch (e) {{}}")
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    file = asked.out / f"{shot.name}-{scheme}.png"
    try:
        photograph(page, shot, address, file, asked.full)
        print(f"{file}  {file.stat().st_size // 1000} kB")
    except Exception as problem:  # the next page may well be fine
        complaints.append(str(problem).splitlines()[0])
        page.screenshot(path=asked.out / f"{shot.name}-{scheme}.failed.png")
    finally:
        page.close()
    for words in complaints:
        print(f"{shot.name}, {scheme}: {words}", file=sys.stderr)
    return not complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/screens"))
    parser.add_argument("--home", type=Path, help="artifacts; by default $OPENWORK_HOME or runs/")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--only", default="", help=f"some of {', '.join(s.name for s in PAGES)}")
    parser.add_argument("--schemes", default="light,dark")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--full", action="store_true", help="whole pages, not what fits in the window")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("No chromium on the path; install Debian's package `chromium`.", file=sys.stderr)
        return 1
    if asked.home:
        os.environ["OPENWORK_HOME"] = str(asked.home)
    asked.out.mkdir(parents=True, exist_ok=True)
    return run(asked, chromium)


def run(asked: argparse.Namespace, chromium: str) -> int:
    """Serve, open, photograph."""
    from app.server.main import make_server

    found = prepare(asked.model)
    server = make_server(port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wanted = [s for s in PAGES if not asked.only or s.name in asked.only.split(",")]
    fine = True
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for shot in wanted:
            address = shot.address(found)
            if address is None:
                print(f"{shot.name}: nothing in this home to show on it", file=sys.stderr)
                continue
            for scheme in asked.schemes.split(","):
                fine &= take(browser, shot, f"http://127.0.0.1:{server.server_port}{address}", scheme, asked)
        browser.close()
    server.shutdown()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
