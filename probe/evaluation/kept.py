"""Several dictionaries judged at once, each report kept under a name of its own; one that is there already is opened instead."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from probe.artifacts.folder import place
from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest
from probe.dictionaries.store import AnyDictionary
from probe.errors import BadInput
from probe.evaluation.evaluate import EvalConfig, evaluate_many
from probe.evaluation.report import EvalReport
from probe.evaluation.store import load_report, save_report
from probe.evaluation.suite.report import SuiteReport
from probe.evaluation.suite.run import SuiteConfig, run_suite
from probe.methods import Call
from probe.methods.catalogue import method_named
from probe.model.fingerprint import weights_fingerprint
from probe.progress import SILENT, Progress
from probe.show.made import remember
from probe.training.pairs import cache_identity

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache


class Kept(NamedTuple):
    """A report, what stands beside it, and whether they were made before."""

    report: EvalReport
    suite: SuiteReport | None
    before: bool


def judge_and_keep(
    model: "TransformerBridge",
    dictionaries: Mapping[str, AnyDictionary],
    cache: "Cache",
    config: EvalConfig,
    suite: SuiteConfig | None = None,
    *,
    resume: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Kept]:
    """Judge stored dictionaries, given by the names their reports get; each is kept once it was handed out.

    suite: judge each beside its baselines too, kept as NAME-suite. resume: reports that are there are opened; BadInput where they
    are of other settings. Those left are judged together, see `evaluate_many`.
    """
    keys = {name: _key(d, cache, config, suite) for name, d in dictionaries.items()}
    known = {name: found for name in keys if resume and (found := _known(name, keys[name]))}
    yield from known.values()
    left = {name: d for name, d in dictionaries.items() if name not in known}
    reports = evaluate_many(model, [*left.values()], cache, config=config, progress=progress) if left else []
    for (name, dictionary), report in zip(left.items(), reports, strict=True):
        asked = {"model": model, "dictionary": dictionary, "cache": cache}
        beside = None
        remember(report, _made("evaluate", {**asked, "config": config}))
        if suite is not None:
            beside = run_suite(model, dictionary, cache, suite, known=report, progress=progress)
            remember(beside, _made("suite", {**asked, "config": suite}))
        yield Kept(report, beside, False)
        parents = (dictionary.name, cache.name)
        if beside is not None:  # first, so that a stored report is a whole one
            save_report(f"{name}-suite", beside, model, parents, replace=resume)
        save_report(name, report, model, parents, judged=keys[name])


def _made(method: str, asked: Mapping[str, Any]) -> Json | None:
    """The call that finds the same: without what it was spared, or shared with others."""
    call = Call.of(method_named(method), asked)
    return call.made() if call else None


def _key(dictionary: AnyDictionary, cache: "Cache", config: EvalConfig, suite: SuiteConfig | None) -> Json:
    """All that decides a report."""
    asked = {"max_tokens": config.max_tokens, "texts": sorted(config.texts or ()), "seed": config.seed}
    found = {"dictionary": weights_fingerprint(dictionary), "data": cache_identity(cache)}
    return {**asked, "suite": suite.budget if suite else None, **found}


def _known(name: str, key: Json) -> Kept | None:
    """What is stored under a name; BadInput if it is of something else."""
    folder = place("result", name)
    if not folder.is_dir():
        return None
    then = read_manifest(folder, "result").facts.get("judged", {})
    if differing := sorted(k for k, v in key.items() if then.get(k) != v):
        raise BadInput(
            f"{folder} was judged with other settings ({', '.join(differing)}). Choose another --name, or delete it."
        )
    beside = load_report(place("result", f"{name}-suite")) if key["suite"] is not None else None
    return Kept(load_report(folder), beside, True)  # type: ignore[arg-type]
