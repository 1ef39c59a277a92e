"""Who may ask: a token in the address, and requests that no other site has caused.

A page of another site may send requests to addresses of this machine, and by DNS rebinding even
read the answers. So requests must name a host that is this machine and come from our own page,
and every address begins with a token that others do not know.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",  # the token is in the address
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d+)?")


def new_token() -> str:
    """192 random bits, as text that may stand in an address."""
    return secrets.token_urlsafe(24)


def is_token(given: str, token: str) -> bool:
    """Whether a token is the right one; takes the same time for every wrong one."""
    return secrets.compare_digest(given.encode(), token.encode())


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own_host(header: str | None, bound: str) -> bool:
    """Whether a request's ``Host`` may be this machine.

    A site that has its name resolved to our address still sends its own name. So addresses are
    taken, and the names that are ours.

    Args:
        bound: the host that we listen at.

    >>> is_own_host("127.0.0.1:8765", "127.0.0.1"), is_own_host("evil.example", "127.0.0.1")
    (True, False)
    >>> is_own_host("192.168.1.5:8765", "0.0.0.0"), is_own_host("192.168.1.5", "127.0.0.1")
    (True, False)
    """
    match = _HOST.fullmatch(header or "")
    if match is None:
        return False
    name = match[1].strip("[]").lower()
    if is_loopback(name) or name == bound.lower():
        return True
    if is_loopback(bound):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        machine = socket.gethostname().lower()
        return name in (machine, f"{machine}.local")
    return True


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from our page, from a person who opens it, or from no browser.

    Args:
        headers: of the request: ``Origin``, which browsers send with all that changes something,
            and ``Sec-Fetch-...``, which newer ones send always.
    """
    host, origin = headers.get("Host", ""), headers.get("Origin")
    if origin is None:
        visit = headers.get("Sec-Fetch-Mode") == "navigate"  # a link, such as in a terminal
        return visit or headers.get("Sec-Fetch-Site") in (None, "same-origin", "none")
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
