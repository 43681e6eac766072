"""How dictionaries were judged: all that is stored of it; of one dictionary its newest report and the methods that judge it."""

from collections.abc import Mapping
from typing import Any

from app import links
from app.components.parts import Parts, copyable, empty, error
from app.components.snippets import snippets
from app.figures.dress import worn
from app.methods.block import Block
from app.methods.drawing import Look, drawn_panels
from app.methods.method_jobs import RECORDS, Found
from app.pages.training.live import selected
from app.pages.training.work import caches
from probe.artifacts.json import Json
from probe.errors import OpenworkError
from probe.evaluation.results import Judged, judged, newest_report
from probe.training.run_logs.runs_on_disk import TrainingRun, runs
from probe.words import counted

EVALUATE = Block("judge", "evaluate", ("texts", "max_tokens", "seed"), "judged", "Judge it")
SUITE = Block("suite", "suite", ("budget", "seeds", "seed"), "suite", "Beside what needs no dictionary")


def layout(there: list[TrainingRun], query: dict[str, str]) -> Parts:
    """Sparsity against faithfulness, and every judged dictionary; what cannot be read is said."""
    rows, damaged = judged()
    told = "; ".join(f"{name}: {why}" for name, why in damaged[:5])
    broken = [error(told, heading="Some results cannot be read")] if damaged else []
    if not rows:
        return broken
    one = _found(rows, {run.name for run in there})
    python = "from probe import judged, judged_figure\n\nrows, damaged = judged()\njudged_figure(rows, 'fvu')"
    parts = drawn_panels(one.record, "", Look(worn(), one.link, one.reference, selected(query)), at="judged")
    foot = snippets(python, "openwork eval --dictionary NAME --cache NAME")
    return [*broken, *parts, *not_judged({run.name for run in there} - {row["name"] for row in rows}, len(there)), foot]


def not_judged(left: set[str], of: int) -> Parts:
    """How many of the runs here are not judged."""
    words = f"{len(left)} of {counted(of, 'run')} here {'is' if len(left) == 1 else 'are'} not judged; a run's page can do it."
    return [words] if left else []


def of_run(run: TrainingRun, query: dict[str, str]) -> Parts:
    """Everything stored about how good a finished run is, its newest report drawn, and the methods that judge it."""
    rows = [row for row in judged()[0] if row["name"] == run.name]
    command = f"openwork eval --dictionary {run.name} --cache {run.cache or 'NAME'}"
    if not rows:
        words = "Nothing stored says how good it is on text it was not trained on."
        return [empty("Not judged yet", words, copyable(command)), *_judge(run, query)]
    code = f"from probe import judged\n\n[row for row in judged()[0] if row['name'] == {run.name!r}]"
    listed = drawn_panels(Judged(rows), "", Look(worn(), _result_link), at="judged")
    return [*listed, snippets(code, f"{command} --resume"), *_newest(run), *_judge(run, query)]


def _newest(run: TrainingRun) -> Parts:
    """Its newest report."""
    try:
        report = newest_report(run.name)
    except OpenworkError as problem:
        return [error(str(problem), heading="Its newest report cannot be shown")]
    return drawn_panels(report, "", Look(worn()), at="report") if report else []


def _judge(run: TrainingRun, query: dict[str, str]) -> Parts:
    """The methods, where the cache that it was trained on is stored."""
    if run.cache not in caches():
        return []
    given = {"dictionary": run.name, "cache": run.cache}
    return [one.layout(run.model, given, query) for one in (EVALUATE, SUITE)]


def _result_link(name: object, row: Mapping[str, Any]) -> tuple[str | None, str]:
    return links.result_page(str(row["result"])) if row else None, ""


def _found(rows: list[Json], there: set[str]) -> Found:
    """All judgements; the dictionaries that are runs here have their pages."""
    return Found("judged:", Judged(rows), link=lambda name, row: (links.run_page(name) if name in there else None, ""))


RECORDS["judged"] = lambda _: _found(judged()[0], {run.name for run in runs()})
