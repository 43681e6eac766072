"""`openwork serve`: build the dashboard and answer on loopback. Starts without torch; the first model work imports it."""

import logging
import os
import socket
import sys
import webbrowser
from threading import Timer
from typing import TYPE_CHECKING

from app.server.other_hosts import check_origins, in_address, is_loopback, require_token
from app.server.request_guard import guard
from probe.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from dash import Dash
    from flask import Flask, Response

    from app.server.http import Server


KEPT = "private, max-age=3600"  # an hour: long enough for a session's work, short enough after an update


def create_app(
    token: str | None = None, loopback: bool = True, frames: tuple[str, ...] = (), seen_at: tuple[str, ...] = ()
) -> "Dash":
    """The Dash application, with its checks installed; `loopback` refuses requests that name any other host.

    frames: origins, beside our own, whose pages may frame ours. seen_at: origins that a proxy shows our pages at.
    """
    # plotly uses pandas as soon as another thread has begun to import it (loading a model does), which fails until that is done.
    import pandas  # noqa: F401
    from dash import Dash
    from flask import Flask

    from app.frame import search, shell
    from app.frame.theme import ASSETS, EARLY_HASH, INDEX, awaited
    from app.methods import block, change_buttons
    from app.pages import PAGES
    from app.server import calls, packing
    from app.server.plain_answers import answer_plainly
    from app.server.posts import check_posts

    class Page(Dash):
        def interpolate_index(self, **parts: object) -> str:
            return super().interpolate_index(**{**parts, "app_entry": awaited()})

    app = Page(
        "openwork",
        # of its own, Flask would serve the folder `static` of wherever the dashboard was started, in our origin
        server=Flask("openwork", static_folder=None, template_folder=None, root_path=str(ASSETS)),
        title="Openwork",
        update_title="",
        assets_folder=str(ASSETS),
        assets_ignore=r"early-.*",
        serve_locally=True,
        suppress_callback_exceptions=True,
        index_string=INDEX,
        on_error=shell.explain,
        add_log_handler=False,
    )
    app.enable_dev_tools(debug=False)
    app.server.add_url_rule("/alive", view_func=lambda: ("", 204), endpoint="alive")
    app.layout = shell.layout
    shell.register(app, PAGES)
    block.register(app)
    change_buttons.register(app)
    search.register(app.server)
    calls.register(app.server)
    guard(app.server, [*app.csp_hashes(), EARLY_HASH], token, loopback, frames, seen_at)
    check_posts(app.server, app.callback_map)
    answer_plainly(app.server)
    keep(app.server)
    packing.install(app.server)
    return app


def keep(server: "Flask") -> None:
    """Browsers need not ask again for scripts and styles, whose addresses change with them, nor for type and pictures."""

    from flask import request

    @server.after_request
    def kept(answer: "Response"):
        lasting = "m" in request.args or request.path.endswith((".woff2", ".svg"))
        if request.path.startswith("/assets/") and lasting and answer.status_code in (200, 304):
            answer.headers["Cache-Control"] = KEPT
        return answer


def serve(
    host: str = "127.0.0.1",
    port: int = 8050,
    open_browser: bool = True,
    token: str | None = None,
    path: str = "/",
    seen_at: tuple[str, ...] = (),
    models: tuple[str, ...] = (),
) -> None:
    """Serve until interrupted. Any other address than loopback demands `token`. Raises Unavailable if the port is taken.

    seen_at: origins that a proxy which rewrites addresses shows the pages at; they demand `token` too. models: offered first.
    """
    from app.library.models import offer
    from app.server.whereabouts import announced

    if not 1024 <= port < 65536:
        raise BadInput(f"{port} is no port to serve on; choose one between 1024 and 65535.")
    token = token or os.environ.get("OPENWORK_TOKEN")
    require_token(host, token)
    check_origins(seen_at, token)
    for name in models:
        offer(name)
    stay_offline()
    server = make_server(host, port, token, seen_at=seen_at)
    address = f"http://{in_address(host)}:{server.server_port}{path}"
    say(f"Openwork is at {address}{'?token=... (the token it was started with)' if token else ''}  (Ctrl+C stops it)")
    if open_browser:
        Timer(0.5, lambda: webbrowser.open(address)).start()
    try:
        with announced(host, server.server_port, token):
            server.serve_forever()
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        server.server_close()


def stay_offline() -> None:
    """No model named on a page is asked for on the network, whatever else was imported before."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    if (constants := sys.modules.get("huggingface_hub.constants")) is not None:
        constants.HF_HUB_OFFLINE = True  # read from the environment once, at import


def say(words: str) -> None:
    """A line for the person at the terminal."""
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


def make_server(
    host: str = "127.0.0.1",
    port: int = 8050,
    token: str | None = None,
    frames: tuple[str, ...] = (),
    seen_at: tuple[str, ...] = (),
) -> "Server":
    """A threaded WSGI server, bound but not yet serving. Never reads $HOST. Port 0 takes any free one."""
    from app.server.http import Server

    if not 0 <= port < 65536:
        raise BadInput(f"{port} is no port; choose one between 1024 and 65535, or 0 for any that is free.")
    refuse_taken(host, port)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    return Server(host.strip("[]"), port, create_app(token, is_loopback(host), frames, seen_at).server)


def refuse_taken(host: str, port: int) -> None:
    """Raise Unavailable when something already listens there (the server library would end the process instead)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            raise Unavailable(
                f"Port {port} on {host} cannot be used ({error.strerror}). Try `openwork serve --port {port + 1}`."
            ) from error
