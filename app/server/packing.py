"""Answers packed with gzip, so that a page over a slow line (a forwarded port, say) comes in a third of the time.

Scripts and styles are packed once and kept packed: their addresses change with them. Whether the line is slow cannot be known,
since a forwarded port looks like this machine; what packing costs is less than what sending costs on any line but loopback, and
there a browser unpacks the scripts of a page in some hundredths of a second.
"""

import gzip
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask, Request, Response


WORDS = ("text/", "application/json", "application/javascript", "image/svg+xml")
SMALLEST = 900  # bytes: a packet holds that much anyway
STANDING = ("/assets/", "/_dash-component-suites/", "/_favicon")
MOST = 128  # packed files kept; a page asks for about 70


def install(server: "Flask") -> None:
    """Pack what the server answers to browsers that can unpack it."""
    from flask import request

    kept = Packed()

    @server.after_request
    def packed(answer: "Response"):
        if not worth_packing(answer, request):
            return answer
        standing = request.path.startswith(STANDING)
        body = kept.of(request.full_path, answer) if standing else gzip.compress(answer.get_data(), 4)
        answer.direct_passthrough = False
        answer.set_data(body)
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
        if tag := answer.get_etag()[0]:
            answer.set_etag(tag, weak=True)  # the same words, not the same bytes
        return answer


def worth_packing(answer: "Response", request: "Request") -> bool:
    """A whole text of some length, for a browser that can unpack it. Streams stay streams."""
    if answer.status_code != 200 or (request.method != "GET" and request.method != "POST"):
        return False
    if "gzip" not in request.headers.get("Accept-Encoding", "") or answer.headers.get("Content-Encoding"):
        return False
    if not (answer.mimetype or "").startswith(WORDS):
        return False
    if request.path.startswith(STANDING):
        return (answer.content_length or SMALLEST) >= SMALLEST
    return not answer.is_streamed and len(answer.get_data()) >= SMALLEST


class Packed:
    """The packed bytes of files, by address and by what tells one state of a file from the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes: dict[tuple[str, str], bytes] = {}

    def of(self, address: str, answer: "Response") -> bytes:
        """The answer's body, packed now or before."""
        mark = (address, f"{answer.get_etag()[0]} {answer.headers.get('Last-Modified')} {answer.content_length}")
        if (found := self._bytes.get(mark)) is None:
            answer.direct_passthrough = False
            found = gzip.compress(answer.get_data(), 6)
            with self._lock:
                while len(self._bytes) >= MOST:
                    self._bytes.pop(next(iter(self._bytes)))
                self._bytes[mark] = found
        return found
