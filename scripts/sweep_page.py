"""Write a sweep's table and figure into docs/transcoder-or-autoencoder.md: `python scripts/sweep_page.py RESULT_FOLDER`.

The numbers come from sweep.json, which is kept beside the page; of several folders (sweeps of one cache, judged on the
same text) the rows are put together. The words around the table are written by hand.
"""

import json
import math
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from probe.evaluation.figures import pareto_figure
from probe.show.labels import CONFIG

DOCS = Path(__file__).parents[1] / "docs"
PAGE, BEGIN, END = DOCS / "transcoder-or-autoencoder.md", "<!-- table -->\n", "<!-- end of table -->"
COLUMNS = ("l0", "fvu", "ce_spliced", "kl_spliced")


def table(rows: list[dict], seeds: list[int]) -> str:
    """A Markdown table: the mean over seeds and its standard error."""
    texts = [key.removeprefix("ce_spliced") for key in rows[0] if key.startswith("ce_spliced") and "error" not in key]
    names = [*COLUMNS, *(f"{c}{t}" for t in texts if t for c in COLUMNS[2:])]
    lines = [f"| kind | rule | {' | '.join(names)} |", f"| --- | --- |{' ---: |' * len(names)}"]
    for row in sorted(rows, key=lambda r: (r["l0"], r["kind"])):
        cells = [_cell(row, name) for name in names]
        lines.append(f"| {row['kind'].replace('_', ' ')} | {row['rule']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Seeds {', '.join(map(str, seeds))}; ± is the standard error between them.", ""])


def _cell(row: dict, name: str) -> str:
    error = row.get(f"{name} error")
    digits = 1 if name == "l0" else 4
    shown = f"{row[name]:.{digits}f}"
    return shown if not error or not math.isfinite(error) else f"{shown} ± {error:.{digits}f}"


def draw(rows: list[dict]) -> None:
    """The figure in both schemes."""
    with sync_playwright() as playwright:
        chromium = next(path for name in ("chromium", "chromium-browser") if (path := shutil.which(name)))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme, ground, ink in (("light", "#ffffff", "#222222"), ("dark", "#1a1b1e", "#dddddd")):
            figure = pareto_figure(rows).update_layout(font={"color": ink}, width=1180)
            body = figure.to_html(include_plotlyjs=True, full_html=False, config=CONFIG)
            page = browser.new_page(viewport={"width": 1200, "height": 380})
            page.set_content(f"<body style='margin:0;background:{ground}'>{body}</body>")
            page.wait_for_selector(".main-svg")
            page.screenshot(path=DOCS / f"pareto-{scheme}.png")
        browser.close()


def main() -> None:
    each = [json.loads((Path(folder) / "sweep.json").read_text(encoding="utf8")) for folder in sys.argv[1:]]
    found = each[0] | {key: [row for one in each for row in one[key]] for key in ("rows", "by_seed")}
    rows = [{k: math.nan if v is None else v for k, v in row.items()} for row in found["by_seed"]]
    seeds = sorted({row["seed"] for row in found["rows"]})
    text = PAGE.read_text(encoding="utf8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(before + BEGIN + table(rows, seeds) + END + after, encoding="utf8")
    kept = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    (DOCS / "transcoder-or-autoencoder.json").write_text(kept, encoding="utf8")
    draw(rows)


if __name__ == "__main__":
    main()
