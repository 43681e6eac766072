"""One training run as its record shows itself, and how it was judged; followed while it lasts, and resumed."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components.cards import outdated_note
from app.components.parts import Parts, copyable, icon, link_button, title
from app.components.polling import in_turn, poll
from app.components.slot import waiting
from app.components.snippets import snippets
from app.figures.dress import worn
from app.frame.shell import Page
from app.jobs.table import job_table
from app.pages.training import judged, live
from app.pages.training.work import resume, run_of
from app.selection import Selection
from probe.training.run_logs.runs_on_disk import TrainingRun
from probe.training.training_request import asked_of

_EVERY = 1500  # milliseconds between questions about the run


def layout(name: str, query: dict[str, str]) -> Parts:
    """The page of a run."""
    run, job = run_of(name), job_table().latest(f"train:{name}")
    idle = run.state != "live" and not (job and job.active)
    selection = live.selected(query)
    code = f"from probe import load_dictionary, run_named\n\nrun_named({name!r})\nload_dictionary({name!r})"
    return [
        # the mark is of what is laid out here, though it ends before it is first asked
        *(
            dcc.Store(id=i, data=d)
            for i, d in {"selection": selection, "run-name": name, "run-mark": live.mark([run])}.items()
        ),
        poll("run-poll", _EVERY, disabled=idle),
        title(name, eyebrow=f"Training run · {run.state}", actions=_actions(run)),
        html.Div(_job(name), id="run-job"),
        *_problem(run),
        *(outdated_note("dictionary", name) if run.state == "finished" else []),
        *live.laid_out("run", live.drawn_run(run, selection, worn())),
        snippets(code, "openwork runs --json"),
        *(judged.of_run(run, query) if run.state == "finished" else []),
    ]


def _job(name: str) -> Parts:
    """Progress of the job that trains this run, or why it failed; nothing when all is done."""
    job = job_table().latest(f"train:{name}")
    return [waiting(job)] if job is not None and (job.active or job.state == "failed") else []


def _actions(run: TrainingRun) -> Parts:
    beside = link_button("Beside others", links.address(links.TRAINING, runs=live.in_address([run.name])), "training")
    if run.state != "finished":
        return [beside]
    return [
        beside,
        link_button("Its features", links.address(links.UNITS, model=run.model, dictionary=run.name), "units"),
    ]


def _problem(run: TrainingRun) -> Parts:
    """What is damaged; of an interrupted run, how it goes on."""
    words: list[Any] = [html.P(run.problem)] if run.problem else []
    if run.state == "finished":
        return [html.Div(words, className="ow-state error")] if words else []
    if run.state == "live":
        return []
    if (asked := asked_of(run.name)) is None:
        said = "It was started from a shell. Repeat that command with --resume; it goes on from the last checkpoint."
        words.append(html.P(said))
    else:
        said = "It goes on from its last checkpoint, with the same weights as if it had never stopped."
        go = dmc.Button("Resume", id="run-resume", size="sm", leftSection=icon("play", small=True))
        d_dict = run.facts.get("d_dict") or asked.latents
        words += [html.P(said), go, copyable(asked.shell(d_dict, resume=True)) if d_dict else None]
    head = html.H3("This training was cut off")
    return [html.Div([head, html.Div(words, className="ow-resume")], className="ow-state")]


# -- what it does ------------------------------------------------------------------------------------------------------------


def followed(run: TrainingRun, before: list[Any], selection: Selection, scheme: str) -> tuple[Any, ...]:
    """What is new since the page was laid out, or told last; where its state changed or its settings became known, it is laid out
    anew."""
    now = live.mark([run])
    if now == before:
        return (_job(run.name), *(no_update,) * 5)
    (_, state, lines, known), (_, was, _, knew) = now[0], before[0]  # type: ignore[misc]
    if (state, known) != (was, knew):
        return (*(no_update,) * 5, f"{links.run_page(run.name)}?at={state}-{lines}")
    return _job(run.name), *live.again(live.drawn_run(run, selection, scheme), same=True), now, no_update


def register(app: Dash) -> None:
    @app.callback(
        Output("run-job", "children"),
        *live.outputs("run"),
        Output("run-mark", "data"),
        Output("url", "href", allow_duplicate=True),
        Input("run-poll", "n_intervals"),
        State("run-name", "data"),
        State("run-mark", "data"),
        State("selection", "data"),
        State("scheme", "data"),
        running=in_turn("run-poll", _EVERY),
        prevent_initial_call=True,
    )
    def follow(_: object, name: str, before: list[Any], selection: Selection, scheme: str):
        return followed(run_of(name), before, selection, scheme)

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("run-resume", "n_clicks"),
        State("run-name", "data"),
        prevent_initial_call=True,
    )
    def go_on(clicks: int | None, name: str):
        return f"{resume(name)}?at=resumed" if clicks else no_update


PAGE = Page(r"/training/(?P<name>[^/]+)", "Training run", layout, register)
