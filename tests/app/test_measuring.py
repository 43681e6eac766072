"""Units of which no cache holds anything are measured from their page: one job harvests and builds the table."""

import numpy as np
import pytest

from app.jobs import repeat_job as repeating
from app.jobs import table as jobs
from app.jobs.work import submit
from app.library import models, units
from app.methods.method_jobs import found, key_for, work_of
from app.methods.result_links import ways
from app.pages.unit import page as unit
from app.pages.unit_browser.page import layer_rows
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput
from probe.features import open_features
from probe.features.measuring.caches import Asked
from probe.methods.call import Call


def test_neurons_are_harvested_and_measured_as_one_job(home):
    models.model_named("toy")
    asked = Asked.of("toy", None, 1)
    words = asked.in_words(2000)
    assert "2,000 tokens" in words and "on disk" in words and "mlp_in.1" in words and asked.caches() == []
    page = str(unit.layout("neuron", "1", "3", {"m": "toy"}))
    assert "Not measured yet" in page and asked.in_words(100_000) in page and layer_rows("toy")["rows"] == []
    call = Call.checked("measure-units", "toy", {"layer": 1, "read": 2000})
    key = submit(work_of(call))
    job = jobs.job_table().latest(key)
    assert submit(work_of(call)) == key and jobs.job_table().latest(key).id == job.id  # equal questions are one job
    assert jobs.job_table().wait(job.id, 120).state == "done", job.message
    table = open_features("neurons-1-on-toy-mlp_in.1-2k")
    assert table.kind == "neuron" and table.n_tokens > 1000 and np.isfinite(table.column("max")).any()
    assert units.unit_at("neuron", "1", "3", {"m": "toy"}).table is not None
    assert [r["measured"].split()[0] for r in layer_rows("toy")["rows"] if r["layer"] == "L1"] == ["table"]
    assert read_manifest(place("cache", "toy-mlp_in.1-2k"), "cache").sites == ("blocks.1.mlp.hook_in",)
    assert asked.caches() == ["toy-mlp_in.1-2k"] and "toy-mlp_in.1-2k" in asked.in_words(2000)
    assert found(key).record.to_dict()["n_units"] == 128 and table.folder.name in str(ways(call))
    repeating.TASKS["measure"]({"model": "toy", "what": 1, "cache": "toy-mlp_in.1-2k"})  # a row of before: it is there


@pytest.mark.parametrize(
    ("model", "asked"),
    [("toy", {"dictionary": "nothing"}), ("/etc", {"layer": 1}), ("toy", {}), ("toy", {"layer": True})],
)
def test_what_cannot_be_measured_is_said(home, model, asked):
    def ask() -> None:
        submit(work_of(Call.checked("measure-units", models.require_offered(model), asked)))

    with pytest.raises(BadInput):
        ask()
    assert not jobs.job_table().all()


def test_a_table_that_is_gone_is_measured_again(home):
    import shutil

    models.model_named("toy")
    call = Call.checked("measure-units", "toy", {"layer": 1, "read": 600})
    first = submit(work_of(call))
    jobs.job_table().wait(jobs.job_table().latest(first).id, 120)
    shutil.rmtree(place("features", "neurons-1-on-toy-mlp_in.1-0k"))
    again = submit(work_of(call))
    assert again != first and jobs.job_table().wait(jobs.job_table().latest(again).id, 120).state == "done"
    assert place("features", "neurons-1-on-toy-mlp_in.1-0k").is_dir() and key_for(call) == first
