"""Which addresses stay on this machine, and what is refused of those that let others in.

Another interface than loopback is served only with a token. So are pages seen through a proxy that rewrites addresses
(Codespaces, ngrok), whose origin has to be named.
"""

import re
from ipaddress import ip_address

from probe.errors import BadInput

ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]{1,200}(:\d{1,5})?")


def is_loopback(host: str) -> bool:
    """Does this address or name stay on this machine? All of 127.0.0.0/8 does, `::1` and `localhost`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def names_loopback(header: str) -> bool:
    """Does a Host header, with or without a port, name this machine?"""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]@/]+)(:\d+)?", header)
    return found is not None and is_loopback(found[1])


def in_address(host: str) -> str:
    """A host as it stands in an address: `::1` as `[::1]`."""
    bare = host.strip("[]")
    return f"[{bare}]" if ":" in bare else bare


def require_token(host: str, token: str | None) -> None:
    """Raise BadInput for an address others can reach without a token of at least 16 characters."""
    if not is_loopback(host) and len(token or "") < 16:
        raise BadInput(
            f"Serving on {host} lets other machines in, so it needs a token of at least 16 characters "
            "(--token, or OPENWORK_TOKEN). "
            "Safer: keep 127.0.0.1 and forward the port, `ssh -L 8050:127.0.0.1:8050 THIS_MACHINE`."
        )


def check_origins(origins: tuple[str, ...], token: str | None) -> None:
    """Raise BadInput for what is no origin, and for origins without a token: a proxy lets others in."""
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise BadInput(
                f"{origin[:80]!r} is no origin; write it like https://name-8050.app.github.dev, without a path."
            )
    if origins and len(token or "") < 16:
        raise BadInput(
            "Answering pages behind a proxy lets whoever reaches the proxy in, so --allow-origin needs a token of at least 16 "
            "characters (--token, or OPENWORK_TOKEN)."
        )
