"""The tables of the training pages: plain data from runs and judgements, no components."""

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from app import links
from app.components.drawn import Drawn
from app.library.models import short_model
from probe.artifacts.json import Json
from probe.errors import BadInput
from probe.evaluation.report import CONVENTION
from probe.model.sites import parse_site
from probe.training.figures import run_styles
from probe.training.run_differences import differing, short_names
from probe.training.run_log import TrainingRun
from probe.words import counted

MOST_CHOSEN = 24
FIRST_CHOSEN = 4


def chosen_from(query: dict[str, str], there: list[TrainingRun]) -> list[str]:
    """The runs an address names, as far as they exist; where it names none, those that are live, else the newest few."""
    names = {run.name for run in there}
    if "runs" in query:
        wanted = [unquote(part) for part in query["runs"].split(",") if part]
        return [n for n in dict.fromkeys(wanted) if n in names][:MOST_CHOSEN]
    live = [run.name for run in there if run.state == "live"]
    return (live or [run.name for run in there])[:FIRST_CHOSEN]


def runs_query(names: list[str]) -> str:
    """Names as they stand in an address: quoted, so that a comma in a name is none between two."""
    return ",".join(quote(name, safe="") for name in names)


def short_sites(sites: list[str]) -> str:
    """`mlp_in.4 → mlp_out.4`."""
    return " → ".join(dict.fromkeys(_short(s) for s in sites[:2])) + (
        f" and {len(sites) - 2} more" if len(sites) > 2 else ""
    )


def _short(name: str) -> str:
    try:
        return parse_site(name).short
    except BadInput:
        return name


NUMBERS = (
    ("loss", "loss", "mean squared error on standardised activations, with penalties; the last logged window"),
    (
        "fvu",
        "FVU",
        "fraction of variance unexplained while training: " + CONVENTION["fvu"].replace("held-out", "training"),
    ),
    ("l0", "L0", "latents active at a token, mean"),
    ("dead_share", "dead", "share of latents that were silent for the last `dead_tokens` tokens of the training"),
)


def run_rows(there: list[TrainingRun], chosen: list[str]) -> Drawn:
    """All runs; a click shows or hides one. A column of models only where they are of several."""
    styles, alike = run_styles(chosen), len({run.model for run in there}) < 2
    columns = [
        {"key": "shown", "label": "shown", "kind": "swatch"},
        {"key": "name", "label": "run", "kind": "text"},
        {"key": "state", "label": "state", "kind": "text"},
        *([] if alike else [{"key": "model", "label": "model", "kind": "text"}]),
        {"key": "kind", "label": "kind", "kind": "text"},
        {"key": "rule", "label": "rule", "kind": "text"},
        {"key": "sites", "label": "sites", "kind": "text", "wide": True},
        {"key": "tokens", "label": "tokens", "kind": "text", "wide": True},
        *({"key": k, "label": label, "kind": _kind(k), "title": meaning} for k, label, meaning in NUMBERS),
    ]
    rows = [
        {
            "shown": styles.get(run.name),
            "name": run.name,
            "state": run.state,
            "model": short_model(run.model),
            "kind": run.kind.replace("_", " "),
            "rule": run.rule,
            "sites": short_sites(run.sites),
            "tokens": f"{run.final()['tokens']:,.0f}" if known(run.final().get("tokens")) else "",
            **{k: finite(run.final().get(k)) for k, _, _ in NUMBERS},
            "pick": {"run": run.name},
            "selected": run.name in chosen,
        }
        for run in there
    ]
    model = f" of {short_model(there[0].model)}" if there and alike and there[0].model else ""
    note = f"{counted(len(there), 'run')}{model}; click one to show or hide its curves." if there else ""
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Training runs", "note": note}


def _kind(key: str) -> str:
    return "share" if key == "dead_share" else "num"


