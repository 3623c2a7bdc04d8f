"""A request's body as text, compressed or not, of bounded size: read while it comes."""

import zlib

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

MAX_BODY_BYTES = 32 * 2**20
"""Unpacked; the largest batches have about 5."""
_GZIP = 16 + zlib.MAX_WBITS
"""zlib's word for gzip's own frame."""


async def body_of(request: Request) -> bytes:
    """The body, unpacked if its ``Content-Encoding`` is gzip.

    Raises:
        HTTPException: 413 if it is too large, 415 if it is encoded otherwise, 400 if it is broken.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise HTTPException(
            415, f"a body must be plain or gzip, got {encoding[:40]!r}; send it as one of these"
        )
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > MAX_BODY_BYTES:
            raise _too_large()
    if encoding == "identity":
        return bytes(received)
    return await run_in_threadpool(_unpacked, bytes(received))


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        content = unpacking.decompress(packed, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise HTTPException(400, "a gzip body must be whole, this one is broken") from error
    if len(content) > MAX_BODY_BYTES:
        raise _too_large()
    if not unpacking.eof:
        raise HTTPException(400, "a gzip body must be whole, this one ends early; send it again")
    return content


def _too_large() -> HTTPException:
    return HTTPException(
        413, f"a body must not exceed {MAX_BODY_BYTES:,} bytes unpacked; send fewer events at once"
    )
