"""Files that people send over HTTP, to name them as data."""

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from rankscope.app.door.identity import operator
from rankscope.models.data.dialogue import Unfit
from rankscope.storage.uploads import PICTURES, TABLES, Arriving, Uploads, UploadTaken, too_large

_CHUNK_BYTES = 1 << 20

router = APIRouter(prefix="/api/data/files", tags=["data"], dependencies=[Depends(operator)])


@router.get("")
def read_limits(request: Request) -> dict[str, Any]:
    """What may be sent; ``max_bytes`` 0 if nothing may."""
    uploads = _uploads(request)
    return {"max_bytes": uploads.max_bytes, "tables": TABLES, "pictures": PICTURES}


@router.put("/{name:path}", status_code=201)
async def receive(request: Request, name: str) -> dict[str, Any]:
    """Take the body as a file of this name; answers with its path below the data root."""
    uploads = _uploads(request)
    if not uploads.max_bytes:
        raise HTTPException(
            403,
            "files can be sent where RANKSCOPE_MAX_UPLOAD_MB is above 0, here it is 0; have them "
            "put below the data root",
        )
    try:
        await run_in_threadpool(_check_size, uploads, request.headers.get("content-length", "0"))
        with uploads.receiving(name) as arriving:
            await _read(request, arriving)
            path = await run_in_threadpool(arriving.keep)
    except Unfit as error:
        raise HTTPException(422, str(error)) from error
    except UploadTaken as error:
        raise HTTPException(
            409, f"a file is never replaced, there is one called {name!r}; rename yours"
        ) from error
    except OSError as error:
        raise HTTPException(
            507, f"the file could not be kept ({error.strerror}); free space or ask the operator"
        ) from error
    return {"path": path, "size_bytes": arriving.num_bytes}


async def _read(request: Request, arriving: Arriving) -> None:
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) >= _CHUNK_BYTES:
            await run_in_threadpool(arriving.write, bytes(held))
            held.clear()
    await run_in_threadpool(arriving.write, bytes(held))


def _check_size(uploads: Uploads, told: str) -> None:
    """Refuse before the first byte what says by itself that it is too large."""
    num_bytes = int(told) if told.isdecimal() else 0
    if num_bytes > uploads.max_bytes:
        raise too_large(num_bytes, uploads.max_bytes)
    if not uploads.has_room(num_bytes):
        raise HTTPException(
            507, "a file needs room on the disk of the data root, there is too little; free some"
        )


def _uploads(request: Request) -> Uploads:
    uploads: Uploads = request.app.state.uploads
    return uploads
