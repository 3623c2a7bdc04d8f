"""Talk to a running Rankscope over HTTP: one address, one token, errors in one line."""

import gzip
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
from pydantic import JsonValue

from rankscope.models.reading import ConfigError

TIMEOUT_S = 10.0
"""For one answer; the server records thousands of events in a second or two."""
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Status codes after which the same request may succeed."""
_PACK_FROM_BYTES = 1_000

Query = str | int | list[str]


class RemoteError(RuntimeError):
    """The server refused; the message is its own, with rule, value and remedy."""


class ServerAway(RemoteError):
    """The server does not answer, or not now; the same request may succeed later."""


class Server:
    """A running Rankscope, as a program sees it.

    Args:
        url: As a browser opens it, ``http://host:7860``.
        token: Where the server has accounts, one made by ``rankscope user token``.
        timeout_s: For one answer.

    Raises:
        ConfigError: If the address makes no sense.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = _checked(url)
        headers = {"accept": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s)

    def get(self, path: str, query: Mapping[str, Query] | None = None) -> JsonValue:
        """The JSON of an answer.

        Raises:
            RemoteError: Refused.
            ServerAway: No answer.
        """
        return self._ask(self._client.build_request("GET", path, params=query))

    def post(self, path: str, body: object) -> JsonValue:
        """Send JSON, or text that is JSON already; returns the JSON of the answer.

        Raises:
            RemoteError: Refused.
            ServerAway: No answer; it may still have been taken.
        """
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {"content-type": "application/json"}
        if len(content) > _PACK_FROM_BYTES and path.startswith("/api/external"):
            headers["content-encoding"] = "gzip"
            content = gzip.compress(content, compresslevel=4)
        request = self._client.build_request("POST", path, content=content, headers=headers)
        return self._ask(request)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: httpx.Request) -> JsonValue:
        try:
            answer = self._client.send(request)
        except httpx.TransportError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ServerAway(
                f"Rankscope must answer at {self.url}, it does not ({reason})"
            ) from error
        if answer.is_success:
            return _json(answer, self.url)
        kind = ServerAway if answer.status_code in _LATER else RemoteError
        raise kind(f"{self.url} refused ({answer.status_code}): {_message(answer)}")


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.query or parts.fragment:
        raise ConfigError(
            f"url must read http://HOST:PORT or https://HOST, got {url!r}; "
            "copy it from the address bar of the dashboard"
        )
    return url.rstrip("/")


def _json(answer: httpx.Response, url: str) -> JsonValue:
    try:
        content: JsonValue = answer.json()
    except ValueError as error:
        raise RemoteError(
            f"{url} must be a Rankscope, it answers without JSON; correct the address"
        ) from error
    return content


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase or "no reason given"
