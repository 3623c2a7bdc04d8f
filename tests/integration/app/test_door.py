"""Who comes in: every route of the real application, ours and Gradio's, tried by a stranger."""

import collections
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from rankscope.app.door.guard import PUBLIC_PATHS
from rankscope.app.door.sessions import COOKIE
from rankscope.app.settings import WebSettings
from rankscope.app.web import create_app
from rankscope.models.reading import parse_config
from rankscope.storage.accounts import add_account, remove_account, set_password, set_role
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import create_run
from rankscope.storage.settings import Settings
from rankscope.storage.tokens import create_token, revoke_token

PASSWORD = "correct horse battery"  # noqa: S105
HERE = {"origin": "http://localhost"}
PAGES = ("/", "/new", "/run?run=abc", "/compare?run=a&run=b", "/benchmarks", "/workers")
PUBLIC_ROUTES = {
    *PUBLIC_PATHS,
    "/ui/plotly.min.js",
}
"""What may be seen before signing in; nothing else ever may. Static files lie under /ui too."""


class Server(NamedTuple):
    """One application and its database."""

    app: FastAPI
    engine: Engine
    inside: TestClient
    """Runs the application; WebSockets must share its event loop."""

    def visitor(self, **headers: str) -> TestClient:
        """A new browser that has no cookie; it is not the one that runs the application."""
        return TestClient(
            self.app, base_url="http://localhost", headers=headers, follow_redirects=False
        )

    def signed_in(self, name: str, password: str = PASSWORD) -> TestClient:
        """A browser in which somebody has signed in."""
        browser = self.visitor()
        answer = sign_in(browser, name, password)
        assert answer.status_code == 303, answer.text
        return browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with accounts, as a team runs it."""
    with running(tmp_path_factory.mktemp("home"), WebSettings()) as made:
        add_account(made.engine, "ada", PASSWORD, "operator")
        add_account(made.engine, "vic", PASSWORD, "viewer")
        made.app.state.sessions.refresh()
        yield made


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on loopback without accounts."""
    with running(tmp_path_factory.mktemp("open"), WebSettings()) as made:
        yield made


class running:  # noqa: N801
    """An application between its start and its end."""

    def __init__(self, home: Path, web: WebSettings) -> None:
        settings = Settings(
            rankscope_home=home, database_url=f"sqlite:///{home}/rankscope.db", redis_url=None
        )
        self._engine = open_database(settings.database_url)
        migrate(self._engine)
        self._app = create_app(self._engine, settings, web)
        self._client = TestClient(self._app, base_url="http://localhost")

    def __enter__(self) -> Server:
        self._client.__enter__()
        return Server(self._app, self._engine, self._client)

    def __exit__(self, *_: object) -> None:
        self._client.__exit__()
        self._engine.dispose()