def known(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def finite(value: object) -> float | None:
    return float(value) if known(value) else None


def final_rows(chosen: list[TrainingRun]) -> Drawn:
    """The last numbers of the runs shown; a click opens a run."""
    styles = run_styles([run.name for run in chosen])
    columns = [
        {"key": "style", "label": "", "kind": "swatch"},
        {"key": "name", "label": "run", "kind": "text"},
        {"key": "step", "label": "steps", "kind": "text", "wide": True},
        {"key": "tokens", "label": "tokens", "kind": "text"},
        *({"key": k, "label": label, "kind": _kind(k), "title": meaning} for k, label, meaning in NUMBERS),
        {"key": "lr", "label": "learning rate", "kind": "num", "wide": True},
        {"key": "seconds", "label": "time (s)", "kind": "num"},
    ]
    rows = []
    for run, name in zip(chosen, short_names([run.name for run in chosen]), strict=True):
        last = run.final()
        whole = {k: f"{last[k]:,.0f}" if known(last.get(k)) else "" for k in ("step", "tokens")}
        own = {k: finite(last.get(k)) for k in (*(n for n, _, _ in NUMBERS), "lr", "seconds")}
        own |= {"style": styles[run.name], "name": name, "title": run.name}
        rows.append({**whole, **own, "href": links.run_page(run.name)})
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Final numbers"}


def difference_rows(chosen: list[TrainingRun]) -> Drawn:
    """Settings in which the runs shown differ, a column a run; a column a setting where that makes the narrower table."""
    found, names = differing(chosen), short_names([run.name for run in chosen])
    if 2 < len(chosen) > len(found) > 0:
        columns = [
            _text("run", "run"),
            *(_text(f"s{i}", row["setting"].replace("_", " ")) for i, row in enumerate(found)),
        ]
        rows: list[dict[str, Any]] = [
            {"run": name, "title": run.name, **{f"s{i}": row[run.name] for i, row in enumerate(found)}}
            for run, name in zip(chosen, names, strict=True)
        ]
        return {"columns": columns, "rows": rows, "sorts": True, "label": "Settings that differ"}
    columns = [_text("setting", "setting"), *(_text(f"r{i}", name) for i, name in enumerate(names))]
    rows = [
        {"setting": row["setting"].replace("_", " "), **{f"r{i}": row[run.name] for i, run in enumerate(chosen)}}
        for row in found
    ]
    note = "" if rows else "Choose two runs or more." if len(chosen) < 2 else "They share all their settings."
    return {"columns": columns if rows else columns[:1], "rows": rows, "label": "Settings that differ", "note": note}


def _text(key: str, label: str) -> dict[str, str]:
    return {"key": key, "label": label, "kind": "text"}


ABOVE_ONE = (
    "CE recovered above 1: with the reconstruction in place the model predicts this text better than untouched. That is no "
    "better than perfect; ablating the site costs little there, so compare CE spliced with CE untouched."
)
JUDGED = (
    ("l0", "L0", CONVENTION["l0"]),
    ("fvu", "FVU", "fvu"),
    ("fvu_affine", "FVU of affine map", "fvu_affine"),
    ("ce_recovered_zero", "CE recovered", "ce_recovered"),
    ("ce_spliced", "CE spliced", "ce"),
    ("ce", "CE untouched", "ce"),
    ("kl_spliced", "KL", "kl"),
    ("dead_share", "dead", "dead_share"),
)


def judged_rows(rows: Sequence[Json], there: set[str]) -> Drawn:
    """Judged dictionaries; a click opens the run, where it is stored. A column of texts only where they are several."""
    alike = len({row["on"] for row in rows}) == 1
    columns = [
        {"key": "name", "label": "dictionary", "kind": "text"},
        {"key": "kind", "label": "kind", "kind": "text"},
        {"key": "rule", "label": "rule", "kind": "text"},
        *(
            {"key": k, "label": label, "kind": _kind(k), "title": CONVENTION.get(meaning, meaning)}
            for k, label, meaning in JUDGED
            if any(known(row.get(k)) for row in rows)
        ),
        *([] if alike else [{"key": "on", "label": "judged on", "kind": "text"}]),
        {"key": "result", "label": "result", "kind": "text", "wide": True},
    ]
    found = [
        {
            **{k: row.get(k) for k in ("name", "on", "result")},
            "kind": row["kind"].replace("_", " "),
            "rule": row["rule"].replace(":", " "),
            **{k: finite(row.get(k)) for k, _, _ in JUDGED},
            "href": links.run_page(row["name"]) if row["name"] in there else None,
        }
        for row in rows
    ]
    unjudged = len(there - {row["name"] for row in rows})
    words = [f"Judged on {rows[0]['on']}."] if alike else []
    words += [ABOVE_ONE] if any(known(r.get("ce_recovered_zero")) and r["ce_recovered_zero"] > 1 for r in rows) else []
    if unjudged:
        verb = "is" if unjudged == 1 else "are"
        words.append(f"{unjudged} of {counted(len(there), 'run')} here {verb} not judged; a run's page can do it.")
    return {"columns": columns, "rows": found, "sorts": True, "label": "Judged dictionaries", "note": " ".join(words)}


def partial_words(chosen: list[TrainingRun], most: int) -> str:
    """What of the logs is drawn, what could not be read, and what is missing."""
    longest = max((run.log.lines for run in chosen if run.log), default=0)
    words = []
    if longest > most:
        words.append(f"Shown: {most:,} of up to {longest:,} log lines a curve, every peak kept.")
    if damaged := sum(run.log.damaged for run in chosen if run.log):
        words.append(f"{counted(damaged, 'damaged line')} left out.")
    if empty := [run.name for run in chosen if not (run.log and run.log.lines)]:
        words.append(f"No line yet: {', '.join(empty[:3])}.")
    words += [f"{run.name}: {run.problem}" for run in chosen if run.problem]
    return " ".join(words)
