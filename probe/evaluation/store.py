"""A report of a dictionary as a stored result: the record, its JSON in `report.json`, what lists show of it in the manifest."""

import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.artifacts.folder import place
from probe.artifacts.json import clean, write_json
from probe.artifacts.manifest import Manifest, read_manifest, require_files, writing
from probe.artifacts.records import RECORD, REPORT, load_record, write_record
from probe.artifacts.untrusted import read_json, reading
from probe.show.made import made_by

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache
    from probe.evaluation.report import EvalReport
    from probe.evaluation.suite.report import SuiteReport
    from probe.evaluation.sweep import SweepResult


def save_report(
    name: str,
    report: "EvalReport | SuiteReport",
    model: "TransformerBridge",
    parents: tuple[str, ...],
    *,
    replace: bool = False,
    **facts: Any,
) -> None:
    """Store an evaluation as a result; `facts` go into its manifest beside the report. replace: what is there may go."""
    from probe.model.load import stamp

    made = {"call": call} if (call := made_by(report)) else {}
    sites = tuple(site for side in (report.site_in, report.site_out) for site in side.split(" + "))
    manifest = Manifest(
        "result", name, stamp(model), sites, parents=parents, facts={**clean(report.in_lists()), **made, **facts}
    )
    with writing(place("result", name), manifest, replace=replace) as scratch:
        write_record(scratch, report)
        write_json(scratch / REPORT, clean(report.to_dict()))


def save_sweep(to: str | Path, result: "SweepResult", source: "Cache") -> None:
    """Store the table of a sweep under a name or in a folder; what is there goes."""
    folder = place("result", to) if isinstance(to, str) else to
    facts = {"subject": "sweep", "dictionaries": [entry.name for entry in result.entries]}
    manifest = Manifest("result", folder.name, source.manifest.model, source.sites, parents=(source.name,), facts=facts)
    with writing(folder, manifest, replace=True) as scratch:
        write_json(scratch / "sweep.json", clean(result.to_dict()))


def report_in(folder: Path) -> dict[str, Any]:
    """The report of a stored result, as it was written. Unavailable where it is damaged."""
    require_files(folder, read_manifest(folder, "result"), [REPORT], "Delete the folder and judge again.")
    return read_json(folder / REPORT)


def load_report(folder: Path) -> "EvalReport | SuiteReport":
    """The same as a record, also of a result that was stored before reports were. Unavailable where it is damaged."""
    if (folder / RECORD).exists():
        return load_record(folder)  # type: ignore[return-value]
    from probe.evaluation.report import EvalReport
    from probe.evaluation.suite.report import SuiteReport

    found = report_in(folder)
    kind = EvalReport if "fvu" in found else SuiteReport
    with reading(f"The report in {folder.name}", "judge again"):
        values = {kind._renamed.get(name, name): math.nan if value is None else value for name, value in found.items()}
        return kind(**{f.name: values[f.name] for f in fields(kind) if f.name in values})
