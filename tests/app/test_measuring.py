"""Units of which no cache holds anything are measured from the page: one job harvests and builds the table."""

import numpy as np
import pytest

from app.components.measuring import measure_button
from app.jobs import again as repeating
from app.jobs import measuring
from app.jobs import table as jobs
from app.library import models, units
from app.pages.unit import page as unit
from app.pages.unit_browser.page import layer_offer, layer_rows
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.features import open_features


def test_neurons_are_harvested_and_measured_as_one_job(home, monkeypatch):
    monkeypatch.setattr(measuring, "TOKENS", 2000)
    models.model_named("toy")
    words = measuring.plan_words("toy", 1)
    assert "2,000 tokens" in words and "on disk" in words and "mlp_in.1" in words
    page = str(unit.layout("neuron", "1", "3", {"m": "toy"}))
    assert "Harvest and measure" in page and "openwork harvest" not in page
    assert "Harvest and measure" in str(layer_offer("toy", 1)) and layer_offer("toy", 99) == []
    link = measuring.start("toy", 1)
    job = jobs.job_table().latest(f"features:{link.rpartition('/')[2]}")
    assert measuring.start("toy", 1) == link  # equal questions are one job
    assert sum(j.kind == "features" for j in jobs.job_table().all()) == 1
    assert jobs.job_table().wait(job.id, 120).state == "done", job.message
    table = open_features(place("features", link.rpartition("/")[2]))
    assert table.kind == "neuron" and table.n_tokens > 1000 and np.isfinite(table.column("max")).any()
    assert units.unit_at("neuron", "1", "3", {"m": "toy"}).table is not None
    assert [r["measured"].split()[0] for r in layer_rows("toy")["rows"] if r["layer"] == "L1"] == ["table"]
    assert layer_offer("toy", 1) == []  # it is measured now
    assert job.again == ["measure", {"model": "toy", "what": 1}] and "measure" in repeating.TASKS
    assert read_manifest(place("cache", "toy-mlp_in.1-2k")).sites == ("blocks.1.mlp.hook_in",)


@pytest.mark.parametrize(
    ("model", "what"), [("toy", 99), ("toy", "nothing"), ("/etc", 1), ("toy", None), ("toy", True)]
)
def test_what_cannot_be_measured_is_said(home, model, what):
    with pytest.raises(BadInput):
        measuring.start(model, what)
    assert not jobs.job_table().all() and measure_button("toy", 1)
