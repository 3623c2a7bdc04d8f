"""Our head in pages as they are served."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from rankscope.app.server.first_paint import FirstPaint

HEAD = '<link rel="stylesheet" href="/ui/base.css"><title>Größe</title>'
PAGE = "<html><head><meta></head><body><gradio-app></gradio-app>ä</body></html>"


async def page(request: Request) -> Response:
    del request
    return HTMLResponse(PAGE)


async def in_pieces(request: Request) -> Response:
    del request
    return StreamingResponse(iter([PAGE[:20], PAGE[20:]]), media_type="text/html")


async def sign_in(request: Request) -> Response:
    del request
    return HTMLResponse("<html><head></head><body>Sign in</body></html>")


async def answer(request: Request) -> Response:
    del request
    return JSONResponse({"text": "</head><gradio-app"})


def client() -> TestClient:
    routes = [Route(f"/{e.__name__}", e) for e in (page, in_pieces, sign_in, answer)]
    return TestClient(FirstPaint(Starlette(routes=routes), HEAD))


def test_a_page_of_gradio_gets_our_head_once_and_its_right_length() -> None:
    for address in ("/page", "/in_pieces"):
        got = client().get(address)
        assert got.text == PAGE.replace("</head>", f"{HEAD}</head>")
        assert int(got.headers["content-length"]) == len(got.content)


def test_other_pages_and_answers_go_through_untouched() -> None:
    assert HEAD not in client().get("/sign_in").text
    assert client().get("/answer").json() == {"text": "</head><gradio-app"}
