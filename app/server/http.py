"""The HTTP server: one thread a request, no versions named, and nobody holds a connection by asking slowly.

A request has `ASK` seconds to arrive as a whole, however many pieces it comes in; each answer has `ANSWER` seconds to be
taken. Beyond `AT_ONCE` connections more are closed unread: each would cost a thread.
"""

import io
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from flask import Flask


ASK, ANSWER = 30.0, 300.0  # seconds
AT_ONCE = 400


class Handler(WSGIRequestHandler):
    """A request with a time limit, and an answer that says who answers but not which versions of what."""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(_Timed(self.connection))  # pyright: ignore

    def version_string(self) -> str:
        return "openwork"

    def run_wsgi(self) -> None:
        try:
            super().run_wsgi()
        except ValueError:  # an address that is none, `//[`; what the application raises never gets here
            self.send_error(400)

    def log_request(self, *_: object) -> None:
        """Nothing: who asks is answered."""

    def log_error(self, format: str, *args: object) -> None:
        """Nothing: who asks badly is answered; the terminal is for what is wrong with us."""


class _Timed(io.RawIOBase):
    """What arrives at a socket, `ASK` seconds from the first byte on; then TimeoutError, which ends the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.deadline: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = ASK if self.deadline is None else self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long to arrive")
        self.connection.settimeout(left)
        try:
            return self.connection.recv_into(buffer)
        finally:
            self.deadline = self.deadline or time.monotonic() + ASK
            self.connection.settimeout(ANSWER)


class Server(ThreadedWSGIServer):
    """As many threads as there are connections, up to a limit."""

    daemon_threads = True

    def __init__(self, host: str, port: int, app: "Flask") -> None:
        self.free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(host, port, app, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()
