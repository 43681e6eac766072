"""`openwork demo`: the whole way through, once, with a report."""

from typing import Annotated

import typer

from app.commands.options import AsJson, Model, print_json, print_rows, progress, quiet, visible
from probe.artifacts.json import Json
from probe.show.values import quoted
from probe.words import estimate


def demo(
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Open the dashboard on the results when done.")
    ] = True,
    model: Model = "smollm2-135m",
    prompt: Annotated[str | None, typer.Option("--prompt", help="Another prompt to explain.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", help="Harvest fewer or more token positions.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="Other text to harvest: a file, or datasets:ID.")] = None,
    port: Annotated[int, typer.Option("--port", help="Port of the dashboard.")] = 8050,
    json: AsJson = False,
) -> None:
    """Prompt, lens, heads, graph, harvest, training, evaluation, graph again: every step once, continued if interrupted."""
    quiet()
    from circuits.demo import DemoConfig, run_demo

    changed = {"prompt": prompt, "tokens": tokens, "text": text}
    config = DemoConfig(model=model, **{k: v for k, v in changed.items() if v is not None})
    report = run_demo(config, progress()).to_dict()
    print_json(report) if json else _print(report)
    if serve:
        from app.library import prompts
        from app.links import prompt_page
        from app.server.main import serve as open_dashboard

        open_dashboard(port=port, path=prompt_page(prompts.store(config.prompt, model).id, model))


def _print(r: Json) -> None:
    """One readable report: every number, its baseline, and how long each step took."""
    typer.echo(f"\nOpenwork demo: {quoted(r['config']['prompt'])} on {r['config']['model']}\n")
    print_rows([{**row, "token": visible(row["token"])} for row in r["lens"]["next_tokens"]], "What comes next")
    settled = next((x["layer"] for x in r["lens"]["last_position"] if x["rank of final"] == 0), "none")
    typer.echo(
        f"\nThe logit lens first ranks it first at layer {settled} of {r['lens']['last_position'][-1]['layer']}."
    )
    typer.echo(f"Strongest previous-token head: {r['heads']['previous_token'][0]['head']}.\n")
    print_rows(
        [_graph_row("neurons only", r["demo-neurons"]), _graph_row("with the transcoder", r["demo-transcoder"])],
        "Attribution graphs",
    )
    e = r["evaluation"]
    print_rows(_judged(e), f"\nSkip transcoder of {e['site_in']}, on {e['n_tokens']:,} held-out tokens")
    print_rows(
        [
            {"step": s["step"], "time": estimate(s["seconds"]), "": "found finished" if s["found_finished"] else ""}
            for s in r["steps"]
        ],
        "\nTimes",
    )
    typer.echo(f"\n{estimate(r['seconds'])} in all. Everything is kept; `openwork serve` shows it.")


def _graph_row(name: str, g: Json) -> Json:
    return {
        "graph": name,
        "nodes": g["n_nodes"],
        "edges": g["n_edges"],
        "conservation residual": f"{g['conservation_residual']:.1e}",
        "moved by edges within": f"{g['intervention_check']['worst']:.1e}",
        "replacement": g["replacement_score"],
        "completeness": g["completeness_score"],
        "time": estimate(g["seconds"]),
    }


def _judged(e: Json) -> list[Json]:
    """Each measure beside what it must be compared with."""

    def with_error(name: str) -> str:
        error = e["errors"].get(name)
        if e[name] is None:
            return "not defined here"
        return f"{e[name]:.3f}" + (f" ± {error:.3f}" if error is not None else "")

    return [
        {
            "measure": "FVU",
            "value": with_error("fvu"),
            "baseline": f"{e['fvu_affine']:.3f} best affine map; 1 the mean",
        },
        {"measure": "L0", "value": f"{e['l0']:.1f}", "baseline": ""},
        {"measure": "dead share", "value": f"{e['dead_share']:.3f}", "baseline": ""},
        {
            "measure": "CE with it (nats)",
            "value": with_error("ce_spliced"),
            "baseline": f"{e['ce']:.3f} the model alone",
        },
        {
            "measure": "CE recovered, zero",
            "value": with_error("ce_recovered_zero"),
            "baseline": f"{e['ce_zero']:.3f} CE zero-ablated",
        },
        {
            "measure": "CE recovered, mean",
            "value": with_error("ce_recovered_mean"),
            "baseline": f"{e['ce_mean']:.3f} CE mean-ablated",
        },
    ]


COMMANDS = (demo,)
