"""The list of training runs: which are chosen, and a row of each with its last numbers; a click shows or hides one."""

from app.components.drawn import Drawn
from app.library.models import short_model
from app.pages.training.live import from_address
from probe.artifacts.json import clean
from probe.model.sites import short_name
from probe.show.columns import column
from probe.training.run_logs.figures import run_styles
from probe.training.run_logs.metrics_log import MEANINGS
from probe.training.run_logs.runs_on_disk import TrainingRun
from probe.words import counted

MOST_CHOSEN, FIRST_CHOSEN = 24, 4


def chosen_from(query: dict[str, str], there: list[TrainingRun]) -> list[str]:
    """The runs an address names, as far as they exist; where it names none, those that are live, else the newest few."""
    names = [run.name for run in there]
    if "runs" in query:
        return [n for n in from_address(query["runs"]) if n in names][:MOST_CHOSEN]
    return ([run.name for run in there if run.state == "live"] or names)[:FIRST_CHOSEN]


def run_rows(there: list[TrainingRun], chosen: list[str]) -> Drawn:
    """All runs. A column of models only where they are of several."""
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
        *(column(n, kind="share" if n == "dead_share" else "num", title=MEANINGS[n]) for n in MEANINGS),
    ]
    rows = [
        {
            **clean(run.row()),
            "shown": styles.get(run.name),
            "model": short_model(run.model),
            "kind": run.kind.replace("_", " "),
            "sites": short_sites(run.sites),
            "pick": {"run": run.name},
            "selected": run.name in chosen,
        }
        for run in there
    ]
    model = f" of {short_model(there[0].model)}" if there and alike and there[0].model else ""
    note = f"{counted(len(there), 'run')}{model}; click one to show or hide its curves."
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Training runs", "note": note}


def short_sites(sites: list[str]) -> str:
    """`mlp_in.4 → mlp_out.4`."""
    first = " → ".join(dict.fromkeys(map(short_name, sites[:2])))
    return first + (f" and {len(sites) - 2} more" if len(sites) > 2 else "")
