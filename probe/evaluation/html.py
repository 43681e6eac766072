"""Evaluations and sweeps in a notebook."""

from typing import TYPE_CHECKING, Any

from probe.show.beside import shows
from probe.show.chart import bars_html, lines_html
from probe.show.html import block, facts_html, folded, side_by_side, table_html
from probe.words import counted

if TYPE_CHECKING:
    from probe.evaluation.report import EvalReport
    from probe.evaluation.sweep import SweepResult


@shows
def eval_html(report: "EvalReport") -> str:
    """FVU beside the affine map's, cross-entropy beside both ablations, then every measure."""
    own = {"dictionary": "fvu", "affine map": "fvu_affine"}
    model = {"untouched": "ce", "spliced": "ce_spliced", "mean abl.": "ce_mean", "zero abl.": "ce_zero"}
    charts = [_bars(report, own, "fraction of variance unexplained"), _bars(report, model, "cross-entropy (nats)")]
    tables = [table_html(report.rows()), folded("conventions", facts_html(report.convention))]
    return block(side_by_side(*charts), *tables, title=f"{report.kind} {report.site_in} → {report.site_out}")


def _bars(report: "EvalReport", measures: dict[str, str], title: str) -> str:
    values = [float(getattr(report, name)) for name in measures.values()]
    errors = [float(report.errors.get(name, float("nan"))) for name in measures.values()]
    return bars_html(list(measures), values, title, errors=errors)


@shows
def sweep_html(result: "SweepResult") -> str:
    """The trade of each kind between L0 and FVU, and the means over seeds."""
    rows = result.by_seed()
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda r: r["l0"]):
        lines.setdefault(f"{row['kind']}, {row['rule'].partition(':')[0]}", []).append(row)
    drawn = {k: ([r["l0"] for r in v], [r["fvu"] for r in v]) for k, v in lines.items()}
    errors = {k: [r.get("fvu error", float("nan")) for r in v] for k, v in lines.items()}
    axis = "active latents per token (logarithmic)"
    chart = lines_html(drawn, "fraction of variance unexplained", axis, errors=errors, points=True, log_x=True)
    return block(
        chart, table_html(rows), title=f"Sweep over {result.cache}: {counted(len(result.entries), 'dictionary')}"
    )
