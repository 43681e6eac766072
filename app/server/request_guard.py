"""Who may talk to the dashboard, and what its pages may do.

The server listens on loopback. A web page elsewhere could still make the browser call it (DNS rebinding, forged posts), so
the Host header must name loopback, a post must come from our own origin, bodies are small, and the pages run under a
Content-Security-Policy that allows no inline script, no `eval` and no request to another machine. Where other machines are
let in (`app.server.other_hosts`), the token arrives once in the address and then lives in a cookie.
"""

import hmac
from urllib.parse import quote, urlencode, urlsplit

from flask import Flask, Response, abort, redirect, request

from app.server.other_hosts import ORIGIN, names_loopback

MAX_BODY = 2_000_000  # bytes; no callback of ours posts more than some kilobytes
COOKIE = "openwork_token"
SELF = "'self'"
REFUSED = "X-Openwork-Refused"
ELSEWHERE = (
    "The dashboard answers to 127.0.0.1 and localhost only. Is it seen through a proxy? Then start it with  "
    "openwork serve --allow-origin https://HOST-OF-THE-PROXY --token ..."
)


def policy(script_hashes: list[str], frames: tuple[str, ...] = ()) -> str:
    """The Content-Security-Policy of every page; Mantine and Plotly write style elements, hence 'unsafe-inline' there.

    frames: origins whose pages may frame ours, beside our own."""
    scripts = " ".join(["'self'", *(f"'{h.strip(chr(39))}'" for h in script_hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors {' '.join((SELF, *frames))}"
    )


def same_origin(origins: tuple[str, ...] = ()) -> bool:
    """Was this request made by one of our own pages (or by a program that is no browser)?

    origins: where our pages are seen, beside the address they are served at, because a proxy stands between.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None or origin in origins:
        return True
    return urlsplit(origin).scheme in ("http", "https") and urlsplit(origin).netloc == request.host


def refusal() -> Response:
    """The answer to a post from elsewhere. A page of ours behind a proxy that rewrites the address is told so, and shows it."""
    origin, said = request.headers.get("Origin") or "", "This request did not come from the dashboard."
    answer = Response(said, 403, mimetype="text/plain")
    if request.headers.get("Sec-Fetch-Site") == "same-origin" and ORIGIN.fullmatch(origin):
        answer.set_data(
            f"This page is at {origin}, and its server was reached as {request.host[:200]}: a proxy between them rewrites the "
            "address, so the server takes the page for a stranger's. Start it with  "
            f"openwork serve --allow-origin {origin} --token ..."
        )
        answer.headers[REFUSED] = "origin"
    return answer


def guard(
    server: Flask,
    script_hashes: list[str],
    token: str | None = None,
    loopback: bool = True,
    frames: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
) -> None:
    """Install every check and header on the Flask server."""
    server.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    rules, seen_at = policy(script_hashes, frames), {urlsplit(origin).netloc.lower() for origin in origins}

    @server.before_request
    def check():
        host = request.headers.get("Host", "")
        if loopback and not names_loopback(host) and host.lower() not in seen_at:
            abort(Response(ELSEWHERE, 400, mimetype="text/plain"))
        if request.method not in ("GET", "HEAD", "OPTIONS") and not same_origin(origins):
            abort(refusal())
        if (refused := check_token(token) if token else None) is not None:
            return refused
        return redirect(without("run")) if starts_work_from_elsewhere() else None

    @server.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = rules
        if not frames:  # the older header knows no list of origins; browsers that know both heed the policy
            response.headers["X-Frame-Options"] = "SAMEORIGIN"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response


def cookie_name() -> str:
    """Browsers send a cookie to every port of a host: one name for each lets two dashboards stand side by side."""
    return f"{COOKIE}_{request.environ.get('SERVER_PORT', '')}"


def check_token(token: str):
    """None when the visitor has shown the token; a redirect that sets the cookie when it is in the address; else 401."""
    if hmac.compare_digest(request.cookies.get(cookie_name(), "").encode(), token.encode()):
        return None
    if hmac.compare_digest(request.args.get("token", "").encode(), token.encode()):
        answer = redirect(without("token"))
        answer.set_cookie(cookie_name(), token, httponly=True, samesite="Strict", max_age=30 * 86400)
        return answer
    return Response(
        "Openwork needs the token it was started with: add ?token=... to the address once.", 401, mimetype="text/plain"
    )


def starts_work_from_elsewhere() -> bool:
    """Did another site's page lead here by an address that runs what it asks? Its form is filled, and who sits here runs it."""
    return request.method == "GET" and "run" in request.args and request.headers.get("Sec-Fetch-Site") == "cross-site"


def without(key: str) -> str:
    """The address that was asked for, on this host, with everything in it but this key."""
    rest = urlencode([(name, value) for name, value in request.args.items(multi=True) if name != key])
    path = "/" + quote(request.path.lstrip("/\\"))  # two slashes would name another host
    return f"{path}?{rest}" if rest else path
