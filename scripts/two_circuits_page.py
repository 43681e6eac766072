"""Write the tables and figures of docs/two-circuits.md from docs/two-circuits.json: `python scripts/two_circuits_page.py`.

What stands between `<!-- NAME -->` and `<!-- end of NAME -->` in the page is made here; the words around it are written by hand.
"""

import json
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from playwright.sync_api import sync_playwright
from plotly.subplots import make_subplots
from two_circuits import FILE

from probe.show.labels import CONFIG

PAGE = FILE.with_suffix(".md")
TASKS = ("greater-than", "capital-of")
SCHEMES = (("light", "#ffffff", "#222222"), ("dark", "#1a1b1e", "#dddddd"))
LINES = (
    ("resid_post", "varied", "stream at the varied token", "#0072B2", "solid"),
    ("resid_post", "last", "stream at the last token", "#D55E00", "solid"),
    ("attn_out", "last", "attention at the last token", "#CC79A7", "dash"),
    ("mlp_out", "last", "MLPs at the last token", "#E69F00", "dash"),
    ("mlp_out", "varied", "MLPs at the varied token", "#009E73", "dot"),
)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table; numbers to the right."""
    names = list(rows[0])
    right = [
        not isinstance(rows[0][n], str) or rows[0][n].lstrip("-+0").startswith((".", *"0123456789")) for n in names
    ]
    lines = [f"| {' | '.join(names)} |", f"| {' | '.join('---:' if r else '---' for r in right)} |"]
    return "\n".join([*lines, *(f"| {' | '.join(str(row[n]) for n in names)} |" for row in rows), ""])


def tasks_table(found: dict[str, Any]) -> str:
    """How well the model does."""
    rows = [
        {
            "task": task,
            "prompts": f"{s['prompts']} {name}",
            "margin (logits)": f"{s['margin']:.2f}",
            "probability right": f"{s['probability']:.3f}",
            "right minus wrong": f"{s['probability gap']:.3f}",
            "likeliest token right": f"{s['likeliest is right']:.0%}",
            "wrong": f"{s['likeliest is wrong']:.0%}",
        }
        for task in TASKS
        for name, s in found["accuracy"][task].items()
    ]
    return markdown(rows)


def heads_table(found: dict[str, Any]) -> str:
    """Patching of single heads, and of six together beside random ones."""
    rows = []
    for task in TASKS:
        part = found["patching"][task]
        rows += [
            {"task": task, "heads": h["head"], "attention": f"{h['attention']:.2f}", "share of the way": _with_error(h)}
            for h in part["heads"][:6]
        ]
        together, random = " ".join(part["together"]), np.array(part["random"])
        rows.append({"task": task, "heads": together, "attention": "", "share of the way": _with_error(part["share"])})
        shown = f"{random.mean():.3f} ({random.min():.3f} to {random.max():.3f})"
        rows.append({"task": task, "heads": "6 random of these layers", "attention": "", "share of the way": shown})
    return markdown(rows)


def _with_error(one: dict[str, float]) -> str:
    return f"{one['mean']:.3f} ± {one['error']:.3f}"


def sets_table(part: dict[str, Any]) -> str:
    """Sets of units ablated in traced prompts: predictions, measurements, random sets."""
    rows = []
    for task in (t for t in TASKS if t in part):
        for name, one in ((n, o) for n, o in part[task]["sets"].items() if "traced" in o):
            t = one["traced"]
            rows.append(
                {
                    "task": task,
                    "set": f"{name} ({len(t['units'])})",
                    "direct, predicted": f"{t['direct, predicted']:+.2f}",
                    "direct, measured": f"{t['direct, measured']:+.2f}",
                    "full, predicted": f"{t['full, predicted']:+.2f}",
                    "full, measured": _interval(t["full, measured"]),
                    "random sets": _interval(t["random"]),
                }
            )
    return markdown(rows)


def _interval(one: dict[str, float]) -> str:
    return f"{one['mean']:+.2f} ({one['low']:+.2f} to {one['high']:+.2f})"


def tested_table(part: dict[str, Any], found: dict[str, Any]) -> str:
    """The same sets in prompts that were not traced."""
    rows = []
    for task in (t for t in TASKS if t in part):
        other = next(t for t in TASKS if t != task)
        rows.append(_tested(task, "nothing", _untouched(found, task), _untouched(found, other), []))
        for name, one in ((n, o) for n, o in part[task]["sets"].items() if "tested" in o):
            t = one["tested"]
            rows.append(_tested(task, name, t[f"on {task}"], t.get(f"on {other}"), t["random"]))
    return markdown(rows)


def _tested(
    task: str, name: str, own: dict[str, float], other: dict[str, float] | None, drawn: list[dict[str, float]]
) -> dict:
    margins, gaps = ([one[k] for one in drawn] for k in ("margin", "probability gap"))
    return {
        "task": task,
        "ablated": name,
        "margin": f"{own['margin']:.2f}",
        "random sets": f"{np.mean(margins):.2f} ({min(margins):.2f} to {max(margins):.2f})" if drawn else "",
        "right minus wrong": f"{own['probability gap']:.3f}",
        "random sets ": f"{np.mean(gaps):.3f} ({min(gaps):.3f} to {max(gaps):.3f})" if drawn else "",
        "margin of the other task": f"{other['margin']:.2f}" if other else "",
    }


def transcoders_table(found: dict[str, Any]) -> str:
    """The transcoders: held-out FVU and cross-entropy, the share lost on the prompts, the tasks with them in place."""
    kept, latents = found["transcoders"]["layers"], found["latents"]
    rows = []
    for one in kept:
        layer = str(one["layer"])
        row = {
            "layer": layer,
            "FVU": f"{one['fvu']:.3f}",
            "CE (untouched)": f"{one['ce_spliced']:.3f} ({one['ce']:.3f})",
        }
        rows.append(row | {k: v for task in TASKS for k, v in _in_place(latents, task, layer).items()})
    empty = {"layer": "all", "FVU": "", "CE (untouched)": ""}
    return markdown([*rows, empty | {k: v for task in TASKS for k, v in _in_place(latents, task, "").items()}])


def _in_place(latents: dict[str, Any], task: str, layer: str) -> dict[str, str]:
    """A task with the transcoder of one layer in place, or all of them, and what it leaves unexplained of the traced prompts."""
    lost = latents.get(task, {}).get("unexplained", {}).get(layer)
    row = {f"unexplained, {task}": "" if lost is None else f"{lost:.2f}"}
    return row | {f"margin, {task}": f"{latents['replaced'][task][f'L{layer}' if layer else 'all']['margin']:.2f}"}


def graphs_table(found: dict[str, Any]) -> str:
    """Graphs with and without the transcoders."""
    rows = []
    for task in (t for t in TASKS if t in found["latents"]):
        for name, key, overlap in (("neurons", "without", "overlap without"), ("transcoders", "with", "overlap")):
            one = found["latents"][task][key]
            rows.append(
                {
                    "task": task,
                    "basis": name,
                    "replacement": f"{one['replacement']:.3f}",
                    "completeness": f"{one['completeness']:.3f}",
                    "units for 80%": f"{one['units']:.0f}",
                    "direct from latents": f"{one['direct from latent']:.1%}",
                    "direct from errors": f"{one['direct from error']:.1%}",
                    "overlap of prompts": f"{found['latents'][task][overlap]:.2f}",
                }
            )
    return markdown(rows)


def flow_figure(found: dict[str, Any]) -> go.Figure:
    """What patches between prompts move, by layer."""
    figure = make_subplots(1, 2, subplot_titles=TASKS, shared_yaxes=True, horizontal_spacing=0.05)
    for column, task in enumerate(TASKS, 1):
        for what, where, name, colour, dash in LINES:
            rows = [r for r in found["patching"][task]["by_layer"] if (r["what"], r["where"]) == (what, where)]
            trace = go.Scatter(
                x=[r["last"] - (1 if "first" in r else 0) for r in rows],
                y=[r["mean"] for r in rows],
                error_y={"array": [r["error"] for r in rows], "thickness": 1, "width": 2},
                line={"color": colour, "dash": dash},
                name=name,
                showlegend=column == 1,
            )
            figure.add_trace(trace, 1, column)
    figure.update_xaxes(title="layer (windows of three: their middle)")
    figure.update_yaxes(title="share of the way to the other answer", col=1)
    return figure.update_layout(height=420, margin={"t": 40, "b": 50, "l": 60, "r": 20})


def years_figure(found: dict[str, Any]) -> go.Figure:
    """Digits by start digit: what the model says and what twenty neurons write; and four neurons by start digit."""
    part = found["neurons"]["greater-than"]["tuning"]
    titles = (
        "logits of the next digit",
        "what 20 neurons write of them",
        "activation of the first six, by start digit",
    )
    figure = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.09, column_widths=[0.3, 0.3, 0.4])
    for column, key in ((1, "logits"), (2, "written")):
        z = np.array(part[key])
        z = z - z.mean(0)
        most = float(np.abs(z).max())
        heat = go.Heatmap(z=z, colorscale="RdBu", zmid=0, zmin=-most, zmax=most, showscale=False)
        figure.add_trace(heat, 1, column)
        figure.update_xaxes(title="next digit", dtick=1, row=1, col=column)
        figure.update_yaxes(title="start digit", dtick=1, autorange="reversed", row=1, col=column)
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
    for row, colour in zip(part["neurons"], colours, strict=False):
        line = go.Scatter(y=row["activation by start"], name=row["unit"], line={"color": colour})
        figure.add_trace(line, 1, 3)
    figure.update_xaxes(title="start digit", dtick=1, row=1, col=3)
    return figure.update_layout(height=380, margin={"t": 40, "b": 50, "l": 60, "r": 20})


def draw(figures: dict[str, go.Figure]) -> None:
    """Every figure in both schemes."""
    with sync_playwright() as playwright:
        chromium = next(path for name in ("chromium", "chromium-browser") if (path := shutil.which(name)))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, figure in figures.items():
            for scheme, ground, ink in SCHEMES:
                figure.update_layout(
                    font={"color": ink}, width=1180, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)"
                )
                figure.update_xaxes(gridcolor="#88888855", zerolinecolor="#88888888")
                figure.update_yaxes(gridcolor="#88888855", zerolinecolor="#88888888")
                body = figure.to_html(include_plotlyjs=True, full_html=False, config=CONFIG)
                page = browser.new_page(viewport={"width": 1200, "height": int(figure.layout.height) + 10})
                page.set_content(f"<body style='margin:0;background:{ground}'>{body}</body>")
                page.wait_for_selector(".main-svg")
                page.screenshot(path=PAGE.parent / f"{name}-{scheme}.png")
        browser.close()


def main() -> None:
    found, text = json.loads(FILE.read_text(encoding="utf8")), PAGE.read_text(encoding="utf8")
    tables = {
        "tasks": lambda: tasks_table(found),
        "heads": lambda: heads_table(found),
        "neurons": lambda: sets_table(found["neurons"]),
        "tested": lambda: tested_table(found["neurons"], found),
        "transcoders": lambda: transcoders_table(found),
        "graphs": lambda: graphs_table(found),
        "latents": lambda: sets_table(found["latents"]),
        "latents tested": lambda: tested_table(found["latents"], found),
    }
    for name, make in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = before + begin + make() + end + rest.partition(end)[2] if rest else text
    PAGE.write_text(text, encoding="utf8")
    draw({"two-circuits-flow": flow_figure(found), "two-circuits-years": years_figure(found)})


def _untouched(found: dict[str, Any], task: str) -> dict[str, float]:
    return found["accuracy"][task]["tested"]


if __name__ == "__main__":
    main()
