"""A suite report in a notebook."""

from typing import TYPE_CHECKING

from probe.show.beside import shows
from probe.show.html import block, facts_html, folded, table_html

if TYPE_CHECKING:
    from probe.evaluation.suite.report import SuiteReport


@shows
def suite_html(report: "SuiteReport") -> str:
    """Every number beside its baselines, and what they mean."""
    meant = folded("what the columns and measures mean", facts_html(report.convention))
    return block(table_html(report.rows()), meant, title=f"{report.kind} {report.site_in} → {report.site_out}")
