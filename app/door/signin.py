"""The sign-in page: plain HTML and one form, so that it works before any script does."""

import html
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from rankscope.app.door.attempts import Attempts
from rankscope.app.door.identity import person_of
from rankscope.app.door.sessions import Sessions, set_cookie
from rankscope.storage.accounts import Account, verify_password

ROUTER = APIRouter()
MAX_FORM_BYTES = 8192
NUM_CHECKS_AT_ONCE = 2
"""An argon2 check takes 64 MiB and 0.1 s; a flood of them must not take the memory of all."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class SignIn:
    """What the sign-in page keeps between requests."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.attempts = Attempts()
        self.limiter = CapacityLimiter(NUM_CHECKS_AT_ONCE)


@ROUTER.get("/signin")
async def show(request: Request) -> Response:
    """The empty form; who is signed in already goes on."""
    wanted = own_path(request.query_params.get("next", "/"))
    if person_of(request) is not None:
        return RedirectResponse(wanted, 303)
    return _page(wanted)


@ROUTER.post("/signin")
async def sign_in(request: Request) -> Response:
    """Check name and password; go on to ``next``, or show beside the field what is wrong."""
    if int(request.headers.get("content-length") or MAX_FORM_BYTES + 1) > MAX_FORM_BYTES:
        return _page(
            "/", problems={"name": f"The form must not exceed {MAX_FORM_BYTES} bytes."}, status=413
        )
    async with request.form(max_files=0, max_fields=8) as form:
        name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        wanted = own_path(str(form.get("next", "/")))
    problems = _empty_fields(name, password)
    if problems:
        return _page(wanted, name, problems, 422)
    desk: SignIn = request.app.state.sign_in
    address = request.client.host if request.client else ""
    wait_s = desk.attempts.begin(name, address)
    if wait_s:
        message = f"Too many attempts; try again in {_minutes(wait_s)}."
        return _page(wanted, name, {"password": message}, 429, {"retry-after": str(wait_s)})
    try:
        account = await _verify(desk, request, name, password)
    except SQLAlchemyError:
        message = "The database does not answer, so nobody can sign in; try again in a minute."
        return _page(wanted, name, {"password": message}, 503)
    if account is None:
        wrong = "This name and password do not belong together."
        return _page(wanted, name, {"password": wrong}, 401)
    desk.attempts.forget(name, address)
    response = RedirectResponse(wanted, 303)
    set_cookie(response.headers, desk.sessions.sign(account), is_https=desk.sessions.is_https)
    return response


@ROUTER.post("/signout")
async def sign_out(request: Request) -> Response:
    """Take the cookie away."""
    desk: SignIn = request.app.state.sign_in
    response = RedirectResponse("/signin", 303)
    set_cookie(response.headers, "", is_https=desk.sessions.is_https)
    return response


def own_path(wanted: str) -> str:
    """Where to go after signing in: only ever to a page of this server."""
    # a second slash, or a backslash that browsers take for one, would begin a host's name
    is_path = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    if not is_path or not wanted.isprintable() or wanted.startswith(("/signin", "/signout")):
        return "/"
    return quote(wanted, safe="/?&=:@!$'()*+,;~-._%")


async def _verify(desk: SignIn, request: Request, name: str, password: str) -> Account | None:
    engine = request.app.state.site.engine
    account = await to_thread.run_sync(
        verify_password, engine, name, password, limiter=desk.limiter
    )
    if account is not None:
        # the account may be younger than the last look at all of them
        await to_thread.run_sync(desk.sessions.refresh)
    return account


def _empty_fields(name: str, password: str) -> dict[str, str]:
    problems = {}
    if not name:
        problems["name"] = "Enter your name."
    if not password:
        problems["password"] = "Enter your password."  # noqa: S105
    return problems


def _minutes(wait_s: int) -> str:
    if wait_s < 90:
        return f"{wait_s} s"
    return f"{round(wait_s / 60)} minutes"


def _page(
    wanted: str,
    name: str = "",
    problems: dict[str, str] | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    problems = problems or {}
    first = "password" if name and "name" not in problems else "name"
    page = _PAGE.format(
        wanted=html.escape(wanted),
        name=_field("name", "Name", "text", "username", name, problems, first),
        password=_field(
            "password", "Password", "password", "current-password", "", problems, first
        ),
    )
    shown = {"content-security-policy": POLICY, "cache-control": "no-store"} | (headers or {})
    return HTMLResponse(page, status, shown)


def _field(
    key: str,
    label: str,
    kind: str,
    autocomplete: str,
    value: str,
    problems: dict[str, str],
    first: str,
) -> str:
    problem = problems.get(key)
    described = f' aria-invalid="true" aria-describedby="{key}-problem"' if problem else ""
    message = (
        f'<p class="signin-problem" id="{key}-problem" role="alert">{html.escape(problem)}</p>'
        if problem
        else ""
    )
    focus = " autofocus" if key == first else ""
    return (
        f'<div class="signin-field"><label for="{key}">{label}</label>'
        f'<input id="{key}" name="{key}" type="{kind}" autocomplete="{autocomplete}" '
        f'autocapitalize="none" spellcheck="false" maxlength="1024" '
        f'value="{html.escape(value)}"{described}{focus}>{message}</div>'
    )


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Rankscope</title>
<link rel="icon" href="/ui/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/ui/base.css">
<link rel="stylesheet" href="/ui/signin.css">
<script type="module" src="/ui/signin.js"></script>
</head>
<body>
<main class="signin">
<form class="card signin-card" method="post" action="/signin" novalidate>
<h1>Sign in to Rankscope</h1>
<input type="hidden" name="next" value="{wanted}">
{name}
{password}
<button class="button button-primary signin-button" type="submit">Sign in</button>
<p class="muted small">An administrator adds people with
<code>rankscope user add NAME</code>.</p>
</form>
</main>
</body>
</html>
"""
