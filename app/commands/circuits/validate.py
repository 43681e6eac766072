"""`openwork graph test`: a stored graph's nodes changed in the model it was traced from, against what the graph predicts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.circuits.graph import Graph, opened
from app.commands.options import (
    MAX_SEED,
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Precision,
    load,
    print_json,
    print_rows,
    progress,
    reserve,
    visible,
)
from probe.artifacts.json import Json, clean
from probe.errors import BadInput, Unavailable
from probe.show.values import quoted
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.graph.graph import CircuitGraph
    from circuits.validation.records import SubgraphTest
    from circuits.validation.tested_nodes import Chosen
    from probe.dictionaries.store import AnyDictionary
    from probe.interventions.generation import Generations


def check(
    graph: Graph,
    nodes: Annotated[
        list[str] | None,
        typer.Option(
            "--nodes", help="Nodes to change: L5N120@3, L5N120 for every position, or a number; repeatable, or a,b."
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", "--top-k", min=1, help="Change this many of the most influential units.")
    ] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="Change the pinned nodes.")] = False,
    mode: Annotated[
        str, typer.Option("--mode", help="ablate, scale (--factor), clamp (--level) or patch (--restore).")
    ] = "ablate",
    factor: Annotated[float | None, typer.Option("--factor", help="What activations are multiplied by.")] = None,
    level: Annotated[float | None, typer.Option("--level", help="What activations are held at.")] = None,
    restore: Annotated[
        list[str] | None,
        typer.Option("--restore", help="A prompt of as many tokens, whose values are put in; one for each prompt."),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", help="A further prompt, traced and tested alike, for error bars; repeatable."),
    ] = None,
    random: Annotated[
        int, typer.Option("--random", min=0, help="Random subgraphs of as many nodes of each kind and layer.")
    ] = 20,
    sufficient: Annotated[
        bool, typer.Option("--sufficient", help="Also silence every other unit, and say how much of each root is left.")
    ] = False,
    generate: Annotated[
        int,
        typer.Option(
            "--generate", min=0, help="Also continue the prompt by this many tokens, without and with the change."
        ),
    ] = 0,
    draw: Annotated[
        int | None,
        typer.Option("--draw", min=0, max=MAX_SEED, help="Draw generated tokens with this seed; else the likeliest."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="By default the model the graph names.")] = None,
    dictionary: Annotated[
        list[str] | None, typer.Option("--dictionary", help="By default the dictionaries the graph names; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Which random subgraphs.")] = 0,
    device: Device = None,
    precision: Precision = "float32",
    save: Annotated[str | None, typer.Option("--save", help="Store the report under this name.")] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Is it true? Change some nodes in the model; compare with the graph's prediction and with random subgraphs."""
    change = _change(mode, factor, level, restore or [])
    to = reserve("result", save) if save is not None else None
    found = opened(graph)
    rule = _rule(found, nodes or [], top, pinned)
    if dry_run:
        _announce(found, rule, 1 + len(prompt or []), random, sufficient, json)
        return
    from app.commands.asking import stored_dictionaries
    from circuits.validation.subgraph import check_subgraph

    bridge = load(model or _model(found), device, precision)
    chosen = stored_dictionaries(bridge, dictionary or _dictionaries(found))
    shared = {"dictionaries": chosen, "seed": seed, "progress": progress()}
    test = check_subgraph(bridge, found, rule, prompts=prompt or [], n_random=random, **change, **shared)
    report: dict[str, Any] = {"graph": graph, **test.to_dict()}
    records = []
    if sufficient:
        from circuits.faithfulness.sufficiency import check_sufficiency

        records.append(check_sufficiency(bridge, found, rule, n_random=min(random, 10), **shared))
        report["sufficiency"] = records[-1].to_dict()
    if generate:
        records.append(_generated(bridge, found, rule, chosen, change, generate, draw))
        report["generated"] = records[-1].to_dict()
    if to is not None:
        report["saved"] = str(_keep(clean(report), to, graph))
    print_json(report) if json else _print(test, records, report)


def _change(mode: str, factor: float | None, level: float | None, restore: list[str]) -> Json:
    """The options of a mode, each given with its mode only."""
    wants = {"scale": "--factor", "clamp": "--level", "restore": "--restore"}
    given = {"--factor": factor is not None, "--level": level is not None, "--restore": bool(restore)}
    from circuits.validation.node_change import CHANGE_WORDS

    mode = CHANGE_WORDS.get(mode, mode)
    if mode not in ("ablate", *wants):
        raise BadInput(f"--mode is '{mode}'; it can be ablate, {', '.join(wants)}.")
    for option, there in given.items():
        if there != (wants.get(mode) == option):
            owner = next(m for m, o in wants.items() if o == option)
            raise BadInput(
                f"--mode {mode} {'takes no' if there else 'needs'} {option}"
                + (f"; --mode {owner} does." if there else ".")
            )
    return {"mode": mode, "factor": factor, "level": level, "restore": restore}


