"""The page of a training run, without a browser."""

import json

from pages import as_json

from app.pages.training import run as run_page
from app.pages.training.work import run_of
from probe.artifacts.folder import place
from probe.artifacts.manifest import Manifest, writing
from probe.artifacts.names import partial
from probe.evaluation.report import EvalReport
from probe.evaluation.store import save_report
from probe.training.training_request import Asked, asked_of


def stores(laid):
    """The data of every store on a page by its id."""
    return {part.id: part.data for part in laid if type(part).__name__ == "Store"}


def test_a_run_that_ends_before_its_page_first_asks_is_laid_out_anew(home):
    """What the page shows is what it compares with: else it would say `live` for good."""
    growing = partial(place("dictionary", "mine"))
    growing.mkdir(parents=True)
    (growing / "metrics.jsonl").write_text(json.dumps({"step": 1, "tokens": 100, "loss": 1.0, "seconds": 0.1}) + "\n")
    mark = stores(run_page.layout("mine", {}))["run-mark"]
    assert not isinstance(run_page.followed(run_of("mine"), mark, {}, "light")[-1], str) and mark[0][1] == "live"
    with writing(place("dictionary", "mine"), Manifest("dictionary", "mine")) as beside:
        (beside / "metrics.jsonl").write_text((growing / "metrics.jsonl").read_text())
    assert run_page.followed(run_of("mine"), mark, {}, "light")[-1].startswith("/training/mine?at=finished")


def test_a_training_that_has_not_begun_has_its_page(home):
    """From when it is queued: it can be followed, and gone on with, though the server stops before its turn comes."""
    asked = Asked("c", "waits", more={"batch": 64})
    asked.begin()
    assert run_of("waits").state == "live" and asked_of("waits") == asked
    page = as_json(run_page.layout("waits", {}))
    assert "No line was written yet" in page and "Settings are known with its first checkpoint" in page


def test_the_newest_report_is_drawn_and_a_damaged_one_is_said(home, monkeypatch):
    """The page of a run lays out the panels of the record that was stored last."""
    report = EvalReport("sae", "mlp_out.1", "mlp_out.1", 0.4, float("nan"), 8.0, 0.0, *[3.0] * 6, *[9] * 4, name="d")
    with writing(place("dictionary", "d"), Manifest("dictionary", "d")) as beside:
        (beside / "metrics.jsonl").write_text("")
    monkeypatch.setattr("probe.model.load.stamp", lambda model: None)
    save_report("eval-d", report, None, ("d", "c"))  # type: ignore[arg-type]
    page = as_json(run_page.layout("d", {}))
    assert "Beside what it is compared with" in page and "squared error over squared" in page
    (place("result", "eval-d") / "record.json").write_text("{}")
    assert "Its newest report cannot be shown" in as_json(run_page.layout("d", {}))