def sign_in(browser: TestClient, name: str, password: str, wanted: str = "/") -> Any:
    fields = {"name": name, "password": password, "next": wanted}
    return browser.post("/signin", data=fields, headers=HERE)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def all_routes(routes: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of every route, in mounts and included routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from all_routes(inner.routes, prefix + route.include_context.prefix)
        elif isinstance(route, Mount):
            yield from all_routes(route.routes or [], prefix + route.path)
        elif not hasattr(route, "methods"):
            yield "WEBSOCKET", prefix + route.path
        else:
            for method in route.methods or ():
                yield method, prefix + route.path


def test_a_stranger_is_refused_on_every_route_that_is_registered(server: Server) -> None:
    stranger = server.visitor(**HERE)
    routes = sorted(set(all_routes(server.app.routes)))
    paths = {path for _, path in routes}
    assert {"/gradio_api/upload", "/gradio_api/queue/join", "/api/session", "/run"} <= paths
    assert ("WEBSOCKET", "/live") in routes
    let_in = set()
    for method, path in routes:
        address = re.sub(r"{[^}]*}", "x", path)
        if method == "WEBSOCKET":
            with (
                pytest.raises(WebSocketDisconnect) as closed,
                stranger.websocket_connect(f"ws://localhost{address}") as socket,
            ):
                socket.receive_json()
            assert closed.value.code == 4401, path
            continue
        answer = stranger.request(method, address)
        if answer.status_code == 401 and method == "HEAD":
            continue
        if answer.status_code == 401 and set(answer.json()) == {"message"}:
            continue
        let_in.add(path)
    assert let_in == PUBLIC_ROUTES


@pytest.mark.parametrize("path", PAGES)
def test_a_page_leads_a_stranger_to_the_sign_in_page_and_back(server: Server, path: str) -> None:
    browser = server.visitor()
    led = browser.get(path, headers={"accept": "text/html,*/*"})
    assert led.status_code == 303
    assert led.headers["location"].startswith("/signin?next=")
    form = browser.get(led.headers["location"])
    wanted = re.search(r'name="next" value="([^"]*)"', form.text)
    assert wanted is not None
    back = sign_in(browser, "ada", PASSWORD, wanted.group(1).replace("&amp;", "&"))
    assert (back.status_code, back.headers["location"]) == (303, path)
    assert browser.get(path, headers={"accept": "text/html"}).status_code == 200


def test_the_cookie_is_for_our_pages_alone(server: Server) -> None:
    cookie = sign_in(server.visitor(), "ada", PASSWORD).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


def test_behind_tls_the_cookie_is_secure_and_the_public_origin_is_ours(tmp_path: Path) -> None:
    web = WebSettings(public_url="https://ranks.example.org")
    with running(tmp_path, web) as made:
        add_account(made.engine, "ada", PASSWORD, "operator")
        browser = TestClient(made.app, base_url="http://ranks.example.org", follow_redirects=False)
        fields = {"name": "ada", "password": PASSWORD}
        origin = {"origin": "https://ranks.example.org"}
        answer = browser.post("/signin", data=fields, headers=origin)
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age=" in answer.headers["strict-transport-security"]
        foreign = {"origin": "https://evil.example"}
        assert browser.post("/signin", data=fields, headers=foreign).status_code == 403


def test_wrong_password_and_unknown_name_are_told_alike_beside_the_field(server: Server) -> None:
    answers = [
        sign_in(server.visitor(), name, "wrong horse battery") for name in ("ada", "<nobody>")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    for answer in answers:
        assert 'aria-describedby="password-problem"' in answer.text
        assert "This name and password do not belong together." in answer.text
        assert "set-cookie" not in answer.headers
    assert 'value="ada"' in answers[0].text
    assert 'value="&lt;nobody&gt;"' in answers[1].text


@pytest.mark.parametrize(
    ("name", "password", "field"), [("", "x", "name"), ("ada", "", "password")]
)
def test_an_empty_field_is_told_beside_it(
    server: Server, name: str, password: str, field: str
) -> None:
    answer = sign_in(server.visitor(), name, password)
    assert answer.status_code == 422
    assert f'id="{field}-problem"' in answer.text


def test_too_many_attempts_are_told_when_to_try_again(server: Server) -> None:
    add_account(server.engine, "eve", PASSWORD, "viewer")
    for _ in range(5):
        assert sign_in(server.visitor(), "eve", "wrong").status_code == 401
    answer = sign_in(server.visitor(), "eve", PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300
    assert "Too many attempts; try again in 5 minutes." in answer.text
    assert sign_in(server.visitor(), "ada", PASSWORD).status_code == 303


def test_a_huge_form_is_refused_before_it_is_read(server: Server) -> None:
    assert sign_in(server.visitor(), "ada", "x" * 10_000).status_code == 413


def test_somebody_signed_in_is_told_who_it_is_and_what_it_may(server: Server) -> None:
    assert server.signed_in("vic").get("/api/session").json() == {
        "name": "vic",
        "role": "viewer",
        "can_operate": False,
        "needs_sign_in": True,
    }


def test_signing_out_takes_the_cookie_away(server: Server) -> None:
    browser = server.signed_in("ada")
    answer = browser.post("/signout", headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin")
    assert browser.get("/api/session").status_code == 401


def test_a_removed_account_a_new_password_and_a_new_role_take_effect_within_seconds(
    server: Server,
) -> None:
    add_account(server.engine, "bob", PASSWORD, "admin")
    first, second = server.signed_in("bob"), server.signed_in("bob")
    set_role(server.engine, "bob", "viewer")
    eventually(lambda: first.get("/api/session").json().get("role") == "viewer")
    set_password(server.engine, "bob", "another horse battery")
    eventually(lambda: first.get("/api/session").status_code == 401)
    third = server.signed_in("bob", "another horse battery")
    remove_account(server.engine, "bob")
    eventually(lambda: third.get("/api/session").status_code == 401)
    assert second.get("/api/session").status_code == 401


def test_an_expired_or_forged_cookie_gets_one_clear_answer(server: Server) -> None:
    browser = server.visitor(cookie=f"{COOKIE}=expired.or.forged")
    refused = browser.get("/api/session")
    assert refused.status_code == 401
    assert "has expired; sign in at /signin" in refused.json()["message"]
    assert browser.get("/workers", headers={"accept": "text/html"}).status_code == 303


def test_a_bearer_token_opens_the_api_until_it_is_revoked(server: Server) -> None:
    token = create_token(server.engine, owner="ada", role="operator", name="ci")
    program = server.visitor(authorization=f"Bearer {token.plaintext}")
    assert program.get("/api/session").json()["name"] == "ada"
    revoke_token(server.engine, token.id)
    assert program.get("/api/session").status_code == 401


def test_another_site_can_neither_act_nor_read_nor_listen(server: Server) -> None:
    browser = server.signed_in("ada")
    foreign = {"origin": "http://evil.example"}
    for method, path in (
        ("POST", "/signout"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/config"),
    ):
        answer = browser.request(method, path, headers=foreign)
        assert answer.status_code == 403, path
        assert "the Origin must be this server's own" in answer.json()["message"]
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        browser.websocket_connect("ws://localhost/live?run=x", headers=foreign) as socket,
    ):
        socket.receive_json()
    assert closed.value.code == 4403
    assert browser.get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_a_foreign_name_that_points_to_us_is_refused_also_without_accounts(
    open_server: Server,
) -> None:
    answer = open_server.visitor(host="rebound.evil.example").get("/api/session")
    assert answer.status_code == 421
    assert "the Host must be a name of this server" in answer.json()["message"]


def test_on_loopback_without_accounts_nobody_signs_in(open_server: Server) -> None:
    browser = open_server.visitor()
    assert browser.get("/").status_code == 200
    session = browser.get("/api/session").json()
    assert (session["role"], session["needs_sign_in"]) == ("admin", False)
    assert browser.get("/signin").headers["location"] == "/"
    wrong = open_server.visitor(authorization="Bearer rks_wrong")
    assert wrong.get("/api/session").status_code == 401


def test_every_answer_has_the_headers_that_keep_a_browser_safe(server: Server) -> None:
    browser = server.signed_in("ada")
    for path in ("/", "/api/session", "/api/nothing", "/ui/base.css", "/signin"):
        headers = browser.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
    assert "unsafe" not in server.visitor().get("/signin").headers["content-security-policy"]


def test_an_unknown_address_of_the_api_is_answered_by_us(server: Server) -> None:
    answer = server.signed_in("ada").get("/api/nothing")
    assert answer.status_code == 404
    assert answer.json() == {"message": "the API has no such address, got /api/nothing"}


def test_plotly_is_compressed_and_kept_for_good(server: Server) -> None:
    answer = server.visitor().get("/ui/plotly.min.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert int(answer.headers["content-length"]) < 2_000_000
    assert len(answer.content) > 4_000_000
    assert server.visitor().get("/ui/base.css").headers["cache-control"] == "no-cache"


def test_an_open_websocket_ends_with_its_sign_in(server: Server) -> None:
    config = parse_config({"data": {"kind": "easy_vqa"}})
    run = create_run(server.engine, config, origin="queue", owner="ada")
    add_account(server.engine, "tom", PASSWORD, "viewer")
    cookie = sign_in(server.visitor(), "tom", PASSWORD).headers["set-cookie"].split(";")[0]
    address, headers = f"ws://localhost/live?run={run}", {**HERE, "cookie": cookie}
    with server.inside.websocket_connect(address, headers=headers) as socket:
        assert socket.receive_json()["t"] == "beat"
        remove_account(server.engine, "tom")
        with pytest.raises(WebSocketDisconnect) as closed:
            collections.deque((socket.receive_json() for _ in range(20)), maxlen=0)
    assert closed.value.code == 4401
