"""What `make docs` makes pages of, and that a page which fetches something from elsewhere, or leads nowhere, is found."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from paths import ROOT

from circuits.studies.catalogue import studies
from probe.methods.read_declarations import REQUIRED, declared_in
from probe.show.glossary import WORDS
from scripts.documenting import catalogue, copied, rooms, tried
from scripts.documenting.docstrings_text import fenced
from scripts.documenting.notebooks import notebooks
from scripts.documenting.offline import problems
from scripts.documenting.pages import Page, menu, write
from scripts.documenting.shell import commands
from scripts.documenting.small_svg import HEIGHT, MARGIN, WIDTH, small_svg
from scripts.documenting.studies import declared
from scripts.documenting.words import glossary


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "fetches https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "fetches //fonts.example/a.css"),
        ("<style>@font-face{src:url(https://f.example/a.woff2)}</style>", "fetches https://f.example/a.woff2"),
        ("<p style=\"background:url('http://i.example/a.png')\">", "fetches http://i.example/a.png"),
        ('<a href="gone.html">', "leads to gone.html"),
        ('<a href="index.html#nowhere">', "leads to index.html#nowhere"),
    ],
)
def test_what_comes_from_elsewhere_or_leads_nowhere_is_found(tmp_path, html, said):
    (tmp_path / "index.html").write_text(f"<h1 id='top'>x</h1>{html}", encoding="utf8")
    found = list(problems(tmp_path))
    assert len(found) >= 1 and said in " ".join(found)


def test_a_page_that_keeps_to_itself_is_well(tmp_path):
    page = '<h1 id="top">x</h1><a href="#top">up</a><a href="https://example.org">away</a><img src="data:image/png;base64,">'
    (tmp_path / "index.html").write_text(page, encoding="utf8")
    assert not list(problems(tmp_path)) and list(problems(tmp_path / "none"))
    (tmp_path / "a.css").write_text("body{background:url(https://x.example/a.png)}", encoding="utf8")
    assert list(problems(tmp_path)) == ["a.css fetches https://x.example/a.png from elsewhere."]


def test_documents_lead_to_pages():
    pages = {page.path: page for page in copied.documents(ROOT)}
    assert {"index.md", "start.md", "coming-from.md", "studies/two-circuits.md", "contributing.md"} <= set(pages)
    assert "](contributing.md)" in pages["index.md"].text and "](studies/two-circuits.md)" in pages["index.md"].text
    assert "pictures/circuit-light.png" in pages["index.md"].files and "docs/screens" not in pages["index.md"].text
    assert "](../pictures/" in pages["studies/two-circuits.md"].text


def test_the_glossary_has_every_word():
    text = glossary().text
    assert all(f"### {word.name} " in text and word.good in text for word in WORDS.values())


@pytest.mark.slow
def test_the_reference_has_every_public_name():
    import circuits
    import probe

    index, *pages = rooms.reference(ROOT)
    named = {name for page in pages for name in re.findall(r"^(?:::: [\w.]+\.|### )(\w+)", page.text, re.M)}
    assert any("### Ablate" in page.text and "Another name of `Zero`" in page.text for page in pages)
    assert {*probe.__all__, *circuits.__all__} <= named
    assert "[`logit_lens`](probe-lens.md#probe.lens.logit.logit_lens)" in index.text


def test_every_command_is_in_the_reference():
    text = commands().text
    assert all(f"## openwork {name}\n" in text for name in ("lens", "trace", "serve", "graph test"))
    assert "`--max-nodes`" in text


def test_a_method_has_its_page(monkeypatch):
    [about] = [one for one in declared_in("sample_method") if one.name == "count-tokens"]
    monkeypatch.setattr(catalogue, "groups", lambda: {"sample": [about]})
    monkeypatch.setattr(catalogue, "example", lambda about, model: None)
    svg = "<svg></svg>"
    monkeypatch.setattr(catalogue, "picture", lambda record: svg)
    everything, one = catalogue.catalogue({"count-tokens": ("a record", "")})
    assert one.path == "methods/count-tokens.md" and one.files == {"pictures/method-count-tokens.svg": svg.encode()}
    assert "[count-tokens](count-tokens.md)" in everything.text and "method-count-tokens.svg" in everything.text
    assert "| `times` | How often it is counted. | `2` | a whole number from 1 to 9 |" in one.text
    assert "*Nobody (2026)*" in one.text and "Three doors" in one.text


def test_an_example_has_what_a_method_needs():
    [about] = [one for one in declared_in("sample_method") if one.name == "count-tokens"]
    needed = {p.name for p in about.parameters if p.required}
    given = {p.name: tried.GIVEN[p.kind.control] for p in about.parameters if p.required}
    assert needed == {"prompt"} and given == {"prompt": tried.PROMPT}


def test_a_number_that_is_needed_has_an_example():
    (about,) = declared_in("sample_method")
    needed = tuple(replace(p, default=REQUIRED) if p.name in ("times", "share") else p for p in about.parameters)
    call = tried.example(replace(about, parameters=needed), "toy")
    assert call is not None and (call.arguments["times"], call.arguments["share"]) == (1, 1.0)


def test_a_small_picture_is_the_figure():
    """A heat map fills the picture, a bar of half the height is half as tall, a point stands where it belongs."""
    heat = small_svg(go.Figure(go.Heatmap(z=[[0.0, 1.0], [2.0, 3.0]])))
    box = re.search(r'<image x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', heat)
    assert [float(v) for v in box.groups()] == [MARGIN, MARGIN, WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN]
    bars = small_svg(go.Figure(go.Bar(y=[2.0, 1.0])))
    assert [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', bars)] == [
        HEIGHT - 2 * MARGIN,
        (HEIGHT - 2 * MARGIN) / 2,
    ]
    dots = small_svg(go.Figure(go.Scatter(x=[0, 1], y=[0.0, np.nan], mode="markers")))
    assert dots.count("<circle") == 1 and f'cx="{MARGIN:.1f}"' in dots
    assert small_svg(go.Figure(go.Pie(values=[1, 2]))) == "" == small_svg(go.Figure())


def test_a_notebook_keeps_what_it_showed(tmp_path):
    (tmp_path / "notebooks").mkdir()
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["<b>said\n"]},
        {"output_type": "display_data", "data": {"image/png": base64.b64encode(b"png").decode()}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/html": "<p>\n\nshown</p>", "text/plain": "x"}, "metadata": {}},
    ]
    cells = [
        {"cell_type": "markdown", "source": "# Title\n[next](02_b.ipynb) [study](../docs/two-circuits.md)"},
        {"cell_type": "code", "source": "print(1)", "outputs": outputs},
    ]
    (tmp_path / "notebooks/01_a.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf8")
    [page] = notebooks(tmp_path)
    assert page.title == "Title" and "](02_b.md)" in page.text and "](../studies/two-circuits.md)" in page.text
    assert "&lt;b&gt;said" in page.text and "<p>\nshown</p>" in page.text
    assert page.files == {"pictures/notebook-01_a-1-1.png": b"png"}


def test_pages_are_written_with_their_menu(tmp_path):
    pages = [Page("a.md", "A", "# A", "Start", {"x.svg": b"<svg/>"}), Page("b/c.md", "C", "# C", "Reference")]
    settings = json.loads(write(pages, tmp_path / "out", ROOT).read_text(encoding="utf8"))
    assert settings["nav"] == menu(pages) == [{"Start": [{"A": "a.md"}]}, {"Reference": [{"C": "b/c.md"}]}]
    assert (tmp_path / "out/pages/b/c.md").read_text() == "# C" and (tmp_path / "out/pages/x.svg").is_file()


def test_what_a_docstring_types_is_a_block():
    assert fenced("Says.\n\n>>> a = 1\n>>> a\n1\n\nMore.") == "Says.\n\n```python\n>>> a = 1\n>>> a\n1\n```\n\nMore."
    assert fenced("Nothing typed.") == "Nothing typed."


def test_every_study_has_its_claims_and_rules():
    text = declared(ROOT).text
    for one in studies():
        assert one.title in text and f"openwork study {one.name}" in text
        assert all(sentence in text for sentence in one.claims.values())
        assert all(claim.rule.words() in text for claim in one.study().claims)
