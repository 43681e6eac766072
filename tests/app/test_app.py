"""The dashboard without a browser: who may ask, what starts, jobs that outlive the process, views that add up."""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.utils import PlotlyJSONEncoder
from records import HOSTILE, heads_of, lens_of, small_graph, store_graph

from app.cli import run
from app.components import drawn, snippets
from app.figures import dress, linkgraph
from app.figures.heads import pattern_figure
from app.frame.theme import ASSETS
from app.jobs import readings
from app.jobs import table as jobs
from app.jobs.readings import reading_key, start_reading
from app.library import artifacts, graphs, models, prompts, recent_records
from app.pages.circuit import callbacks as graph_callbacks
from app.pages.circuit import panels as graph_panels
from app.pages.prompt import tables as prompt_tables
from app.pages.prompt.page import panels
from app.pages.prompt.panels import patterns_in_python
from app.server import other_hosts, request_guard
from app.server.main import create_app, make_server, serve
from circuits.graph.figures import N_EDGE_TRACES
from circuits.graph.node_positions import arrange
from circuits.graph.rows import edge_rows
from circuits.graph.store import load_graph, save_graph
from probe.artifacts.folder import place
from probe.artifacts.manifest import ModelStamp
from probe.errors import BadInput, Unavailable
from probe.methods.call import Call
from probe.model.sites import short_name


@pytest.fixture(scope="module")
def server():
    return create_app().server


@pytest.fixture
def client(server, home):
    return server.test_client()


def callback(client, **headers: str):
    return client.post("/_dash-update-component", json={}, headers=headers)


# -- safety ----------------------------------------------------------------------------------------------------------


def test_pages_carry_a_strict_policy(client):
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_other_hosts_are_refused(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "127.0.0.1:8050"}).status_code == 200


def test_hosts_are_checked_without_the_web_frameworks_help(server, home, monkeypatch):
    monkeypatch.setitem(server.config, "TRUSTED_HOSTS", None)
    client = server.test_client()
    for good in ("localhost", "LOCALHOST:80", "127.0.0.5:8050", "[::1]:8050", "[::1]"):
        assert client.get("/", headers={"Host": good}).status_code == 200, good
    for bad in ("", "evil.example", "127.0.0.1.evil.example:8050", "x@127.0.0.1", "[::2]", "128.0.0.1", "127.0.0.1:x"):
        assert client.get("/", headers={"Host": bad}).status_code == 400, bad


def test_the_address_shown_is_the_one_served(monkeypatch, capsys, home):
    class Idle:
        server_port = 8050
        serve_forever = server_close = lambda self: None

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("app.server.main.make_server", lambda *a, **k: Idle())
    for host, shown in (("::1", "[::1]"), ("[::1]", "[::1]"), ("127.0.0.5", "127.0.0.5"), ("localhost", "localhost")):
        serve(host, open_browser=False)
        assert f"http://{shown}:8050/" in capsys.readouterr().err
    assert os.environ["HF_HUB_OFFLINE"] == "1"  # no model named on a page is asked for on the network


