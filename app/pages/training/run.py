"""One training run: its curves, where it stands, its settings, how it was judged; resuming it, judging it."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, dcc, html
from dash.development.base_component import Component

from app import links
from app.components import drawn, snippets
from app.components.cards import outdated_note
from app.components.parts import Parts, copyable, empty, graph, icon, link_button, panel, segmented, title
from app.frame.shell import Page
from app.jobs.table import job_table
from app.library.models import short_model
from app.pages.training import run_callbacks, tables
from app.pages.training.work import asked_of, caches, latents, report_name, run_of
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import OpenworkError
from probe.evaluation.results import judged
from probe.training.run_log import TrainingRun
from probe.words import duration


def layout(name: str, query: dict[str, str]) -> Parts:
    """The page of a run; of one whose job has written nothing yet, its progress."""
    active = [job for kind in ("train", "judge") if (job := job_table().latest(f"{kind}:{name}")) and job.active]
    if not run_callbacks.exists(name) and job_table().latest(f"train:{name}") is not None:
        return _begun(name)
    run = run_of(name)
    clock = dcc.Interval(id="run-poll", interval=1500, disabled=run.state != "live" and not active)
    lines = drawn.rows("run-lines", 360, run_callbacks.line_rows(run))
    return [
        dcc.Store(id="selection", data={}),
        dcc.Store(id="run-name", data=name),
        dcc.Store(
            id="run-mark", data=run_callbacks.mark(run)
        ),  # what is laid out here, though it ends before it is first asked
        clock,
        title(name, eyebrow=f"Training run · {run.state}", actions=_actions(run)),
        html.Div(run_callbacks.jobs_of(name), id="run-job"),
        *_problem(run),
        *(outdated_note("dictionary", name) if run.state == "finished" else []),
        panel("Where it stands", html.Div(run_callbacks.facts(run), id="run-facts"), export=False),
        _curves(run),
        *_judgements(run),
        html.Div(
            [_settings(run), panel("The log", lines, note="Its last lines, newest first.")], className="ow-grid even"
        ),
    ]


def _begun(name: str) -> Parts:
    return [
        title(name, eyebrow="Training run · waiting"),
        dcc.Store(id="run-waiting-for", data=name),
        dcc.Interval(id="run-waiting-poll", interval=800),
        html.Div(run_callbacks.jobs_of(name), id="run-waiting"),
    ]


def _actions(run: TrainingRun) -> Parts:
    beside = link_button("Beside others", links.address(links.TRAINING, runs=tables.runs_query([run.name])), "training")
    if run.state != "finished":
        return [beside]
    units = link_button("Its features", links.address(links.UNITS, model=run.model, dictionary=run.name), "units")
    return [beside, units, *_judge(run)]


def _judge(run: TrainingRun) -> Parts:
    """The button that judges it, where its cache is stored and there is no report yet."""
    there = [m.name for m in caches()]
    if run.cache not in there or place("result", report_name(run.name)).exists():
        return []
    judged_before = any(row["name"] == run.name for row in judged()[0])  # by a command or a demo, under another name
    look = {"variant": "default"} if judged_before else {}
    words = "Judge it again" if judged_before else "Judge it"
    go = dmc.Button(words, id="run-judge", leftSection=icon("check", small=True), **look)
    return [html.Span(go, title=f"On the held-out documents of {run.cache}")]


def _problem(run: TrainingRun) -> Parts:
    """An interrupted run: how it goes on."""
    words = [html.P(run.problem)] if run.problem else []
    if run.state == "finished":
        return [html.Div(words, className="ow-state error")] if words else []
    if run.state == "live":
        return []
    asked = asked_of(run.name)
    if asked is not None:
        go = dmc.Button("Resume", id="run-resume", size="sm", leftSection=icon("play", small=True))
        d_dict = run.facts.get("d_dict") or latents(asked)
        words += [
            html.P("It goes on from its last checkpoint, with the same weights as if it had never stopped."),
            go,
            copyable(asked.shell(d_dict, resume=True)) if d_dict else None,
        ]
    else:
        words += [
            html.P(
                "It was started from a shell. Repeat that command with --resume; it goes on from the last checkpoint."
            )
        ]
    head = html.H3("This training was cut off")
    return [html.Div([head, html.Div(words, className="ow-resume")], className="ow-state")]


def _curves(run: TrainingRun) -> Component:
    imports = "from probe import run_named, runs_figure"
    python = f"{imports}\n\nruns_figure([run_named({run.name!r})])"
    tools = html.Div(
        [
            segmented("run-axis", [("tokens", "tokens"), ("step", "step")], "tokens"),
            segmented("run-scale", [("linear", "linear"), ("log", "log")], "linear"),
        ],
        className="ow-actions",
    )
    return panel(
        "Curves",
        [
            html.Div(id="run-note", className="ow-partial", style={"padding": "0 10px"}),
            graph("run-curves", 540, "Loss, L0, FVU and dead share"),
        ],
        note="Each point is the mean over the steps since the line before.",
        tools=tools,
        flush=True,
        foot=snippets.snippets(python, "openwork runs --json"),
    )


def _judgements(run: TrainingRun) -> Parts:
    """Everything stored about how good it is."""
    rows = [row for row in judged()[0] if row["name"] == run.name]
    report = run_callbacks.report_of(run.name)
    if not rows:
        words = "Nothing stored says how good it is on text it was not trained on."
        command = f"openwork eval --dictionary {run.name} --cache {run.cache or 'NAME'}"
        return [empty("Not judged yet", words, copyable(command))] if run.state == "finished" else []
    parts: list[Any] = [drawn.rows("run-judged", 260, tables.judged_rows(rows, set()))]
    if report is not None:
        parts += [
            dcc.Store(id="run-reported", data=run.name),
            graph("run-report", 340, "FVU beside the affine map's, cross-entropy beside both ablations"),
            drawn.rows("run-measures", 380, run_callbacks.measure_rows(report)),
        ]
    code = snippets.snippets(
        f"from probe import judged\n\n[row for row in judged()[0] if row['name'] == {run.name!r}]",
        f"openwork eval --dictionary {run.name} --cache {run.cache or 'NAME'} --resume",
    )
    note = "Whiskers are one standard error between documents. Point at a name for what the number means."
    return [panel("How good it is", html.Div(parts, className="ow-stack"), note=note, foot=code)]


def _settings(run: TrainingRun) -> Component:
    facts = {
        "model": short_model(run.model),
        "cache": run.cache,
        "kind": run.kind.replace("_", " "),
        "sparsifier": run.rule,
    }
    facts |= {
        "sites": tables.short_sites(run.sites),
        "latents": f"{run.facts['d_dict']:,}" if isinstance(run.facts.get("d_dict"), int) else "",
    }
    facts |= {k.replace("_", " "): str(v) for k, v in run.config.items()}
    facts |= {
        "command": _command(run),
        "time": duration(run.facts["seconds"]) if tables.known(run.facts.get("seconds")) else "",
    }
    shown = [part for k, v in facts.items() if v not in ("", "None") for part in (html.Dt(k), html.Dd(v, dir="auto"))]
    words = (
        html.Dl(shown, className="ow-facts")
        if shown
        else html.P("Known when its first checkpoint is written.", className="ow-sub")
    )
    return panel("Settings", words, export=False, foot=_load_code(run) if run.state == "finished" else None)


def _command(run: TrainingRun) -> str:
    if run.state != "finished":
        return ""
    try:
        return read_manifest(run.folder, "dictionary").command
    except OpenworkError:
        return ""


def _load_code(run: TrainingRun) -> Component:
    return snippets.snippets(
        f"from probe import load_dictionary\n\ndictionary = load_dictionary({run.name!r})\ndictionary"
    )


def register(app: Dash) -> None:
    run_callbacks.register(app)


PAGE = Page(r"/training/(?P<name>[^/]+)", "Training run", layout, register, ("run-curves", "run-report"))
