"""`openwork eval`: the report card of one or several dictionaries, and with --suite what must be compared with it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.options import (
    MAX_SEED,
    AsJson,
    ConfigFile,
    Device,
    DryRun,
    Precision,
    Resume,
    load,
    print_json,
    print_rows,
    progress,
    reserve,
)
from probe.artifacts.folder import place
from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.evaluation.store import report_in, save_report
from probe.words import estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache
    from probe.dictionaries.store import AnyDictionary
    from probe.evaluation.report import EvalReport
    from probe.evaluation.suite.report import SuiteReport


def eval_(
    dictionary: Annotated[list[str], typer.Option("--dictionary", help="Name of a dictionary to judge; repeatable.")],
    cache: Annotated[str, typer.Option("--cache", help="Name of the cache whose held-out documents judge it.")],
    model: Annotated[
        str | None, typer.Option("--model", help="The model; by default the one the cache was made from.")
    ] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Tokens of each text behind the cross-entropies.")
    ] = 4096,  # as in `probe.evaluation.evaluate.evaluate`
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help="Judge the cross-entropies on this text too, like sample:NAME; repeatable."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the stored report; by default eval-DICTIONARY.")
    ] = None,
    suite: Annotated[
        bool, typer.Option("--suite", help="Also probing and first-letter absorption, beside four baselines; minutes.")
    ] = False,
    budget: Annotated[
        int, typer.Option("--budget", min=0, help="Tokens the suite's two trained baselines see; 0 leaves them out.")
    ] = 30_000,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=MAX_SEED, help="Which rows of text; the suite's draws and baselines.")
    ] = 0,
    device: Device = None,
    precision: Precision = "float32",
    resume: Resume = False,
    dry_run: DryRun = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Judge dictionaries: FVU, L0, dead share, CE and KL in the model against both ablations, the affine map beside it."""
    from app.library.artifacts import registered
    from probe.activations.cache import open_cache
    from probe.dictionaries import load_dictionary

    named = {n: _stored(name, n, len(dictionary)) for n in dictionary}
    if len(named) < len(dictionary):
        raise BadInput(f"A dictionary is given twice: {', '.join(dictionary)}. Give each once.")
    for where in named.values() if not dry_run else ():
        reserve("result", where, resume=resume)
    folder = registered("cache", cache)
    folders = [registered("dictionary", d) for d in dictionary]
    made_from = read_manifest(folder, "cache").model
    bridge = load(model or (made_from.name if made_from else "smollm2-135m"), device, precision)
    learned, opened = [load_dictionary(d, bridge) for d in folders], open_cache(folder, bridge)
    budgeted = budget if suite else None
    if dry_run:
        _announce(bridge, learned, opened, 1 + len(text or []), max_tokens, budgeted, json)
        return
    asked = {"max_tokens": max_tokens, "texts": sorted(text or []), "seed": seed, "suite": budgeted}
    jobs = [_Job(n, named[n], d, _key(d, opened, asked)) for n, d in zip(dictionary, learned)]
    known = {job.name: _known(job) for job in jobs} if resume else {}
    left = [job for job in jobs if not known.get(job.name)]
    from probe.evaluation.evaluate import evaluate_many

    texts = {spec: rows_of(bridge, spec, opened, max_tokens) for spec in text or []} if left else {}
    options = {"max_tokens": max_tokens, "seed": seed, "progress": progress()}
    reports = evaluate_many(bridge, [job.dictionary for job in left], opened, texts=texts, **options) if left else []
    plain = [found for found in known.values() if found]
    _print_known(plain, json)
    try:
        for job, report in zip(left, reports, strict=True):
            plain.append(report.to_dict())
            _print(report, json)
            if budgeted is not None:  # first, so that a stored report is a whole one
                compared = _suite(bridge, job.dictionary, opened, report, budgeted, seed)
                plain[-1]["suite"] = compared.to_dict()
                _print(compared, json)
                save_report(f"{job.where}-suite", compared, bridge, (job.name, cache), replace=resume)
            save_report(job.where, report, bridge, (job.name, cache), judged=job.key)
    finally:  # a disk that fills up now does not take the reports with it
        if json and plain:
            print_json(plain[0] if len(dictionary) == 1 else plain)


