"""A command asks the dashboard that runs: the same answers without a model of its own, for nobody who lacks the secret."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
import sample_method
from method_commands import COUNT, PROMPT, counted, told

import app.cli as door
from app.commands.methods import elsewhere
from app.jobs.table import job_table
from app.server import whereabouts
from app.server.main import create_app, make_server
from app.server.whereabouts import HEADER, announced, place, running
from probe.artifacts.manifest import read_manifest
from probe.errors import Unavailable
from probe.model.load import stamp

__all__ = ["counted"]
ASK = [*COUNT, "--prompt", PROMPT, "--dashboard"]


@pytest.fixture
def served(home, monkeypatch):
    """A dashboard of this home; a command that loads a model itself fails."""
    server = make_server(port=0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("app.commands.options.load", lambda *_, **__: pytest.fail("the command loaded a model"))
    with announced("127.0.0.1", server.server_port):
        yield server
    server.shutdown()
    server.server_close()


def test_a_command_asks_the_dashboard(served, capsys, toy, tmp_path):
    record = sample_method.count_tokens(toy, PROMPT, times=3)
    words = [*ASK, "--times", "3"]
    assert json.loads(told(capsys, *words, "--json")) == record.to_dict()
    assert door.run([*words, "--save", "mine", "--csv", str(tmp_path / "t.csv")]) == 0
    said = capsys.readouterr()
    assert record.summary() in said.out and f"http://127.0.0.1:{served.server_port}/methods/count-tokens" in said.err
    assert (tmp_path / "t.csv").read_text().endswith(",18\n")
    assert record.summary() in told(capsys, "show", "mine")
    assert read_manifest(place().parent / "results" / "mine").model == stamp(toy)
    assert "mine exists already" in told(capsys, *words, "--save", "mine", code=2)


def test_what_is_refused_there_is_the_sentence_of_here(served, capsys, monkeypatch):
    assert "There is no layer 9" in told(capsys, *ASK, "--layers", "9", code=2)
    assert "none of the models known here" in told(capsys, *ASK, "--model", "nobody/knows", code=2)
    assert "goes without --device" in told(capsys, *ASK, "--precision", "bfloat16", code=2)
    monkeypatch.setattr(sample_method, "count_tokens", lambda *_, **__: (_ for _ in ()).throw(Unavailable("no disk")))
    assert told(capsys, *ASK, "--times", "4", code=1) == "no disk"
    monkeypatch.setattr(sample_method, "count_tokens", lambda *_, **__: {}["x"])
    assert "The terminal it runs in shows the details under" in told(capsys, *ASK, "--times", "5", code=1)


def test_who_stops_waiting_calls_the_job_off(served, capsys, monkeypatch):
    def endless(model, prompt, *, progress, **_):
        with progress.stage("count", 1000) as step:
            while True:
                step(1)
                time.sleep(0.01)

    monkeypatch.setattr(sample_method, "count_tokens", endless)
    monkeypatch.setattr(elsewhere, "_QUICK", None)  # what a wait of no length raises stands for Ctrl-C
    monkeypatch.setattr(elsewhere.time, "sleep", stopped(elsewhere.time.sleep))
    assert door.run([*ASK, "--times", "7"]) == 130
    (job,) = [job for job in job_table().all() if "times 7" in job.title]
    assert job_table().wait(job.id, 10).state == "cancelled"


def stopped(sleep):
    """Ctrl-C while the command waits; everybody else sleeps."""

    def wait(seconds):
        if seconds is None:
            raise KeyboardInterrupt
        sleep(seconds)

    return wait


def test_without_a_dashboard_it_says_so(home, capsys):
    assert "No dashboard that answers commands runs" in told(capsys, *ASK, code=1)


def test_the_file_is_the_owners_alone_and_goes_at_the_end(home):
    with announced("127.0.0.1", 8050):
        found = running()
        assert found is not None and found.port == 8050 and len(found.secret) >= 32
        assert place().stat().st_mode & 0o777 == 0o600
        place().chmod(0o644)
        assert running() is None
        place().chmod(0o600)
        told_ = json.loads(place().read_text())
        for wrong in (
            {"host": "10.0.0.1"},
            {"machine": "another"},
            {"pid": 2**22 + 1},
            {"born": "1"},
            {"port": "8050"},
            {"port": 0},
        ):
            place().write_text(json.dumps({**told_, **wrong}))
            assert running() is None, wrong
        place().write_text("[")
        assert running() is None
        place().write_text(json.dumps(told_))
    assert not place().exists() and running() is None


def test_a_later_dashboards_file_is_left(home):
    with announced("127.0.0.1", 8050):
        place().write_text(json.dumps({**json.loads(place().read_text()), "secret": "another"}))
    assert place().exists()


@pytest.mark.parametrize(("host", "token"), [("127.0.0.1", "0123456789abcdef"), ("0.0.0.0", "0123456789abcdef")])
def test_a_dashboard_that_demands_a_token_answers_no_command(home, host, token):
    with announced(host, 8050, token):
        assert not place().exists() and whereabouts._secret is None


def test_nobody_else_is_answered(home):
    client = create_app().server.test_client()
    call = {"method": "count-tokens", "model": "toy", "arguments": {"prompt": PROMPT}}
    doors = [
        ("POST", "/calls"),
        ("GET", "/calls/method:0123456789abcdef"),
        ("POST", "/calls/method:0123456789abcdef/save"),
    ]
    for secret in ("", "guess"):
        for method, path in doors:  # none was announced
            assert client.open(path, method=method, json=call, headers={HEADER: secret}).status_code == 404
    with announced("127.0.0.1", 8050):
        mine = running()
        assert mine is not None
        for method, path in doors:
            assert client.open(path, method=method, json=call, headers={HEADER: "guess"}).status_code == 404
        for odd in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.post("/calls", json=call, headers={HEADER: mine.secret, **odd}).status_code == 403
        assert (
            client.post("/calls", json=call, headers={HEADER: mine.secret, "Host": "evil.example"}).status_code == 400
        )
        for body in (
            [],
            {"method": "count-token"},
            {**call, "arguments": {"prompt": PROMPT, "times": 10}},
            {**call, "model": "/etc"},
        ):
            answer = client.post("/calls", json=body, headers={HEADER: mine.secret})
            assert answer.status_code == 400 and answer.get_json()["error"], body
        for key in ("patch:0123456789abcdef", "method:..", "method:0123456789abcdef"):
            assert client.get(f"/calls/{key}", headers={HEADER: mine.secret}).status_code in (400, 404)


def test_asking_brings_no_torch(served, home):
    code = (
        "import sys, dataclasses; from probe.methods import catalogue, read_declarations\n"
        "(m,) = read_declarations.declared_in('sample_method')\n"
        "known = (*catalogue.methods(), dataclasses.replace(m, group='counting')); catalogue.methods = lambda: known\n"
        f"from app.cli import run; code = run({ASK}); sys.exit(code or 3 * ('torch' in sys.modules))"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    found = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0 and "count 12" in found.stdout, found.stderr
