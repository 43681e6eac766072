"""Every address that is built leads to exactly one page, and gives back the selection it was built from."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import pytest
from records import heads_of

from app import links
from app.jobs import work
from app.library.recent_records import Recent, record_bytes
from app.pages import PAGES
from app.selection import selection_from

NAME = "a name/with <b>? & 100%"
ADDRESSES = {
    "Home": links.HOME,
    "Prompts": links.PROMPTS,
    "Prompt": links.prompt_page("0123456789ab", "toy", token=3),
    "Two prompts": links.beside_page("0123456789ab", "ba9876543210", "toy"),
    "Heads": links.heads_page("toy", "0123456789ab", head="1.2"),
    "Lens": links.lens_page("toy", "0123456789ab", layer=2),
    "Neurons and features": links.UNITS,
    "Units": links.table_page(NAME),
    "Circuits": links.CIRCUITS,
    "Circuit": links.circuit_page(NAME, node=5),
    "Two circuits": links.circuits_beside(NAME, NAME),
    "Patching": links.patching_page("toy", "0123456789ab", "ba9876543210"),
    "Training": links.TRAINING,
    "Training run": links.run_page(NAME),
    "Methods": links.METHODS,
    "Method": links.method_page(NAME, {"m": "toy", "prompt": "0123456789ab"}),
    "Result": links.result_page(NAME),
    "Jobs": links.JOBS,
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_has_one_page(name):
    path = urlsplit(ADDRESSES[name]).path
    found = [page.name for page in PAGES if re.fullmatch(page.pattern, path)]
    assert found == [name]


@pytest.mark.parametrize("path", [links.unit_page(NAME, 7), links.neuron_page("toy", 3, 7), links.latent_page(NAME, 7)])
def test_units_of_every_source_have_one_page(path):
    found = [(p, m) for p in PAGES if (m := re.fullmatch(p.pattern, urlsplit(path).path))]
    assert [p.name for p, _ in found] == ["Unit"] and found[0][1]["unit"] == "7"
    assert unquote(found[0][1]["where"]) in (NAME, "3")


def test_names_come_back_from_addresses():
    path = urlsplit(links.circuits_beside(NAME, "other")).path
    page = next(p for p in PAGES if p.name == "Two circuits")
    assert {k: unquote(v) for k, v in re.fullmatch(page.pattern, path).groupdict().items()} == {
        "name": NAME,
        "other": "other",
    }


def test_the_selection_survives_an_address():
    chosen = {
        "model": "folder/a model&x",
        "prompt": "0123456789ab",
        "token": 3,
        "layer": 2,
        "head": "5.3",
        "unit": "L5N120",
        "node": 9,
    }
    query = dict(parse_qsl(urlsplit(links.address("/lens", **chosen)).query))
    assert selection_from(query) == chosen


@pytest.mark.parametrize(
    "query", [{"t": "-1"}, {"t": "²"}, {"t": "9" * 30}, {"h": "1"}, {"h": "a.b"}, {"u": "<b>"}, {"l": "x"}, {"n": ""}]
)
def test_malformed_parts_are_left_out(query):
    assert selection_from(query) == {}


def test_memory_of_records_is_bounded_by_their_size():
    class Record:
        def __init__(self):
            self.values, self.more = np.zeros(100), {"a": np.zeros(50)}

    assert record_bytes(Record()) == 1200
    kept = Recent(10, most=3000)
    for name in "abcd":
        kept.put(name, Record())
    assert kept.keys() == ["c", "d"]
    together = Recent(10, most=1, least=2)
    for name in "abc":
        together.put(name, Record())
    assert together.keys() == ["b", "c"]  # a page's own records never drive each other out
    huge = Recent(10, most=1)
    huge.put("only", Record())
    assert huge.keys() == ["only"]  # the newest is kept whatever it takes
    assert record_bytes((Record(), [Record()])) == 2400 == record_bytes({"a": Record(), "b": (Record(), None)})
    outer = Record()
    outer.inner, outer.words = (Record(), Record()), [["many"] * 1000] * 5  # as pages keep them
    assert 3600 + 5000 * 50 < record_bytes(outer) < 3600 + 5000 * 80


def test_work_of_equal_keys_is_done_once_and_kept(home):
    from app.jobs import table as jobs

    done = []
    key = work.key_of("count", "toy", {"b": 1, "a": 2})
    assert key == work.key_of("count", "toy", {"a": 2, "b": 1}) != work.key_of("count", "toy", {"a": 2, "b": 2})
    one = work.Work(key, "Count", lambda progress: done.append(1) or "found")
    assert work.result(key) is None
    work.submit(one)
    jobs.job_table().wait(jobs.job_table().latest(key).id)
    assert work.result(key) == "found" and work.submit(one) == key and done == [1]
    assert work.result(None) is None


@pytest.mark.parametrize("head", ["².1", "1.²", "9.9", "-1.0", "1.", ".", "1.1.1", None, [1], 1.5])
def test_a_head_that_is_none_is_another(head):
    from app.selection import chosen_head

    patterns = heads_of("one two", ["one", " two"])
    layer, number = chosen_head({"head": head}, patterns)
    assert 0 <= layer < patterns.patterns.shape[0] and 0 <= number < patterns.patterns.shape[1]


def test_a_hundred_readings_do_not_fill_the_memory(home):
    from records import heads_of

    from app.library import recent_records

    tokens = [f"t{i}" for i in range(240)]
    for i in range(100):  # 1.4 MB of patterns each, and their metrics
        recent_records.remember("heads", "toy", f"prompt {i}", heads_of(f"prompt {i}", tokens))
    kept = [recent_records.known("heads", "toy", f"prompt {i}") for i in range(100)]
    found = [record for record in kept if record is not None]
    assert found and sum(record_bytes(record) for record in found) <= 1.5e8
