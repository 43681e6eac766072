"""Answers packed with gzip, so that a page over a slow line (a forwarded port, say) comes in a third of the time.

Scripts and styles are packed once and kept packed: their addresses change with them. Whether the line is slow cannot be known,
since a forwarded port looks like this machine; what packing costs is less than what sending costs on any line but loopback, and
there a browser unpacks the scripts of a page in some hundredths of a second.
"""

import gzip
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

    kept: dict[
        tuple[str, str], bytes
    ] = {}  # of standing files, by address and by what tells one state of a file from the next

    @server.after_request
    def packed(answer: "Response"):
        if not worth_packing(answer, request):
            return answer
        standing, etag = request.path.startswith(STANDING), answer.get_etag()[0]
        mark = (request.full_path, f"{etag} {answer.headers.get('Last-Modified')} {answer.content_length}")
        answer.direct_passthrough = False
        body = kept.get(mark) if standing else None
        if body is None:
            body = gzip.compress(answer.get_data(), 6 if standing else 4)
            if standing:
                while len(kept) >= MOST:
                    kept.pop(next(iter(kept)), None)
                kept[mark] = body
        answer.set_data(body)
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Accept-Encoding"
        if etag:
            answer.set_etag(etag, weak=True)  # the same words, not the same bytes
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
