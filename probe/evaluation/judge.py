"""Judge stored dictionaries by their names, several at once, and keep each report: the tool `openwork dictionaries judge`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from probe.activations.cache import open_cache
from probe.artifacts.folder import place
from probe.artifacts.manifest import model_made_from
from probe.artifacts.stored import registered
from probe.dictionaries import load_dictionary
from probe.doc import Doc
from probe.errors import BadInput, OpenworkError
from probe.evaluation.evaluate import EvalConfig
from probe.evaluation.kept import Kept, judge_and_keep
from probe.evaluation.plan import EvalPlan, plan_evaluation
from probe.evaluation.report import EvalReport
from probe.evaluation.suite.report import SuiteReport
from probe.evaluation.suite.run import BUDGET, SuiteConfig, plan_suite
from probe.methods import CacheName, tool
from probe.model.aliases import DEFAULT
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.panels import Panel, Rows
from probe.show.record import Record

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class JudgedSet(Record):
    """Reports of several dictionaries, in the order asked for but that those judged before come first."""

    kept: list[Kept]

    def to_dict(self) -> Any:
        """Ready for JSON: a report, with the suite's in it; of several, a list."""
        found = [
            {**k.report.to_dict(), **({"suite": k.suite.to_dict()} if k.suite is not None else {})} for k in self.kept
        ]
        return found[0] if len(found) == 1 else found

    def panels(self) -> list[Panel]:
        """The table of each report, and of what stands beside it."""
        return [
            Rows(f"{_title(one)}{', judged before' if k.before else ''}", one.rows())
            for k in self.kept
            for one in (k.report, k.suite)
            if one is not None
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Every row of every report, with the dictionary's name."""
        return [{"dictionary": k.report.name, **row} for k in self.kept for row in k.report.rows()]


@dataclass(frozen=True)
class JudgingPlan(Record):
    """What judging will take, and for each dictionary the suite."""

    plan: EvalPlan
    suite: Record | None

    def to_dict(self) -> dict[str, Any]:
        return {**self.plan.to_dict(), **({"suite": self.suite.to_dict()} if self.suite is not None else {})}

    def summary(self) -> str:
        """In words."""
        beside = f"\nFor each dictionary: {self.suite.summary()}" if self.suite is not None else ""
        return self.plan.summary() + beside


@dataclass(frozen=True)
class Beside(Settings):
    """What stands beside each report."""

    suite: bool = False
    "Also probing and first-letter absorption, beside four baselines; minutes."
    budget: Annotated[int, Doc(least=0)] = BUDGET
    "Tokens that two of these baselines are trained on; 0 leaves them out."

    def config(self, seed: int) -> SuiteConfig | None:
        """How the suite is run; None where it is not."""
        return SuiteConfig(budget=self.budget, seed=seed) if self.suite else None


def model_of_cache(cache: str) -> str:
    """The name of the model that the cache was made from."""
    return model_made_from("cache", registered("cache", cache)) or DEFAULT


@takes_fields("config", EvalConfig)
@takes_fields("beside", Beside)
def plan_judge(
    model: "TransformerBridge",
    dictionaries: Sequence[str],
    cache: str,
    *,
    config: EvalConfig = EvalConfig(),
    beside: Beside = Beside(),
) -> JudgingPlan:
    """What `judge` would take."""
    learned = [load_dictionary(registered("dictionary", name), model) for name in dictionaries]
    size = {"n_texts": 1 + len(config.texts or ()), "max_tokens": config.max_tokens, "batch": config.batch}
    plan = plan_evaluation(model, learned, open_cache(registered("cache", cache), model), **size)
    suite = beside.config(config.seed)
    return JudgingPlan(plan, plan_suite(model, learned[0], suite) if suite is not None else None)


@tool("judge", group="dictionaries", plan="plan_judge", model_by="model_of_cache", names="report_names")
@takes_fields("config", EvalConfig)
@takes_fields("beside", Beside)
def judge(
    model: "TransformerBridge",
    *,
    dictionaries: Annotated[Sequence[str], Doc("Names of stored dictionaries.")],
    cache: Annotated[CacheName, Doc("The cache whose held-out documents judge them.")],
    config: EvalConfig = EvalConfig(),
    name: Annotated[
        str | None,
        Doc("Name of the stored report, of several with the dictionary's behind it; by default eval-DICTIONARY."),
    ] = None,
    beside: Beside = Beside(),
    resume: bool = False,
    progress: Progress = SILENT,
) -> JudgedSet:
    """Judge dictionaries: FVU, L0, dead share, CE and KL in the model against both ablations, the affine map beside it.

    resume: open the reports that are there, and judge the others. Raises BadInput for reports of other settings.

    >>> ow.judge(model, dictionaries=["small"], cache="small", max_tokens=32).kept[0].report.name
    'small'
    """
    places = dict(zip(report_names(dictionaries, name), dictionaries, strict=True))
    for there in places if not resume else ():
        if (folder := place("result", there)).exists():
            raise BadInput(f"{folder} exists already. Choose another --name, or delete it.")
    learned = {where: load_dictionary(registered("dictionary", d), model) for where, d in places.items()}
    suite = beside.config(config.seed)
    opened, found = open_cache(cache, model), list[Kept]()
    try:
        for kept in judge_and_keep(model, learned, opened, config, suite, resume=resume, progress=progress):
            found.append(kept)
    except OpenworkError as error:
        if not found:
            raise
        raise type(error)(f"{error} Found by then: {'; '.join(k.report.summary() for k in found)}") from error
    return JudgedSet(found)


def report_names(dictionaries: Sequence[str], name: str | None = None) -> list[str]:
    """The names of the reports, one of each dictionary. BadInput where one is given twice."""
    if len({*dictionaries}) < len(dictionaries):
        raise BadInput(f"A dictionary is given twice: {', '.join(dictionaries)}. Give each once.")
    return [_name_of(one, dictionaries, name) for one in dictionaries]


def _name_of(dictionary: str, dictionaries: Sequence[str], name: str | None) -> str:
    """The name of a dictionary's report."""
    if name is None:
        return f"eval-{dictionary}"
    return name if len(dictionaries) == 1 else f"{name}-{dictionary}"


def _title(report: EvalReport | SuiteReport) -> str:
    name = f"{report.name}: " if report.name else ""
    return f"{name}{report.kind} {report.site_in} to {report.site_out}, held-out text"
