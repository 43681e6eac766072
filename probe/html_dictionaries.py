"""What dictionaries, their training, their judging and their units look like in a notebook."""

from typing import TYPE_CHECKING, Any

import numpy as np

from probe.html import block, facts_html, folded, note, side_by_side, table_html
from probe.html_chart import bars_html, histogram_html, lines_html
from probe.html_tokens import tokens_html
from probe.words import counted

if TYPE_CHECKING:
    from probe.eval_report import EvalReport
    from probe.features.table import FeatureTable
    from probe.features.unit import Unit
    from probe.suite.report import SuiteReport
    from probe.sweep import SweepResult
    from probe.trainer import TrainResult

_TRAINING = {"fvu": "fraction of variance unexplained", "l0": "active latents per token", "dead_share": "dead share"}
_OPEN_GROUPS = 2
"How many groups of examples stand open; the others open at a click."


def dictionary_html(learned: Any) -> str:
    """The shape of a dictionary, and how alike its decoder's rows are in length."""
    from probe.dictionaries.store import shape_of

    facts = {"name": learned.name, **shape_of(learned)} if learned.name else shape_of(learned)
    return block(facts_html(facts), title=f"{type(learned).__name__} of {learned.d_dict:,} latents")


def training_html(result: "TrainResult") -> str:
    """How training went, and how it ended."""
    charts = []
    for key, title in _TRAINING.items():
        lines = [m for m in result.metrics if key in m]
        charts.append(lines_html({key: ([m["tokens"] for m in lines], [m[key] for m in lines])}, title, "tokens"))
    plain = {k: v for k, v in result.last.items() if isinstance(v, int | float | str)}
    title = f"{result.folder.name}: trained in {result.seconds:.0f} s"
    return block(side_by_side(*charts), facts_html(plain, "At the end"), title=title)


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


def suite_html(report: "SuiteReport") -> str:
    """Every number beside its baselines, and what they mean."""
    meant = folded("what the columns and measures mean", facts_html(report.convention))
    return block(table_html(report.rows()), meant, title=f"{report.kind} {report.site_in} → {report.site_out}")


def features_html(table: "FeatureTable") -> str:
    """How dense the units are, and the densest."""
    density = np.asarray(table.column("density"))
    alive = np.log10(density[density > 0])
    counts, edges = np.histogram(alive, bins=40) if len(alive) else (np.zeros(0, int), np.zeros(1))
    words = "log10 of the share of tokens a unit is active at"
    chart = histogram_html(edges.tolist(), counts.tolist(), f"{len(alive):,} living units by density", words)
    rows = table.search(sort="density", descending=True, limit=15).rows()
    dead = note(f"{table.dead_share:.1%} of the units were never active on {table.n_tokens:,} tokens")
    return block(chart, dead, table_html(rows, "Densest first"), title=repr(table))


def unit_html(unit: "Unit") -> str:
    """What a unit does: its tokens, its activations, and examples over their whole range."""
    size = max(abs(unit.max), abs(unit.min) if unit.min < 0 else 0.0) or 1.0
    scores = [*unit.promoted[:8], *reversed(unit.suppressed[:8])]
    logits = table_html(
        [{"token": s.token, "logit": float(s.score)} for s in scores], "Logits it raises and lowers most"
    )
    chart = histogram_html(unit.edges, unit.counts, "activations", "activation")
    groups = list(dict.fromkeys(e.group for e in unit.examples))
    parts = []
    for i, group in enumerate(groups):
        lines = "".join(
            tokens_html(e.tokens, e.activations, most=size, marked=e.peak, value=e.value)
            for e in unit.examples
            if e.group == group
        )
        parts.append(f"{note(group)}{lines}" if i < _OPEN_GROUPS else folded(group, lines))
    return block(side_by_side(logits, chart), table_html(unit.lists()), *parts, title=unit.summary())
