"""`openwork eval`: the methods `evaluate` and `suite` of several dictionaries at once, each report kept under its own name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.fields import Given, Running, takes
from app.commands.learn.harvest import DEFAULT
from app.commands.options import print_json, print_rows, progress, visible
from probe.artifacts.folder import place
from probe.artifacts.json import Json, clean
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.evaluation.store import load_report, save_report
from probe.methods.call import Call
from probe.methods.reading import Asks, taken_by
from probe.show.made import remember

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache
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
    model = model or (made_from.name if made_from else DEFAULT)
    bridge = how.load(model)
    judging = _Judging(bridge, model, open_cache(folder, bridge), given, suite)
    jobs = [_Job(d, places[d], load_dictionary(path, bridge)) for d, path in zip(dictionary, folders)]
    if how.dry_run:
        _announce(judging, jobs, how)
        return
    found: list[Json] = []
    try:
        for report, beside, before in judging.reports(jobs, how.resume):
            found.append({**report.to_dict(), **({"suite": beside.to_dict()} if beside else {})})
            for one in (report, beside):
                if one is not None and not how.json:
                    typer.echo(f"{visible(_title(one))}{', judged before' if before else ''}")
                    print_rows(one.rows())
    finally:  # a disk that fills up now does not take the reports with it
        if how.json and found:
            print_json(found[0] if len(dictionary) == 1 else found)


@dataclass(frozen=True)
class _Job:
    """A dictionary to be judged: its name, its report's name, itself."""

    name: str
    where: str
    dictionary: Any


@dataclass(frozen=True)
class _Judging:
    """How all of them are judged. suite: whether beside its baselines too."""

    bridge: "TransformerBridge"
    model: str
    cache: "Cache"
    given: Given
    suite: bool

    def reports(self, jobs: list[_Job], resume: bool) -> "Iterator[tuple[EvalReport, SuiteReport | None, bool]]":
        """Each report, what stands beside it, and whether they were made before; the new ones are kept once they were shown."""
        known = {job.name: found for job in jobs if resume and (found := self._known(job))}
        yield from ((*found, True) for found in known.values())
        left = [job for job in jobs if job.name not in known]
        if not left:
            return
        from probe.evaluation.evaluate import evaluate_many

        dictionaries, config = [job.dictionary for job in left], JUDGED.made(self.given)
        made = evaluate_many(self.bridge, dictionaries, self.cache, config=config, progress=progress())
        for job, report in zip(left, made, strict=True):
            remember(report, self._call("evaluate", job, JUDGED))
            beside = self._beside(job, report) if self.suite else None
            yield report, beside, False
            parents = (job.name, self.cache.name)
            if beside is not None:  # first, so that a stored report is a whole one
                save_report(f"{job.where}-suite", beside, self.bridge, parents, replace=resume)
            save_report(job.where, report, self.bridge, parents, judged=self._key(job))

    def _beside(self, job: _Job, report: "EvalReport") -> "SuiteReport":
        from probe.evaluation.suite import run_suite

        config = SUITE.made(self.given)
        found = run_suite(self.bridge, job.dictionary, self.cache, config, known=report, progress=progress())
        return remember(found, self._call("suite", job, SUITE))

    def _call(self, method: str, job: _Job, declared: Asks) -> Json:
        """The call of the method that finds the same."""
        arguments = {"dictionary": job.name, "cache": self.cache.name, **declared.some(self.given)}
        return Call.checked(method, self.model, clean(arguments)).to_dict()

    def _key(self, job: _Job) -> Json:
        """All that decides the report."""
        from probe.model.fingerprint import weights_fingerprint
        from probe.training.pairs import cache_identity

        asked = JUDGED.some(self.given)
        found = {"max_tokens": asked["max_tokens"], "texts": sorted(asked.get("texts") or ()), "seed": asked["seed"]}
        found["suite"] = self.given["budget"] if self.suite else None
        return {**found, "dictionary": weights_fingerprint(job.dictionary), "data": cache_identity(self.cache)}

    def _known(self, job: _Job) -> "tuple[EvalReport, SuiteReport | None] | None":
        """What is stored under the job's name; BadInput if it is of something else."""
        folder = place("result", job.where)
        if not folder.is_dir():
            return None
        then, now = read_manifest(folder, "result").facts.get("judged", {}), self._key(job)
        if differing := sorted(k for k, v in now.items() if then.get(k) != v):
            raise BadInput(
                f"{folder} was judged with other settings ({', '.join(differing)}). Choose another --name, or delete it."
            )
        return load_report(folder), load_report(place("result", f"{job.where}-suite")) if self.suite else None  # type: ignore


def _title(report: "EvalReport | SuiteReport") -> str:
    name = f"{report.name}: " if report.name else ""
    return f"{name}{report.kind} {report.site_in} to {report.site_out}, held-out text"


def _announce(judging: _Judging, jobs: list[_Job], how: Running) -> None:
    from probe.evaluation.plan import plan_evaluation
    from probe.evaluation.suite import plan_suite

    learned, given = [job.dictionary for job in jobs], judging.given
    size = {"n_texts": 1 + len(given.get("text") or ()), "max_tokens": given["max_tokens"], "batch": given["batch"]}
    plan = plan_evaluation(judging.bridge, learned, judging.cache, **size)
    beside = plan_suite(judging.bridge, learned[0], SUITE.made(given)) if judging.suite else None
    if how.json:
        print_json({**plan.to_dict(), **({"suite": beside.to_dict()} if beside else {})})
        return
    how.announce(plan)
    if beside is not None:
        how.announce(beside, "For each dictionary: ")


COMMANDS = (eval_,)
