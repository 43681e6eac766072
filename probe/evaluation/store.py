"""A report of a dictionary as a stored result: the whole in `report.json`, what lists show of it in the manifest.

A report holds long tables (what each position cost, the density of every latent); a list of many results reads manifests alone,
so these stay in the report's own file.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.artifacts.folder import place
from probe.artifacts.json import clean, write_json
from probe.artifacts.manifest import Manifest, read_manifest, require_files, writing
from probe.artifacts.untrusted import read_json

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.evaluation.report import EvalReport
    from probe.evaluation.suite.report import SuiteReport

BULKY = ("by_position", "density", "texts", "convention", "probing", "letters", "tasks")
"""Fields of a report that are in its file alone."""
REPORT = "report.json"


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

    plain = clean(report.to_dict())
    short = {k: v for k, v in plain.items() if k not in BULKY}
    sites = tuple(site for side in (report.site_in, report.site_out) for site in side.split(" + "))
    manifest = Manifest("result", name, stamp(model), sites, parents=parents, facts={**short, **facts})
    with writing(place("result", name), manifest, replace=replace) as scratch:
        write_json(scratch / REPORT, plain)


def report_in(folder: Path) -> dict[str, Any]:
    """The report of a stored result, as it was written. Unavailable where it is damaged."""
    require_files(folder, read_manifest(folder, "result"), [REPORT], "Delete the folder and judge again.")
    return read_json(folder / REPORT)
