"""Pictures of every page in light and dark, for `docs/` and for looking at them.

    python scripts/screenshots.py [--out docs] [--model toy] [--prompt TEXT] [--only home,prompt] [--full]

Serves the dashboard of the present OPENWORK_HOME on a free port, opens the prompt, traces it, and photographs the pages with the
system's Chromium. Needs the package `playwright` and a `chromium` on the path.
"""

import argparse
import shutil
import sys
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from app import jobs, prompts
from app.main import make_server
from app.tasks import start_reading, start_trace

SIZE = {"width": 1440, "height": 900}


def serve() -> str:
    """A dashboard in a thread; its address."""
    server = make_server(port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def prepare(model: str, text: str) -> dict[str, str]:
    """Read and trace the prompt; paths of the pages by name."""
    prompt = prompts.store(text, model)
    start_reading(model, prompt)
    circuit = start_trace(model, text)
    for job in jobs.table().active():
        jobs.table().wait(job.id, 600)
    return {
        "home": "/",
        "prompts": "/p",
        "prompt": f"/p/{prompt.id}?m={model}",
        "circuits": "/circuits",
        "circuit": circuit,
        "jobs": "/jobs",
        "missing": "/nothing-here",
    }


def photograph(page: Page, address: str, scheme: str, file: Path, full: bool) -> None:
    """One page in one scheme, when it has come to rest."""
    page.add_init_script(f"try {{ localStorage.setItem('mantine-color-scheme-value', '{scheme}') }} catch (e) {{}}")
    page.goto(address)
    page.locator("h1").first.wait_for()
    page.wait_for_timeout(2500)
    page.screenshot(path=file, full_page=full)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--prompt", default="The capital of France is")
    parser.add_argument("--only", default="")
    parser.add_argument("--full", action="store_true", help="whole pages, not the first 900 pixels")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("No chromium on the path; install Debian's package `chromium`.", file=sys.stderr)
        return 1
    asked.out.mkdir(parents=True, exist_ok=True)
    pages, base = prepare(asked.model, asked.prompt), serve()
    names = asked.only.split(",") if asked.only else [n for n in pages if n != "missing"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            for name in names:
                page = browser.new_page(viewport=SIZE)
                page.on(
                    "console",
                    lambda m: (
                        print(f"console {m.type}: {m.text}", file=sys.stderr)
                        if m.type in ("error", "warning")
                        else None
                    ),
                )
                photograph(page, base + pages[name], scheme, asked.out / f"{name}-{scheme}.png", asked.full)
                print(asked.out / f"{name}-{scheme}.png")
                page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