def _rule(found: "CircuitGraph", nodes: list[str], top: int | None, pinned: bool) -> "Chosen":
    """What `check_subgraph` takes for its nodes."""
    if sum((bool(nodes), top is not None, pinned)) > 1:
        raise BadInput("Give one of --nodes, --top and --pinned.")
    if pinned and not found.pinned:
        raise BadInput(
            "Nothing is pinned in this graph; pin nodes with 'openwork graph pin', or name them with --nodes."
        )
    if pinned:
        return list(found.pinned)
    if top is not None:
        from circuits.validation.tested_nodes import most_influential

        return most_influential(top)
    return [name.strip() for one in nodes for name in one.split(",") if name.strip()] or None


def _announce(found: "CircuitGraph", rule: "Chosen", prompts: int, random: int, sufficient: bool, json: bool) -> None:
    from circuits.validation.tested_nodes import chosen_nodes

    n, runs = len(chosen_nodes(found, rule)), prompts * (random + 5) + (min(random, 10) + 3 if sufficient else 0)
    plan = {"nodes": n, "prompts": prompts, "forward_passes": runs, "traces": prompts - 1}
    print_json(plan) if json else typer.echo(
        f"{counted(n, 'node')}, {counted(prompts, 'prompt')} ({prompts - 1} to trace first), about {runs} forward passes"
    )


def _model(found: "CircuitGraph") -> str:
    if not found.model:
        raise Unavailable("The graph does not say which model it is of; give --model.")
    return found.model


def _dictionaries(found: "CircuitGraph") -> list[str]:
    names = list(dict.fromkeys(found.dictionaries.values()))
    if lost := [n for n in names if n.startswith("unstored")]:
        raise Unavailable(
            f"The graph was made with dictionaries that were not stored ({lost[0]}); give them with --dictionary."
        )
    return names


def _generated(
    bridge: "TransformerBridge",
    found: "CircuitGraph",
    rule: "Chosen",
    dictionaries: "list[AnyDictionary]",
    change: Json,
    n: int,
    draw: int | None,
) -> "Generations":
    """The prompt continued without and with the change; units at its last position stay changed at every new token."""
    from circuits.validation.continuation import continue_changed

    change = {**change, "restore": change["restore"][:1]}
    return continue_changed(bridge, found, rule, n, draw, dictionaries=dictionaries, **change)


def _keep(report: Json, to: Path, graph: str) -> Path:
    from probe.artifacts.json import write_json
    from probe.artifacts.manifest import Manifest, writing

    facts = {k: report[k] for k in ("mode", "factor", "against_random")}
    with writing(to, Manifest("result", to.name, parents=(Path(graph).name,), facts=facts)) as scratch:
        write_json(scratch / "report.json", report)
    return to


def _print(test: "SubgraphTest", records: list[Any], report: Json) -> None:
    from circuits.validation.verdicts import verdict_rows

    first = test.first
    names = f"{', '.join(first.nodes[:8])}{' ...' if len(first.nodes) > 8 else ''}"
    typer.echo(visible(f"{test.mode} {counted(len(first.nodes), 'node')} of {quoted(first.prompt)}: {names}"))
    typer.echo("")
    found = [v for one in (test, *records) for v in getattr(one, "verdicts", [])]
    print_rows(verdict_rows(found), "What the test says, question by question and measure by measure")
    typer.echo("")
    print_rows(
        test.rows(), "What the graph predicts and what the model does (direct: all else held; full: all later free)"
    )
    typer.echo("")
    print_rows(test.agreement_rows(), "Predicted against measured, over all nodes")
    if test.comparisons:
        typer.echo("")
        print_rows(test.comparison_rows(), "Against random subgraphs of as many nodes of each kind and layer")
    for record, title in zip(records, [k for k in ("sufficiency", "generated") if k in report], strict=True):
        typer.echo("")
        print_rows(record.rows(), {"sufficiency": "All other units silenced", "generated": "Continued"}[title])
    if "saved" in report:
        typer.echo(f"wrote {report['saved']}", err=True)


check.__name__ = "test"  # the command's name; a function of that name would be taken for a test
COMMANDS = (check,)
