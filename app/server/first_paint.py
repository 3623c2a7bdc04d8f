"""Our own head in every page as it is served: the look is there before Gradio's scripts have run.

Gradio hands its ``head`` to its own script, which adds it when it has started, half a second late.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_END_OF_HEAD = b"</head>"
_MARK = b"<gradio-app"
"""Only Gradio's pages have it; the sign-in page and the API's answers go through untouched."""


class FirstPaint:
    """Put ``head`` at the end of the head of Gradio's pages."""

    def __init__(self, app: ASGIApp, head: str) -> None:
        self._app = app
        self._head = head.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with our head if the answer is one of Gradio's pages."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        chunks: list[bytes] = []

        async def rewrite(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
            elif message["type"] == "http.response.body" and start is not None:
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    body = self._with_head(b"".join(chunks))
                    await send(_of_length(start, len(body)))
                    await send({"type": "http.response.body", "body": body})
            else:
                await send(message)

        await self._app(scope, receive, rewrite)

    def _with_head(self, body: bytes) -> bytes:
        if _MARK not in body:
            return body
        return body.replace(_END_OF_HEAD, self._head + _END_OF_HEAD, 1)


def _is_html(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/html")
        for name, value in start["headers"]
    )


def _of_length(start: Message, num_bytes: int) -> Message:
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(num_bytes).encode())]}
