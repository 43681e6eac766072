"""`openwork eval`: the methods `evaluate` and `suite` of several dictionaries at once, each report kept under its own name."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.fields import Given, Running, takes
from app.commands.learn.harvest import DEFAULT
from app.commands.options import print_json, print_rows, progress, visible
from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.methods.reading import taken_by

if TYPE_CHECKING:
    from probe.activations.cache import Cache
    from probe.dictionaries.store import AnyDictionary
    from probe.evaluation.report import EvalReport
    from probe.evaluation.suite.report import SuiteReport

JUDGED = taken_by("probe.evaluation.evaluate", "EvalConfig").called(texts="text")
SUITE = taken_by("probe.evaluation.suite.run", "SuiteConfig").only("budget", "seed")


@takes(JUDGED, SUITE)
def eval_(
    *,
    dictionary: Annotated[list[str], typer.Option("--dictionary", help="Name of a dictionary to judge; repeatable.")],
    cache: Annotated[str, typer.Option("--cache", help="Name of the cache whose held-out documents judge it.")],
    model: Annotated[
        str | None, typer.Option("--model", help="The model; by default the one the cache was made from.")
    ] = None,
    given: Given,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the stored report; by default eval-DICTIONARY.")
    ] = None,
    suite: Annotated[
        bool, typer.Option("--suite", help="Also probing and first-letter absorption, beside four baselines; minutes.")
    ] = False,
    how: Running,
) -> None:
    """Judge dictionaries: FVU, L0, dead share, CE and KL in the model against both ablations, the affine map beside it."""
    from app.library.artifacts import registered
    from probe.activations.cache import open_cache
    from probe.dictionaries import load_dictionary

    places = {d: f"eval-{d}" if name is None else name if len(dictionary) == 1 else f"{name}-{d}" for d in dictionary}
    if len(places) < len(dictionary):
        raise BadInput(f"A dictionary is given twice: {', '.join(dictionary)}. Give each once.")
    for where in places.values():
        how.reserve("result", where)
    folder = registered("cache", cache)
    folders = [registered("dictionary", d) for d in dictionary]
    made_from = read_manifest(folder, "cache").model
    bridge = how.load(model or (made_from.name if made_from else DEFAULT))
    learned = {where: load_dictionary(path, bridge) for where, path in zip(places.values(), folders)}
    config, beside = JUDGED.made(given), SUITE.made(given) if suite else None
    opened = open_cache(folder, bridge)
    if how.dry_run:
        _announce(how, bridge, list(learned.values()), opened, given, suite)
        return
    from probe.evaluation.kept import judge_and_keep

    found: list[Json] = []
    try:
        options = {"resume": how.resume, "progress": progress()}
        for kept in judge_and_keep(bridge, learned, opened, config, beside, **options):
            found.append({**kept.report.to_dict(), **({"suite": kept.suite.to_dict()} if kept.suite else {})})
            for one in filter(None, (kept.report, kept.suite) if not how.json else ()):
                typer.echo(f"{visible(_title(one))}{', judged before' if kept.before else ''}")
                print_rows(one.rows())
    finally:  # a disk that fills up now does not take the reports with it
        if how.json and found:
            print_json(found[0] if len(dictionary) == 1 else found)


def _title(report: "EvalReport | SuiteReport") -> str:
    name = f"{report.name}: " if report.name else ""
    return f"{name}{report.kind} {report.site_in} to {report.site_out}, held-out text"


def _announce(
    how: Running, bridge: Any, learned: "list[AnyDictionary]", cache: "Cache", given: Given, suite: bool
) -> None:
    from probe.evaluation.plan import plan_evaluation
    from probe.evaluation.suite import plan_suite

    size = {"n_texts": 1 + len(given.get("text") or ()), "max_tokens": given["max_tokens"], "batch": given["batch"]}
    plan = plan_evaluation(bridge, learned, cache, **size)
    beside = plan_suite(bridge, learned[0], SUITE.made(given)) if suite else None
    if how.json:
        print_json({**plan.to_dict(), **({"suite": beside.to_dict()} if beside else {})})
        return
    how.announce(plan)
    if beside is not None:
        how.announce(beside, "For each dictionary: ")


COMMANDS = (eval_,)
