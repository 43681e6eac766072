"""`openwork eval`: the report card of one or several dictionaries."""

from typing import Annotated, Any

import typer

from app.commands.common import (
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Precision,
    duration,
    load,
    print_json,
    print_rows,
    progress,
    size,
)
from probe.artifact import place, writing

BULKY = ("by_position", "density", "texts", "convention")  # in the report's file, not in the manifest that lists read


def eval_(
    dictionary: Annotated[list[str], typer.Option("--dictionary", help="Name of a dictionary to judge; repeatable.")],
    cache: Annotated[str, typer.Option("--cache", help="Name of the cache whose held-out documents judge it.")],
    model: Annotated[
        str | None, typer.Option("--model", help="The model; by default the one the cache was made from.")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Tokens of each text behind the cross-entropies.")
    ] = 4096,  # as in `probe.evals.evaluate`
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help="Judge the cross-entropies on this text too, like sample:NAME; repeatable."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the stored report; by default eval-DICTIONARY.")
    ] = None,
    device: Device = None,
    precision: Precision = "float32",
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Judge dictionaries: FVU, L0, dead share, CE and KL in the model against both ablations, the affine map beside it."""
    from app.library import registered
    from probe.artifact import read_manifest
    from probe.cache import open_cache
    from probe.dictionaries import load_dictionary

    folder = registered("cache", cache)
    folders = [registered("dictionary", d) for d in dictionary]
    made_from = read_manifest(folder, "cache").model
    bridge = load(model or (made_from.name if made_from else "smollm2-135m"), device, precision)
    learned, opened = [load_dictionary(d, bridge) for d in folders], open_cache(folder, bridge)
    if dry_run:
        _announce(bridge, learned, opened, 1 + len(text or []), max_tokens, json)
        return
    from probe.evals import evaluate_many

    texts = {spec: _rows(bridge, spec, opened, max_tokens) for spec in text or []}
    reports = evaluate_many(bridge, learned, opened, texts=texts, max_tokens=max_tokens, progress=progress())
    plain = [report.to_dict() for report in reports]
    for report in reports:
        print_rows(report.rows(), _title(report)) if not json else None
    if json:
        print_json(plain[0] if len(plain) == 1 else plain)
    for one, report in zip(dictionary, reports, strict=True):
        save_report(_stored(name, one, len(dictionary)), report, bridge, (one, cache))


def _stored(name: str | None, dictionary: str, several: int) -> str:
    """The name of one dictionary's report."""
    if name is None:
        return f"eval-{dictionary}"
    return name if several == 1 else f"{name}-{dictionary}"


def _title(report: Any) -> str:
    name = f"{report.name}: " if report.name else ""
    return f"{name}{report.kind} {report.site_in} to {report.site_out}, held-out text"


def _rows(bridge: Any, spec: str, cache: Any, max_tokens: int) -> Any:
    """Some rows of another text, as wide as the cache's."""
    from probe.text import corpus
    from probe.tokens import tokenize

    context = cache.layout.context
    return tokenize(bridge, corpus(spec, seed=0), context=context, max_tokens=max(4 * max_tokens, context))


def _announce(bridge: Any, learned: list[Any], cache: Any, n_texts: int, max_tokens: int, json: bool) -> None:
    from probe.eval_plan import plan_evaluation

    plan = plan_evaluation(bridge, learned, cache, n_texts=n_texts, max_tokens=max_tokens)
    print_json(plan.to_dict()) if json else typer.echo(
        f"{plan.tokens:,} tokens in the model, {plan.passes:.1f} passes over them, {size(plan.memory_bytes)} of memory, "
        f"about {duration(plan.seconds)}"
    )


def save_report(name: str, report: Any, bridge: Any, parents: tuple[str, ...], **facts: Any) -> None:
    """Store an evaluation as a result; `facts` go into its manifest beside the report."""
    from app.commands.common import clean
    from probe.artifact import Manifest, write_json
    from probe.models import stamp

    plain = clean(report.to_dict())
    short = {k: v for k, v in plain.items() if k not in BULKY}
    sites = tuple(site for side in (report.site_in, report.site_out) for site in side.split(" + "))
    manifest = Manifest("result", name, stamp(bridge), sites, parents=parents, facts={**short, **facts})
    with writing(place("result", name), manifest) as scratch:
        write_json(scratch / "report.json", plain)


COMMANDS = (eval_,)
