"""Addresses that stay on this machine."""

import re
from ipaddress import ip_address


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
