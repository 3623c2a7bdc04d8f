"""Which addresses are ours: the Host that a request names and the Origin that it comes from."""

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers


class Origins:
    """Tells our own addresses from foreign ones.

    Args:
        public_url: Address that people type when a proxy stands before this process.
        host: Name or address that this process listens on.
    """

    def __init__(self, public_url: str | None, host: str) -> None:
        self._public_origin = public_url
        names = {"localhost", socket.gethostname(), host}
        if public_url:
            names.add(urlsplit(public_url).hostname or "")
        self._names = {name.lower() for name in names}

    def is_known_host(self, headers: Headers) -> bool:
        """Whether the Host is one of our names, so that no rebound foreign name reaches us.

        A bare IP address passes: a browser sends it only if it was typed or linked as such, and
        no DNS answer can turn a foreign page's own name into it.
        """
        name = host_name(headers.get("host", ""))
        return name in self._names or is_ip_address(name) or name.endswith(".localhost")

    def is_own(self, headers: Headers) -> bool:
        """Whether one of our own pages sent this, or a program that is no browser.

        Browsers send Origin with every unsafe request and every WebSocket; the scheme is not
        compared with ours, because behind TLS we only see plain HTTP.
        """
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        if self._public_origin is not None and origin.lower() == self._public_origin:
            return True
        try:
            place = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return place == headers.get("host", "").lower() != ""


def host_name(host: str) -> str:
    """The name in ``name:port``, without brackets of an IPv6 address."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on ``host``."""
    if host.lower() == "localhost":
        return True
    return is_ip_address(host) and ipaddress.ip_address(host).is_loopback


def is_ip_address(name: str) -> bool:
    """Whether this is an address and not a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
