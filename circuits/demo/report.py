"""What a demo found, in order: every number beside its baseline, and how long each step took."""

from probe.artifacts.json import Json
from probe.show.panels import Panel, Rows, Sentence
from probe.show.values import quoted
from probe.words import estimate


def panels(report: Json) -> list[Panel]:
    """The panels of a demo's report (`circuits.demo.run.Demo.to_dict`)."""
    last, judged = report["lens"]["last_position"], report["evaluation"]
    settled = next((row["layer"] for row in last if row["rank of final"] == 0), "none")
    head = report["heads"]["previous_token"][0]["head"]
    tested = f"Skip transcoder of {judged['site_in']}, on {judged['n_tokens']:,} held-out tokens"
    graphs = [("neurons only", report["demo-neurons"]), ("with the transcoder", report["demo-transcoder"])]
    return [
        Sentence(f"Openwork demo: {quoted(report['config']['prompt'])} on {report['config']['model']}"),
        Rows("What comes next", report["lens"]["next_tokens"]),
        Sentence(f"The logit lens first ranks it first at layer {settled} of {last[-1]['layer']}."),
        Sentence(f"Strongest previous-token head: {head}."),
        Rows("Attribution graphs", [_graph(name, facts) for name, facts in graphs]),
        Rows(tested, _measures(judged)),
        Rows("Times", [_step(step) for step in report["steps"]]),
        Sentence(f"{estimate(report['seconds'])} in all. Everything is kept; `openwork serve` shows it."),
    ]


def _step(step: Json) -> Json:
    return {
        "step": step["step"],
        "time": estimate(step["seconds"]),
        "": "found finished" if step["found_finished"] else "",
    }


def _graph(name: str, facts: Json) -> Json:
    return {
        "graph": name,
        "nodes": facts["n_nodes"],
        "edges": facts["n_edges"],
        "conservation residual": f"{facts['conservation_residual']:.1e}",
        "moved by edges within": f"{facts['intervention_check']['worst']:.1e}",
        "replacement": facts["replacement_score"],
        "completeness": facts["completeness_score"],
        "time": estimate(facts["seconds"]),
    }


def _measures(e: Json) -> list[Json]:
    """Each measure beside what it must be compared with."""

    def with_error(name: str) -> str:
        error = e["errors"].get(name)
        if e[name] is None:
            return "not defined here"
        return f"{e[name]:.3f}" + (f" ± {error:.3f}" if error is not None else "")

    rows = [
        ("FVU", with_error("fvu"), f"{e['fvu_affine']:.3f} best affine map; 1 the mean"),
        ("L0", f"{e['l0']:.1f}", ""),
        ("dead share", f"{e['dead_share']:.3f}", ""),
        ("CE with it (nats)", with_error("ce_spliced"), f"{e['ce']:.3f} the model alone"),
        ("CE recovered, zero", with_error("ce_recovered_zero"), f"{e['ce_zero']:.3f} CE zero-ablated"),
        ("CE recovered, mean", with_error("ce_recovered_mean"), f"{e['ce_mean']:.3f} CE mean-ablated"),
    ]
    return [{"measure": name, "value": value, "baseline": beside} for name, value, beside in rows]
