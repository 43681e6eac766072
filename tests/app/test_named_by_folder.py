"""Artifacts are known by their folder: copies and renamed ones under their new name, with links that stay on this machine."""

import json
import shutil

import pytest

from app import links
from app.jobs.job import Job, read_job
from app.pages.prompt.links import circuit_rows
from app.pages.training import form as training_form
from app.pages.training import work as trainings
from probe.artifacts.folder import place
from probe.artifacts.manifest import MANIFEST, Manifest, ModelStamp, read_manifest, writing

STAMP = ModelStamp("toy", "w" * 32, "t" * 32)


def store(kind: str, name: str) -> None:
    with writing(place(kind, name), Manifest(kind, name, STAMP, ("blocks.1.mlp.hook_in",), facts={"d_dict": 4})):
        pass


def test_a_copy_and_a_renamed_folder_have_their_own_names(home):
    store("cache", "one")
    shutil.copytree(place("cache", "one"), place("cache", "two"))
    assert json.loads((place("cache", "two") / MANIFEST).read_text())["name"] == "one"
    assert read_manifest(place("cache", "two")).name == "two"
    place("cache", "one").rename(place("cache", "three"))
    assert set(trainings.caches()) == {"two", "three"}


def test_a_name_that_is_only_dots_away(home, monkeypatch):
    store("cache", "one")
    monkeypatch.chdir(place("cache", "one"))
    assert read_manifest(".").name == "one"


def test_the_training_menu_offers_both_of_two_copies(home):
    store("cache", "one")
    shutil.copytree(place("cache", "one"), place("cache", "two"))
    laid = json.dumps(training_form.train_menu().to_plotly_json(), default=lambda c: c.to_plotly_json())
    assert '"one"' in laid and '"two"' in laid


@pytest.mark.parametrize(
    "link",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a b", "/a\nb", "x", "/\t/e"],
)
def test_links_of_stored_jobs_stay_here(tmp_path, link):
    assert not links.local(link)
    Job("a", "trace", "A job", link=link).write(tmp_path)
    assert read_job(tmp_path / "a.json").link == ""


def test_links_of_ours_are_local():
    for link in (
        "/",
        links.circuit_page("a b/c<"),
        links.unit_page("t", 3, model="toy"),
        links.artifact_page("cache", "x"),
    ):
        assert links.local(link)


def test_a_renamed_graph_is_linked_by_its_new_name(home):
    with writing(place("graph", "old"), Manifest("graph", "old", STAMP, facts={"prompt": "a b"})):
        pass
    place("graph", "old").rename(place("graph", "new"))
    (row,) = circuit_rows("toy", "a b")["rows"]
    assert (row["name"], row["href"]) == ("new", links.circuit_page("new"))
