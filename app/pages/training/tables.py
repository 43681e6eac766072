"""The tables of the training pages: rows of runs and of judgements, with what a click on one does."""

import math
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from app import links
from app.components.drawn import Drawn
from app.components.plain_rows import row_data
from app.library.models import short_model
from probe.artifacts.json import Json
from probe.evaluation.report import CONVENTION
from probe.model.sites import short_name
from probe.show.columns import column
from probe.training.figures import run_styles
from probe.training.run_differences import compared, short_names
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
    first = " → ".join(dict.fromkeys(map(short_name, sites[:2])))
    return first + (f" and {len(sites) - 2} more" if len(sites) > 2 else "")


WHILE_TRAINING = "while training: " + CONVENTION["fvu"].replace("held-out", "training")
NUMBERS = (
    column("loss", kind="num", title="mean squared error on standardised activations, with penalties; the last window"),
    column("fvu", "FVU", "num", title=f"fraction of variance unexplained {WHILE_TRAINING}"),
    column("l0", "L0", "num", title="latents active at a token, mean"),
    column("dead_share", "dead", "share", title="share of latents silent for the last `dead_tokens` tokens"),
)
"""The last numbers of a run."""


def run_rows(there: list[TrainingRun], chosen: list[str]) -> Drawn:
    """All runs; a click shows or hides one. A column of models only where they are of several."""
    styles, alike = run_styles(chosen), len({run.model for run in there}) < 2
    columns = [
        column("shown", kind="swatch"),
        column("name", "run"),
        column("state"),
        *([] if alike else [column("model")]),
        column("kind"),
        column("rule"),
        column("sites", wide=True),
        column("tokens", kind="count", wide=True),
        *NUMBERS,
    ]
    rows = [
        {
            **_last(run),
            "shown": styles.get(run.name),
            "name": run.name,
            "state": run.state,
            "model": short_model(run.model),
            "kind": run.kind.replace("_", " "),
            "rule": run.rule,
            "sites": short_sites(run.sites),
            "pick": {"run": run.name},
            "selected": run.name in chosen,
        }
        for run in there
    ]
    model = f" of {short_model(there[0].model)}" if there and alike and there[0].model else ""
    note = f"{counted(len(there), 'run')}{model}; click one to show or hide its curves." if there else ""
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Training runs", "note": note}


def _last(run: TrainingRun) -> dict[str, float | None]:
    """The last numbers of its log."""
    return {name: finite(value) for name, value in run.row().items() if isinstance(value, int | float)}


def known(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def finite(value: object) -> float | None:
    return float(value) if known(value) else None  # type: ignore[arg-type]


def final_rows(chosen: list[TrainingRun]) -> Drawn:
    """The last numbers of the runs shown; a click opens a run."""
    styles, names = run_styles([run.name for run in chosen]), short_names([run.name for run in chosen])
    columns = [
        column("style", "", "swatch"),
        column("name", "run"),
        column("step", "steps", "count", wide=True),
        column("tokens", kind="count"),
        *NUMBERS,
        column("lr", "learning rate", "num", wide=True),
        column("seconds", "time (s)", "num"),
    ]
    rows = [
        {**_last(run), "style": styles[run.name], "name": name, "title": run.name, "href": links.run_page(run.name)}
        for run, name in zip(chosen, names, strict=True)
    ]
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Final numbers"}


def difference_rows(chosen: list[TrainingRun]) -> Drawn:
    """Settings in which the runs shown differ."""
    rows = compared(chosen)
    note = "" if rows else "Choose two runs or more." if len(chosen) < 2 else "They share all their settings."
    return {**row_data("Settings that differ", rows), "note": note, "page": None}


def line_rows(run: TrainingRun, most: int = 60) -> Drawn:
    """The last lines of its log."""
    rows, total = [{k: finite(v) for k, v in row.items()} for row in run.rows()[:most]], run.log.lines if run.log else 0
    columns = [column("step", kind="count"), column("tokens", kind="count"), *NUMBERS, column("lr", kind="num")]
    columns.append(column("tokens_per_second", "tok/s", "count", wide=True))
    note = f"{len(rows)} of {total:,} lines" if total > len(rows) else "" if rows else "No line was written yet."
    return {"columns": columns, "rows": rows, "label": "The log", "note": note}


ABOVE_ONE = (
    "CE recovered above 1: with the reconstruction in place the model predicts this text better than untouched. That is no "
    "better than perfect; ablating the site costs little there, so compare CE spliced with CE untouched."
)
JUDGED = (
    column("l0", "L0", "num", title=CONVENTION["l0"]),
    column("fvu", "FVU", "num", title=CONVENTION["fvu"]),
    column("fvu_affine", "FVU of affine map", "num", title=CONVENTION["fvu_affine"]),
    column("ce_recovered_zero", "CE recovered", "num", title=CONVENTION["ce_recovered"]),
    column("ce_spliced", "CE spliced", "num", title=CONVENTION["ce"]),
    column("ce", "CE untouched", "num", title=CONVENTION["ce"]),
    column("kl_spliced", "KL", "num", title=CONVENTION["kl"]),
    column("dead_share", "dead", "share", title=CONVENTION["dead_share"]),
)


def judged_rows(rows: Sequence[Json], href: Mapping[str, str], unjudged: str = "") -> Drawn:
    """Judged dictionaries. A column of texts only where they are several. href: the page that a click opens, by the result."""
    alike = len({row["on"] for row in rows}) == 1
    columns = [
        column("name", "dictionary"),
        column("kind"),
        column("rule"),
        *(one for one in JUDGED if any(known(row.get(one["key"])) for row in rows)),
        *([] if alike else [column("on", "judged on")]),
        column("result", wide=True),
    ]
    found = [
        {
            **{key: row[key] for key in ("name", "on", "result")},
            **{one["key"]: finite(row.get(one["key"])) for one in JUDGED},
            "kind": row["kind"].replace("_", " "),
            "rule": row["rule"].replace(":", " "),
            "href": href.get(row["result"]),
        }
        for row in rows
    ]
    above = any(known(r.get("ce_recovered_zero")) and r["ce_recovered_zero"] > 1 for r in rows)
    words = [f"Judged on {rows[0]['on']}." if alike else "", ABOVE_ONE if above else "", unjudged]
    note = " ".join(word for word in words if word)
    return {"columns": columns, "rows": found, "sorts": True, "label": "Judged dictionaries", "note": note}


def not_judged(rows: Sequence[Json], there: set[str]) -> str:
    """How many of the runs here are not judged."""
    if not (left := len(there - {row["name"] for row in rows})):
        return ""
    return f"{left} of {counted(len(there), 'run')} here {'is' if left == 1 else 'are'} not judged; a run's page can do it."
