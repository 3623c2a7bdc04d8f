"""Many viewers without a browser, in a process of its own: they read and throw away.

``python -m benchmarks.live.viewers ours|peer ADDRESS NUMBER [RUN]`` until it is terminated.
"""

import asyncio
import json
import secrets
import sys
from contextlib import suppress

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def follow(address: str, run_id: str) -> None:
    """One page of ours: its WebSocket."""
    while True:
        with suppress(ConnectionClosed):
            async with connect(f"ws://{address}/live?run={run_id}&from=0", proxy=None) as socket:
                async for _ in socket:
                    pass


async def tick(address: str) -> None:
    """One page of gr.Plot and gr.Timer: what Gradio's own client sends and reads each second."""
    session = secrets.token_hex(6)
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=30) as client:
        config = (await client.get("/config")).json()
        timed = next(d for d in config["dependencies"] if d["targets"][0][1] == "tick")
        body = {"data": [], "fn_index": timed["id"], "session_hash": session}
        while True:
            pause = asyncio.create_task(asyncio.sleep(1.0))
            await client.post("/gradio_api/queue/join", json=body)
            where = f"/gradio_api/queue/data?session_hash={session}"
            async with client.stream("GET", where) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data:") and _is_last(line[5:]):
                        break
            await pause


def _is_last(text: str) -> bool:
    return bool(json.loads(text).get("msg") in ("process_completed", "close_stream"))


async def main() -> None:
    """Watch until terminated."""
    kind, address, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    is_ours = kind == "ours"
    await asyncio.gather(
        *(follow(address, sys.argv[4]) if is_ours else tick(address) for _ in range(number))
    )


if __name__ == "__main__":
    asyncio.run(main())
