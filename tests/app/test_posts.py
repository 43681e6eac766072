"""The dashboard against requests that none of its pages makes, and connections that never end."""

import json
import logging
import re
import socket
import threading
import time
from contextlib import suppress

import pytest

from app.server import http
from app.server.main import create_app, make_server
from app.server.plain_answers import PARTS
from app.server.posts import POST


@pytest.fixture(scope="module")
def dash():
    app = create_app()
    app.server.test_client().get("/_dash-layout")
    return app


@pytest.fixture
def client(dash, home):
    return dash.server.test_client()


ROUTE = {
    "output": "..page.children...page-title.data..",
    "outputs": [
        {"id": "page", "property": "children"},
        {"id": "page-title", "property": "data"},
    ],
    "inputs": [
        {"id": "url", "property": "pathname", "value": "/jobs"},
        {"id": "url", "property": "search", "value": ""},
        {"id": "anew", "property": "data", "value": None},
    ],
    "state": [],
    "changedPropIds": ["url.pathname"],
}
THUMBS = {
    "output": "thumbs-data.data",
    "outputs": {"id": "thumbs-data", "property": "data"},
    "inputs": [{"id": "ready", "property": "data", "value": {}}],
    "state": [{"id": "prompt-args", "property": "data", "value": 7}],
    "changedPropIds": ["ready.data"],
}


def without(key: str) -> dict:
    return {k: v for k, v in ROUTE.items() if k != key}


MALFORMED = {
    "empty": {},
    "list": [1],
    "number": 3,
    "no output": without("output"),
    "no inputs": without("inputs"),
    "no state": {k: v for k, v in THUMBS.items() if k != "state"},
    "no outputs": without("outputs"),
    "unknown output": {**ROUTE, "output": "no.such"},
    "output a list": {**ROUTE, "output": [1]},
    "a browser's own": {**ROUTE, "output": "sink.data"},
    "inputs a text": {**ROUTE, "inputs": "x"},
    "inputs null": {**ROUTE, "inputs": None},
    "an input too few": {**ROUTE, "inputs": ROUTE["inputs"][:2]},
    "another id": {**ROUTE, "inputs": [{"id": "no", "property": "pathname", "value": ""}, *ROUTE["inputs"][1:]]},
    "no id": {**ROUTE, "inputs": [{"value": ""}, *ROUTE["inputs"][1:]]},
    "an input a list": {**ROUTE, "inputs": [[], [], []]},
    "a path that is a number": {**ROUTE, "inputs": [{**ROUTE["inputs"][0], "value": 5}, *ROUTE["inputs"][1:]]},
    "changed a number": {**ROUTE, "changedPropIds": 5},
    "changed numbers": {**ROUTE, "changedPropIds": [5]},
    "changed no JSON": {**ROUTE, "changedPropIds": ["{x.value"]},
    "outputs a text": {**ROUTE, "outputs": "x"},
    "outputs without ids": {**ROUTE, "outputs": [{}] * 3},
}


def test_a_page_s_own_request_is_answered(client):
    answer = client.post(POST, json=ROUTE)
    assert answer.status_code == 200 and "page" in answer.get_json()["response"]


@pytest.mark.parametrize("how", MALFORMED)
def test_malformed_posts_are_answered_in_a_sentence(client, caplog, how):
    answer = client.post(POST, json=MALFORMED[how])
    assert answer.status_code == 400 and answer.mimetype == "text/plain", answer.data
    assert answer.get_data(as_text=True).startswith("No page of the dashboard asks this")
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"nul", b'{"output": NaN'])
def test_bodies_that_are_no_json_are_answered_in_a_sentence(client, caplog, data):
    for kind in ("application/json", "text/plain", ""):
        assert client.post(POST, data=data, content_type=kind).status_code == 400
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_parts_of_the_framework_that_are_not_there_are_not_found(client, caplog):
    for path in ("evil/x.js", "dash/no-such.js", "dash/../../x.js", "os/path.js", "dash_mantine_components/x.py"):
        assert client.get(PARTS + path).status_code == 404
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_what_was_never_offered_is_named(client, caplog):
    """A number where a page keeps a dict: the callback fails, and the notice says what came."""
    answer = client.post(POST, json=THUMBS)
    said = json.dumps(answer.get_json())
    assert answer.status_code == 200 and "Something went wrong" not in said and "prompt-args.data = 7" in said


def test_no_folder_of_where_it_was_started_is_served(tmp_path, monkeypatch, home):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "page.html").write_text("<script>own()</script>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "page.html").write_text("<script>own()</script>")
    monkeypatch.chdir(tmp_path)
    client = create_app().server.test_client()
    for path in ("/static/page.html", "/assets/page.html", "/page.html", "/templates/page.html"):
        assert b"own()" not in client.get(path).data, path


@pytest.fixture
def served(home, monkeypatch):
    monkeypatch.setattr(http, "ASK", 0.5)
    server = make_server(port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()


def connect(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_port), timeout=5)


def everything(line: socket.socket) -> bytes:
    got = b""
    while piece := line.recv(65536):
        got += piece
    return got


def test_slow_connections_are_closed(served):
    """Silent ones, and ones that send a byte whenever they would be given up."""
    start = time.monotonic()
    silent, drip, body = connect(served), connect(served), connect(served)
    body.sendall(b"POST /_dash-update-component HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
    for byte in b"GET / HTTP/1":
        try:
            drip.sendall(bytes([byte]))
        except OSError:
            break
        time.sleep(0.1)
    for line in (silent, drip, body):
        with suppress(ConnectionError):
            everything(line)
    assert time.monotonic() - start < 4


def test_answers_name_no_versions_and_odd_addresses_are_refused(served, capfd):
    line = connect(served)
    line.sendall(b"GET /alive HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head = everything(line).decode()
    assert "\r\nServer: openwork\r\n" in head and "Python" not in head and "erkzeug" not in head
    for odd in (b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/9\r\n\r\n"):
        line = connect(served)
        line.sendall(odd)
        assert re.match(rb"HTTP/1.1 [45]\d\d|<!DOCTYPE", everything(line))
    assert capfd.readouterr().err == ""


def test_more_connections_than_threads_are_closed_unread(served, monkeypatch):
    monkeypatch.setattr(served, "free", threading.BoundedSemaphore(1))
    one = connect(served)
    time.sleep(0.05)
    assert everything(connect(served)) == b""
    one.close()