@pytest.mark.parametrize(
    "header", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_posts_from_elsewhere_are_refused(client, header):
    assert callback(client, **header).status_code == 403


def test_posts_from_our_pages_pass_the_check(client):
    assert callback(client, Origin="http://localhost").status_code != 403


def test_large_bodies_are_refused(client):
    answer = client.post(
        "/_dash-update-component", data=b"x" * (request_guard.MAX_BODY + 1), content_type="application/json"
    )
    assert answer.status_code == 413
    assert b"Traceback" not in answer.data


def test_failures_show_no_trace(client):
    answer = callback(client)
    assert b"Traceback" not in answer.data and b"File " not in answer.data


def test_other_interfaces_need_a_token():
    with pytest.raises(BadInput, match="token"):
        other_hosts.require_token("0.0.0.0", None)
    with pytest.raises(BadInput, match="16 characters"):
        other_hosts.require_token("192.168.1.5", "short")
    other_hosts.require_token("127.0.0.1", None)
    other_hosts.require_token("::1", None)


def test_token_is_asked_once_and_kept_in_a_cookie(home):
    client = create_app(token="0123456789abcdef").server.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    shown = client.get("/?token=0123456789abcdef")
    assert shown.status_code == 302 and "token" not in shown.headers["Location"]
    assert client.get("/").status_code == 200


def test_two_dashboards_keep_a_cookie_each_and_addresses_keep_what_they_ask(home):
    """Browsers send a host's cookies to all of its ports."""
    first, second = "0123456789abcdef", "fedcba9876543210"
    jar = create_app(token=first).server.test_client()
    for token, port in ((first, "8050"), (second, "8051")):
        jar.application = create_app(token=token).server
        at = {"environ_overrides": {"SERVER_PORT": port}}
        shown = jar.get(f"/circuits/a?m=toy&token={token}&p=x%26y", **at)
        assert shown.status_code == 302 and shown.headers["Location"] == "/circuits/a?m=toy&p=x%26y"
    for token, port in ((first, "8050"), (second, "8051")):
        jar.application = create_app(token=token).server
        assert jar.get("/alive", environ_overrides={"SERVER_PORT": port}).status_code == 204
    away = create_app(token=first).server.test_client().get("//evil.example/x", query_string={"token": first})
    assert not away.headers.get("Location", "/").startswith(("//", "http"))


def test_a_page_behind_a_proxy_is_told_why_and_how(home):
    """The proxy rewrites Host, so our own page's origin is another than the server knows."""
    seen = "https://name-8050.app.example"
    headers = {"Origin": seen, "Sec-Fetch-Site": "same-origin"}
    plain = create_app().server.test_client()
    refused = callback(plain, **headers)
    assert refused.status_code == 403 and refused.headers[request_guard.REFUSED] == "origin"
    assert f"--allow-origin {seen}" in refused.text and "localhost" in refused.text
    stranger = callback(plain, Origin=seen, **{"Sec-Fetch-Site": "cross-site"})
    assert stranger.status_code == 403 and request_guard.REFUSED not in stranger.headers
    token = "0123456789abcdef"
    known = create_app(token, seen_at=(seen,)).server.test_client()
    assert callback(known, **headers).status_code == 401  # the token is asked for all the same
    known.get(f"/?token={token}")
    assert callback(known, **headers).status_code not in (401, 403)
    assert callback(known, Origin="https://other.example", **{"Sec-Fetch-Site": "same-origin"}).status_code == 403
    # where it does not rewrite: another host to a browser, whose cookie is its own
    assert known.get("/alive", headers={"Host": "name-8050.app.example"}).status_code == 401
    assert known.get("/alive", headers={"Host": "other.example"}).status_code == 400


def test_origins_are_checked_and_need_a_token():
    for bad in ("*", "https://a b", "javascript:alert(1)", "https://a/path", "null", ""):
        with pytest.raises(BadInput, match="no origin"):
            other_hosts.check_origins((bad,), "0123456789abcdef")
    with pytest.raises(BadInput, match="needs a token"):
        other_hosts.check_origins(("https://a.example",), None)
    other_hosts.check_origins((), None)


def test_ports_below_1024_are_refused_as_the_message_says():
    for port in (0, 80, 1023, 65536, -1):
        with pytest.raises(BadInput, match="between 1024 and 65535"):
            serve(port=port, open_browser=False)


def test_a_model_that_nothing_is_of_yet_can_be_opened_by_whoever_starts_the_server(home, tmp_path, monkeypatch):
    """By its registered name; what a request says loads nothing else."""
    from app.components.promptbox import box_panel
    from app.library import models

    monkeypatch.setattr(models, "_offered", [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.GGUF").write_bytes(b"GGUF")
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadInput, match="none of the models known here"):
        models.require_offered(str(tmp_path / "new.GGUF"))
    name = models.offer("new.GGUF")
    assert name == str(tmp_path / "new.GGUF") == models.models()[0] == models.require_offered(name)
    assert '"value": "' + name in json.dumps(box_panel().to_plotly_json(), cls=PlotlyJSONEncoder)
    assert models.offer("toy") == "toy" and models.models().count("toy") == 1
    with pytest.raises(BadInput, match="none of the models known here"):
        models.require_offered(str(tmp_path / "other.gguf"))
    for gone in ("missing.gguf", "./folder", "a/b/c", "no such"):
        with pytest.raises(BadInput, match="no model file or folder"):
            models.offer(gone)


def test_binds_loopback_whatever_the_environment_says(monkeypatch, home):
    monkeypatch.setenv("HOST", "0.0.0.0")
    server = make_server(port=0)
    try:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(Unavailable, match=f"--port {server.server_port + 1}"):
            make_server(port=server.server_port)
    finally:
        server.server_close()


def test_starts_without_torch():
    code = (
        "import sys\nfrom app.server.main import create_app\n"
        "create_app().server.test_client().get('/')\nprint('torch' in sys.modules, 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "False True"  # pandas before any thread could import half of it under plotly's eyes


def test_menu_of_models_is_the_real_one():
    from probe.model.load import ALIASES

    assert models.MODELS == ALIASES


def test_plotly_bundle_is_the_wheels_version():
    from plotly.offline import get_plotlyjs_version

    head = (ASSETS / "plotly-cartesian.min.js").read_text(encoding="utf8")[:200]
    assert f"v{get_plotlyjs_version()}" in head


def test_assets_name_no_other_machine():
    for file in [*ASSETS.glob("*.css"), *(f for f in ASSETS.glob("*.js") if "plotly" not in f.name)]:
        text = file.read_text(encoding="utf8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text and "innerHTML" not in text and "eval(" not in text, (
            file.name
        )


def test_browsers_keep_what_changes_its_address_and_ask_for_the_rest(client):
    page = client.get("/")
    addresses = re.findall(r'/assets/[^"]+\?m=[^"]+', page.text)
    assert len(addresses) > 20
    for address in [*addresses[:3], "/assets/fonts/inter.woff2", "/assets/favicon.svg"]:
        assert client.get(address).headers["Cache-Control"] == "private, max-age=3600", address
    assert client.get("/assets/00-base.css").headers["Cache-Control"] == "no-cache"
    assert "max-age" not in page.headers.get("Cache-Control", "")
    assert "max-age" not in client.get("/assets/nothing.css?m=1").headers.get("Cache-Control", "")


def test_answers_are_packed_for_browsers_that_can_unpack(client):
    page = client.get("/").text
    scripts = re.findall(r'<script src="([^"]+)"', page)
    assert len(scripts) > 20
    sent = 0
    for address in scripts:
        plain = client.get(address)
        packed = client.get(address, headers={"Accept-Encoding": "gzip, br"})
        assert "Content-Encoding" not in plain.headers
        if packed.headers.get("Content-Encoding") == "gzip":
            assert gzip.decompress(packed.data) == plain.data and packed.headers["Vary"] == "Accept-Encoding"
            assert int(packed.headers["Content-Length"]) == len(packed.data)
        sent += len(packed.data)
    assert sent < 1.3e6, "the scripts of a page take 6 seconds at 1.6 Mbit/s"
    font = client.get("/assets/fonts/inter.woff2", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in font.headers  # packed already


def test_words_stand_in_the_page_before_its_scripts_do(client):
    page = client.get("/circuits").text
    waiting = page[page.index('id="react-entry-point"') : page.index("<footer>")]
    assert "This page is on its way" in waiting and '<a href="/circuits">Circuits</a>' in waiting


def test_the_scheme_is_set_in_the_page_and_told_to_the_server(client):
    page = client.get("/")
    script = re.search(r"<script>(.*?)</script>", page.text, re.S)[1]
    hashed = b64encode(sha256(script.encode()).digest()).decode()
    assert "data-mantine-color-scheme" in script and f"'sha256-{hashed}'" in page.headers["Content-Security-Policy"]
    for cookie, worn in (("dark", "dark"), ("light", "light"), ("pink", "light")):
        with client.application.test_request_context("/", headers={"Cookie": f"openwork_scheme={cookie}"}):
            assert dress.worn() == worn
    assert dress.worn() == "light"


def test_figures_wear_our_template_alone():
    figure = dress.dress(go.Figure(go.Bar(x=[1], y=[2])), "dark", bargap=0.2)
    assert figure.to_plotly_json()["layout"]["template"] == go.layout.Template(dress.TEMPLATES["dark"]).to_plotly_json()
    assert figure.layout.bargap == 0.2


# -- stored things ---------------------------------------------------------------------------------------------------


def test_exports(client, home):
    store_graph("small")
    ours = client.get("/export/graph/small/openwork.json").get_json()
    theirs = client.get("/export/graph/small/neuronpedia.json").get_json()
    assert len(ours["nodes"]) == 5 and ours["report"]["conservation_residual"] == 4e-7
    assert {"metadata", "nodes", "links"} <= set(theirs)


@pytest.mark.parametrize("name", ["nothing", "..", "..%2f..%2fetc", "small%00"])
def test_exports_reach_registered_graphs_only(client, home, name):
    store_graph("small")
    answer = client.get(
        f"/export/graph/{name}/openwork.json", follow_redirects=True
    )  # odd paths fall through to the page shell
    assert answer.mimetype != "application/json"


def test_prompts_are_kept_by_id(home):
    kept = prompts.store("The capital", "toy")
    assert prompts.load(kept.id).text == "The capital"
    assert prompts.store("The capital", "toy").id == kept.id
    assert [p.id for p in prompts.recent()] == [kept.id]
    for bad in ("", "   \n"):
        with pytest.raises(BadInput, match="empty"):
            prompts.store(bad, "toy")
    with pytest.raises(BadInput, match="20,000"):
        prompts.store("x" * 20_001, "toy")
    for bad in ("../../etc/passwd", "0" * 12, "zz"):
        with pytest.raises(BadInput, match="stored here"):
            prompts.load(bad)


def test_damaged_artifacts_are_named(home):
    folder = store_graph("broken")
    (folder / "manifest.json").write_text("{")
    assert [name for name, _ in artifacts.library().damaged] == ["graphs/broken"]
    with pytest.raises(BadInput):
        artifacts.registered("graph", "../graphs/broken")


def test_local_models_are_offered_by_path_and_shown_by_name(home, tmp_path):
    local = str(tmp_path)
    for name, model in (("here", local), ("gone", "/nowhere/model")):
        save_graph(small_graph(), place("graph", name), model=ModelStamp(model, "w", "t"))
    assert models.models() == [*models.MODELS, local]
    assert models.short_model(local) == tmp_path.name and models.short_model("owner/name") == "owner/name"
    start_reading(local, prompts.store("some text", local))
    job = jobs.job_table().latest(reading_key(local, prompts.store("some text", local)))
    jobs.job_table().cancel(job.id)
    assert job.link.endswith(f"?m={quote(local)}")


def test_sites_are_called_what_the_glossary_calls_them():
    names = ("blocks.4.hook_mlp_out", "blocks.1.attn.hook_q", "blocks.4.mlp.hook_in", "hook_embed", "other")
    assert [short_name(n) for n in names] == ["mlp_write.4", "q.1", "mlp_in.4", "embed", "other"]


def test_a_replaced_graph_is_arranged_again(home):
    store_graph("small")
    first = graph_callbacks.arranged("small", 1.0)[1]
    assert graph_callbacks.arranged("small", 1.0)[1] is first
    time.sleep(0.01)
    store_graph("small")
    assert graph_callbacks.arranged("small", 1.0)[1] is not first


def test_replaced_graph_is_read_again(home):
    store_graph("small")
    first = graphs.stored_graph("small")
    assert graphs.stored_graph("small") is first
    time.sleep(0.01)
    store_graph("small")
    assert graphs.stored_graph("small") is not first


# -- jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_runs_reports_and_ends(home):
    table = jobs.job_table()

    def work(progress):
        with progress.stage("count", total=3) as step:
            for _ in range(3):
                step(1)
        return "/done"

    job = table.submit("test", "Count", work, key="count")
    assert table.wait(job.id).state == "done"
    assert (job.link, job.stage, job.done, job.share) == ("/done", "count", 3, 1.0)
    end = time.monotonic() + 10  # the file is written a moment after the state changes
    while (kept := json.loads((home / "jobs" / f"{job.id}.json").read_text())["state"]) != "done":
        assert time.monotonic() < end, kept
        time.sleep(0.01)


def test_equal_keys_are_one_job_and_cancel_stops_it(home):
    table, began = jobs.job_table(), threading.Event()

    def work(progress):
        with progress.stage("endless") as step:
            while True:
                began.set()
                step(1)
                time.sleep(0.005)

    first = table.submit("test", "Endless", work, key="endless")
    assert table.submit("test", "Endless", work, key="endless").id == first.id
    waiting = table.submit("test", "Next", lambda p: None, key="next")
    assert began.wait(10)
    table.cancel(waiting.id)
    assert table.get(waiting.id).state == "cancelled"
    table.cancel(first.id)
    assert table.wait(first.id, 10).state == "cancelled"
    after = table.submit("test", "After", lambda p: "/x")
    assert table.wait(after.id, 10).state == "done"


def test_failures_are_sentences(home, caplog):
    table = jobs.job_table()

    def bad(progress):
        raise BadInput("The prompt is empty.")

    def bug(progress):
        raise ZeroDivisionError("secret detail")

    assert table.wait(table.submit("test", "bad", bad).id).message == "The prompt is empty."
    job = table.wait(table.submit("test", "bug", bug).id)
    assert job.state == "failed" and "secret" not in job.message
    assert "secret detail" in caplog.text


def test_a_new_server_says_what_was_interrupted(home):
    code = (
        "import os, time\nfrom app.jobs import table as jobs\n"
        "def work(p):\n    with p.stage('long', total=100) as step:\n        step(40)\n        time.sleep(60)\n"
        "jobs.job_table().submit('test', 'Long', work)\nwhile not jobs.job_table().all()[0].done: time.sleep(0.01)\nos._exit(9)\n"
    )
    environment = {**os.environ, "OPENWORK_HOME": str(home)}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=Path(__file__).parents[2], check=False)
    (job,) = jobs.Jobs(home / "jobs").all()
    assert job.state == "interrupted" and "stopped before" in job.message
    (home / "jobs" / "broken.json").write_text("{")
    assert len(jobs.Jobs(home / "jobs").all()) == 1


# -- views -----------------------------------------------------------------------------------------------------------


def test_connections_add_up_to_the_value():
    graph = small_graph()
    for node in np.flatnonzero(graph.explained):
        rows = edge_rows(graph, int(node))
        assert rows[-1]["unit"] == "sum = value"
        assert sum(r["weight"] for r in rows[:-1]) == pytest.approx(graph.nodes.value[node])
        assert sum(r["share"] for r in rows if r["share"] is not None) == pytest.approx(1.0)


def test_many_connections_are_cut_and_still_add_up():
    rows = edge_rows(small_graph(), 4, k=1)
    assert [r["unit"] for r in rows] == ["L0N11", "2 weaker edges", "constant", "sum = value"]
    assert sum(r["weight"] for r in rows[:-1]) == pytest.approx(2.5)


def test_arrangement_keeps_what_it_says():
    graph = small_graph()
    everything = arrange(graph, 1.0)
    assert len(everything.nodes) == 5 and everything.held == pytest.approx(1.0)
    some = arrange(graph, 0.3)
    assert some.held >= 0.3
    assert set(np.flatnonzero(graph.nodes.where("token", "logit"))) <= set(some.nodes)
    pos = graph.nodes.pos[everything.nodes]
    assert (everything.columns[pos] < everything.x).all() and (everything.x < everything.columns[pos + 1]).all()
    assert len(set(zip(everything.x, everything.y, strict=True))) == 5  # no node hides another


def test_graph_figure_sends_only_the_selected_nodes_edges():
    graph = small_graph()
    shown = arrange(graph, 1.0)
    figure = linkgraph.link_figure(graph, shown, 4)
    lines = figure.data[:N_EDGE_TRACES]
    assert sum(len(t.x) // 3 for t in lines) == 3
    dashed = [t for t in lines if t.line.dash != "solid" and len(t.x)]
    assert len(dashed) == 1 and all(t.type in ("scatter", "heatmap", "bar") for t in figure.data)
    assert "<i>" not in figure.to_json().replace("\\u003c", "<").replace("<b>", "")


def test_figures_escape_tokens():
    lens, heads = lens_of("x", HOSTILE), heads_of("x", HOSTILE)
    for figure in (lens.figure(), lens.figure("entropy"), pattern_figure(heads, 0, 0)):
        text = figure.to_json().replace("\\u003c", "<")
        assert "<img" not in text and "<b>" not in text and "<script" not in text


@pytest.mark.parametrize("n", [360, 512, 1000])
def test_patterns_of_long_prompts_are_sent_in_a_megabyte(n):
    from app.figures.dress import dress
    from app.figures.heads import pattern_figure
    from probe.heads.pattern_scores import head_metrics
    from probe.heads.patterns import HeadPatterns

    pattern = np.tril(np.random.default_rng(n).random((1, 1, n, n)).astype(np.float32))
    pattern[..., n - 1, 3] = 0.98765
    heads = HeadPatterns("x", list(range(n)), ["·token"] * n, pattern, head_metrics(pattern, list(range(n))))
    for figure in (pattern_figure(heads, 0, 0), dress(heads.figure(0, 0, margins=True), "light")):
        assert len(figure.to_json()) < 1_000_000
        z = np.asarray(figure.data[0].z)
        assert np.isnan(z[0, -1]) and z[-1, 3 * len(z) // n] >= np.float32(0.9876)  # a block keeps its largest


def test_long_patterns_are_shrunk_without_losing_peaks():
    wide = np.zeros((1, 1, 1000, 1000), np.float32)
    wide[0, 0, 999, 3] = 1
    small = drawn.shrink(wide, 512)
    assert small.shape == (1, 1, 500, 500) and small[0, 0, 499, 1] == 1
    data = drawn.thumbs_data(wide, {"self": np.zeros((1, 1))}, {})
    assert data["side"] == 40 and len(data["data"]) < 4000


def test_selection_out_of_range_is_mended():
    lens, heads = lens_of("x", ["a", "b"]), heads_of("x", ["a", "b"])
    chosen = prompt_tables.complete({"token": 99, "layer": -3, "head": "7.7"}, lens, heads)
    assert chosen["token"] == 1 and chosen["layer"] == len(lens.layers) - 1
    layer, head = map(int, chosen["head"].split("."))
    assert layer < 2 and head < 3


def test_analyses_keep_what_they_found(toy, home):
    first = readings.reading("lens", "toy", "The capital of France is")
    assert readings.reading("lens", "toy", "The capital of France is") is first
    assert recent_records.known("lens", "toy", "another prompt") is None


def test_python_snippets_run_as_printed(home):
    prompt = "Braces {x} and 'quotes'\n"
    python = patterns_in_python("toy", prompt)
    called = [("logit-lens", "ow.norm_figure(record)"), ("strongest-units", "record.at(-1)")]
    calls = [snippets.lines_of(Call.checked(name, "toy", {"prompt": prompt}), show=show)[0] for name, show in called]
    for lines in (python, *calls):
        names: dict = {}
        exec(lines, names)
        assert names["record"].prompt == prompt
    line = shlex.split(snippets.shell_line("lens", "--prompt", prompt))
    assert line == ["openwork", "lens", "--prompt", prompt]


def store_transcoder(model, name: str) -> None:
    from probe.dictionaries import TopK, Transcoder, save_dictionary
    from probe.model.fingerprint import stamp

    blank = Transcoder(64, 8, 64, sparsifier=TopK(2), site_in="mlp_in.1", site_out="mlp_out.1")
    save_dictionary(blank, place("dictionary", name), model=stamp(model))


@pytest.mark.parametrize("targets", [(), (" the",)])
def test_circuit_snippets_remake_the_graph(home, toy, targets):
    from circuits import TraceConfig, trace
    from probe import load_dictionary
    from probe.model.fingerprint import stamp

    store_transcoder(toy, "mine")
    used = [load_dictionary("mine", toy)]
    made = trace(toy, "a 'b' c", dictionaries=used, targets=targets, config=TraceConfig(max_nodes=20))
    save_graph(made, place("graph", "g"), model=stamp(toy))
    python, shell = graph_panels.made_again(made, "g")
    names: dict = {}
    exec(python, names)
    assert run([*shlex.split(shell)[1:], "--save", "again"]) == 0
    for again in (names["graph"], load_graph(place("graph", "again"))):
        assert again.dictionaries == {"1": "mine"} and again.unit_tokens == made.unit_tokens
        assert np.array_equal(again.nodes.unit, made.nodes.unit)


def test_the_snippet_of_a_graph_whose_dictionary_is_gone_opens_it(home):
    found = replace(small_graph(), dictionaries={"1": "gone"})
    save_graph(found, place("graph", "g"))
    python, shell = graph_panels.made_again(found, "g")
    names: dict = {}
    exec(python, names)
    assert names["graph"].prompt == found.prompt and shell is None


def test_unit_snippets_name_the_dictionaries(home, toy):
    assert "load_dictionary" not in str(panels("toy", "x"))
    store_transcoder(toy, "mine")
    assert "load_dictionary('mine', model)" in str(panels("toy", "x")).replace("\\'", "'")


def test_trace_prints_its_report_before_a_disk_fills_up(home, toy, monkeypatch, capsys):
    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("circuits.graph.store.save_file", full)
    command = ["trace", "--prompt", "a b", "--model", "toy", "--max-nodes", "20", "--save", "g", "--json"]
    assert run(command) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n_tokens"] == 3 and "No space left" in printed.err


@pytest.mark.parametrize(
    "options",
    [
        ["--save", "a/b"],
        ["--export", "."],
        ["--export", "/proc/nope/x.json"],
        ["--check", "-1"],
        ["--memory", "nan"],
        ["--memory", "0"],
    ],
)
def test_bad_options_are_refused_before_the_model_loads(options, home, monkeypatch, capsys):
    monkeypatch.setattr("probe.model.load.load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    assert run(["trace", "--prompt", "x", *options]) == 2
    assert capsys.readouterr().out == ""


def test_lens_refuses_a_position_as_json_too(capsys):
    assert run(["lens", "--prompt", "x", "--model", "toy", "--position", "99", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_no_line_of_how_it_forms_leaves_its_axis():
    from probe.lens.figures import forming_figure

    lens = lens_of("x", ["one", " two", " three"])
    lens.kl[0, 2] = 40.0
    figure = forming_figure(lens, 2)
    assert figure.layout.yaxis.range[0] <= 0 and figure.layout.yaxis.range[1] > 40.0


def test_tokens_without_a_shape_are_written_out_in_figures_as_in_tables():
    from probe.show.html import token_text
    from probe.show.labels import plain

    assert plain("\x19") == token_text("\x19") == "⟨19⟩"
    assert plain("\u202e<b>") == "⟨202e⟩&lt;b&gt;"


def test_small_shares_and_effects_are_rounded_to_what_they_tell():
    from circuits.patching.cell import effect_of
    from probe.words import percent

    told = [percent(p) for p in (0.0, 2.13e-5, 0.00069, 0.25, 1e-9)]
    assert told == ["0.0 %", "0.0021 %", "0.1 %", "25.0 %", "< 0.00001 %"]
    assert str(effect_of(-2.94e-7)) == "0.0" and effect_of(-0.123456) == -0.123456
