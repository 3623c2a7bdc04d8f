"""The door: every request and WebSocket passes here before any route, ours or Gradio's."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from anyio import to_thread
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rankscope.app.door.identity import Person
from rankscope.app.door.origins import Origins
from rankscope.app.door.sessions import COOKIE, Sessions, set_cookie
from rankscope.storage.tokens import verify_token

PUBLIC_PATHS = frozenset({"/signin", "/signout", "/healthz", "/readyz", "/favicon.ico"})
PUBLIC_FOLDER = "/ui/"
"""Style sheets and scripts: the sign-in page needs them, and they hold no data."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
UNAUTHENTICATED_CODE, FOREIGN_CODE = 4401, 4403
"""Close codes of a WebSocket; a refusal before the handshake would not tell the page why."""
_CLOSE_CODES = {401: UNAUTHENTICATED_CODE, 503: 1013}

_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio 6 writes its configuration as an inline script and compiles js_on_load
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware that knows who asks, refuses who may not, and adds security headers.

    It denies by default: a path is public only if this file says so, hence a route that a new
    version of Gradio adds is behind the door from its first day.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        engine: Engine,
        sessions: Sessions,
        origins: Origins,
    ) -> None:
        self._app = app
        self._engine = engine
        self._sessions = sessions
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through, redirect to the sign-in page, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_own = self._origins.is_own(headers)
        person, fresh_cookie = None, None
        refusal = self._refuse_foreign(scope, headers, is_own=is_own)
        if refusal is None:
            try:
                person, fresh_cookie = await self._identify(headers)
            except SQLAlchemyError:
                refusal = _problem(503, "the database must answer to check a token; try again")
            else:
                refusal = _refuse_stranger(scope, headers, person)
        scope["state"] = {**scope.get("state", {}), "person": person, "is_own_origin": is_own}
        send = self._with_headers(send, fresh_cookie)
        if refusal is None:
            if scope["type"] == "websocket":
                send = self._while_signed_in(headers, send)
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await _close(receive, send, _CLOSE_CODES.get(refusal.status_code, FOREIGN_CODE))
        else:
            await refusal(scope, receive, send)

    async def _identify(self, headers: Headers) -> tuple[Person | None, str | None]:
        """Who asks, and a fresh cookie if the one that came is a day old."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            known = await to_thread.run_sync(verify_token, self._engine, token.strip())
            return (Person(known.owner, known.role) if known else None), None
        return self._by_cookie(headers)

    def _by_cookie(self, headers: Headers) -> tuple[Person | None, str | None]:
        cookie = _cookie(headers)
        session = self._sessions.read(cookie) if cookie else None
        if session is None:
            return self._sessions.anyone(), None
        return session.person, self._sessions.renew(session.person) if session.is_old else None

    def _refuse_foreign(self, scope: Scope, headers: Headers, *, is_own: bool) -> Response | None:
        if not self._origins.is_known_host(headers):
            return _problem(
                421,
                f"the Host must be a name of this server, got {headers.get('host', '')[:100]!r}; "
                "use localhost or its IP address, or set RANKSCOPE_PUBLIC_URL",
            )
        is_unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        # a link from elsewhere may open a page; a script from elsewhere, which names its Origin,
        # may do nothing
        if not is_own and (is_unsafe or "origin" in headers):
            return _problem(
                403,
                "the Origin must be this server's own, got "
                f"{headers.get('origin', 'another site')[:100]!r}; act from the pages of this "
                "server, or set RANKSCOPE_PUBLIC_URL to the address people type",
            )
        return None

    def _while_signed_in(self, headers: Headers, send: Send) -> Send:
        """A WebSocket stays open for hours: who was signed out meanwhile gets no more of it."""
        if "authorization" in headers:
            return send  # a program's token is looked up when it connects

        async def sending(message: Message) -> None:
            if message["type"] == "websocket.send" and self._by_cookie(headers)[0] is None:
                await send({"type": "websocket.close", "code": UNAUTHENTICATED_CODE})
                raise OSError("signed out")  # as if the browser had gone, which the route knows
            await send(message)

        return sending

    def _with_headers(self, send: Send, cookie: str | None) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._sessions.is_https:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                if cookie is not None and "set-cookie" not in headers:
                    set_cookie(headers, cookie, is_https=self._sessions.is_https)
            await send(message)

        return sending


def _refuse_stranger(scope: Scope, headers: Headers, person: Person | None) -> Response | None:
    path: str = scope["path"]
    if person is not None or path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDER):
        return None
    if scope["type"] == "http" and _is_page_load(scope["method"], path, headers):
        query = scope.get("query_string", b"").decode("latin-1")
        wanted = quote(f"{path}?{query}" if query else path, safe="")
        return RedirectResponse(f"/signin?next={wanted}", 303)
    return _problem(
        401,
        "this needs a signed-in person, and you are not or your sign-in has expired; "
        "sign in at /signin, or send a valid bearer token",
    )


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _is_page_load(method: str, path: str, headers: Headers) -> bool:
    is_api = path.startswith(("/api/", "/gradio_api/"))
    return method in ("GET", "HEAD") and not is_api and "text/html" in headers.get("accept", "")


def _problem(status: int, message: str) -> JSONResponse:
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"message": message}, status, headers)


async def _close(receive: Receive, send: Send, code: int) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code})