@dataclass(frozen=True)
class _Job:
    """A dictionary to be judged: its name, its report's name, itself, and all that decides the report."""

    name: str
    where: str
    dictionary: Any
    key: dict[str, Any]


def _key(dictionary: "AnyDictionary", cache: "Cache", asked: Json) -> Json:
    from probe.model.fingerprint import weights_fingerprint
    from probe.training.pairs import cache_identity

    return {**asked, "dictionary": weights_fingerprint(dictionary), "data": cache_identity(cache)}


def _known(job: _Job) -> Json | None:
    """The report that is stored under the job's name, with its suite; BadInput if it is of something else."""
    folder = place("result", job.where)
    if not folder.is_dir():
        return None
    then = read_manifest(folder, "result").facts.get("judged", {})
    if differing := sorted(k for k, v in job.key.items() if then.get(k) != v):
        raise BadInput(
            f"{folder} was judged with other settings ({', '.join(differing)}). Choose another --name, or delete it."
        )
    found = report_in(folder)
    return (
        {**found, "suite": report_in(place("result", f"{job.where}-suite"))} if job.key["suite"] is not None else found
    )


def _print_known(reports: list[Json], json: bool) -> None:
    from probe.evaluation.report import IN_MODEL, OWN

    for report in reports if not json else []:
        names = [name for name in (*OWN, *IN_MODEL) if report.get(name) is not None]
        rows = [{"measure": n, "value": report[n], "standard error": report["errors"].get(n)} for n in names]
        print_rows(rows, f"{report['kind']} {report['site_in']} to {report['site_out']}, judged before")


def _suite(
    bridge: "TransformerBridge",
    dictionary: "AnyDictionary",
    cache: "Cache",
    report: "EvalReport",
    budget: int,
    seed: int,
) -> "SuiteReport":
    from probe.evaluation.suite import SuiteConfig, run_suite

    chosen = SuiteConfig(budget=budget, seed=seed)
    return run_suite(bridge, dictionary, cache, chosen, known=report, progress=progress())


def _print(report: "EvalReport | SuiteReport", json: bool) -> None:
    if not json:
        print_rows(report.rows(), _title(report))


def _stored(name: str | None, dictionary: str, several: int) -> str:
    """The name of one dictionary's report."""
    if name is None:
        return f"eval-{dictionary}"
    return name if several == 1 else f"{name}-{dictionary}"


def _title(report: "EvalReport | SuiteReport") -> str:
    name = f"{report.name}: " if report.name else ""
    return f"{name}{report.kind} {report.site_in} to {report.site_out}, held-out text"


def rows_of(bridge: "TransformerBridge", spec: str, cache: "Cache", max_tokens: int) -> Any:
    """Some rows of another text, as wide as the cache's."""
    from probe.text.documents import corpus
    from probe.text.tokens import tokenize

    context = cache.layout.context
    return tokenize(bridge, corpus(spec, seed=0), context=context, max_tokens=max(4 * max_tokens, context))


def _announce(
    bridge: "TransformerBridge",
    learned: "list[AnyDictionary]",
    cache: "Cache",
    n_texts: int,
    max_tokens: int,
    budget: int | None,
    json: bool,
) -> None:
    from probe.evaluation.plan import plan_evaluation

    plan = plan_evaluation(bridge, learned, cache, n_texts=n_texts, max_tokens=max_tokens)
    found = plan.to_dict()
    if budget is not None:
        from probe.evaluation.suite import SuiteConfig, plan_suite

        found["suite"] = plan_suite(bridge, learned[0], SuiteConfig(budget=budget))
    if json:
        print_json(found)
        return
    typer.echo(
        f"{plan.tokens:,} tokens in the model, {plan.passes:.1f} passes over them, {size(plan.memory_bytes)} of memory, "
        f"about {estimate(plan.seconds)}"
    )
    if budget is not None:
        more = found["suite"]
        typer.echo(
            f"The suite, for each dictionary: {more['tokens_read']:,} tokens read up to its last site, "
            f"{more['tokens_trained']:,} trained on, {size(more['memory_bytes'])} of memory"
        )


COMMANDS = (eval_,)
