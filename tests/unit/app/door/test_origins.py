"""Which Hosts and Origins are ours."""

import socket

import pytest
from starlette.datastructures import Headers

from rankscope.app.door.origins import Origins, is_loopback

OURS = Origins("https://ranks.example.org", "127.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "localhost:7860",
        "LOCALHOST",
        "localhost.",
        "demo.localhost:7860",
        "127.0.0.1:7860",
        "[::1]:7860",
        "192.168.1.5",
        "ranks.example.org",
        socket.gethostname(),
    ],
)
def test_our_own_names_and_bare_addresses_are_known(host: str) -> None:
    assert OURS.is_known_host(Headers({"host": host}))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::1", "evil:localhost"],
)
def test_a_foreign_name_that_points_to_us_is_not_known(host: str) -> None:
    assert not OURS.is_known_host(Headers({"host": host}))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:7860", "origin": "http://localhost:7860"},
        {"host": "localhost:7860", "origin": "https://localhost:7860"},
        {"host": "web:7860", "origin": "https://ranks.example.org"},
        {"host": "localhost:7860"},
        {"host": "localhost:7860", "sec-fetch-site": "same-origin"},
        {"host": "localhost:7860", "sec-fetch-site": "none"},
    ],
)
def test_our_pages_and_programs_without_origin_are_own(headers: dict[str, str]) -> None:
    assert OURS.is_own(Headers(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:7860", "origin": "http://localhost:3000"},
        {"host": "localhost:7860", "origin": "http://evil.example"},
        {"host": "localhost:7860", "origin": "http://localhost:7860.evil.example"},
        {"host": "localhost:7860", "origin": "null"},
        {"host": "", "origin": "null"},
        {"host": "localhost:7860", "origin": "http://[::1"},
        {"host": "localhost:7860", "origin": "http://ranks.example.org"},
        {"host": "localhost:7860", "sec-fetch-site": "cross-site"},
        {"host": "localhost:7860", "sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_are_foreign_another_port_of_this_machine_too(headers: dict[str, str]) -> None:
    assert not OURS.is_own(Headers(headers))


def test_only_loopback_addresses_are_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.9.1", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.1.5", "example.org", ""]))  # noqa: S104
