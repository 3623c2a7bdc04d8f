"""A page of one run without a browser: it loads history, follows the tail, keeps what it saw."""

import json
import threading
import time
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Watcher:
    """Does what the Run page does, in a thread of its own.

    Args:
        address: ``127.0.0.1:PORT`` of the web server.
        run_id: The run.
        patience_beats: Beats that say the database is ahead before history is read again.
    """

    def __init__(self, address: str, run_id: str, *, patience_beats: int = 2) -> None:
        self.losses: dict[int, float | None] = {}
        """Step -> loss, as drawn."""
        self.ranks: dict[int, int] = {}
        """Module index -> rank, as drawn."""
        self.cursor = 0
        self.wrong: list[str] = []
        """What a page must never see: an event twice, or older than what is drawn."""
        self.num_loads = 0
        self.num_reloads = 0
        self.num_connections = 0
        self.num_live_events = 0
        self.close_codes: list[int] = []
        self.beats: list[dict[str, Any]] = []
        self._address = address
        self._run_id = run_id
        self._patience_beats = patience_beats
        self._num_ahead = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def wait_for(self, cursor: int, timeout_s: float = 60.0) -> None:
        """Wait until this event is drawn."""
        self.wait_until(lambda: self.cursor >= cursor, timeout_s)

    def wait_until(self, holds: "Any", timeout_s: float = 60.0) -> None:
        """Wait until something holds of this watcher."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, f"cursor {self.cursor:x}, {self.wrong}"
            time.sleep(0.02)

    def close(self) -> None:
        """Close the page."""
        self._stopping.set()
        self._thread.join(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        self._load(0)
        while not self._stopping.is_set():
            try:
                self._follow()
            except ConnectionClosed as closed:
                self.close_codes.append(closed.rcvd.code if closed.rcvd else 1006)
            except (OSError, TimeoutError):
                pass
            self._stopping.wait(0.1)

    def _load(self, after: int) -> None:
        page = f"http://{self._address}/api/runs/{self._run_id}/page"
        while not self._stopping.is_set():
            try:
                answer = httpx.get(page, params={"after": after}, timeout=10)
                answer.raise_for_status()
            except httpx.HTTPError:
                self._stopping.wait(0.1)
                continue
            content = answer.json()
            if content["cursor"] < max(after, self.cursor):
                self._stopping.wait(0.1)
                continue
            metrics = content["metrics"]
            self.losses = dict(zip(metrics["step"], metrics["loss"], strict=True))
            self.ranks = dict(enumerate(content["ranks"] or []))
            self.cursor = content["cursor"]
            self.num_loads += 1
            return

    def _follow(self) -> None:
        tail = f"ws://{self._address}/live?run={self._run_id}&from={self.cursor}"
        with connect(tail, proxy=None, open_timeout=10, close_timeout=1) as connection:
            self.num_connections += 1
            while not self._stopping.is_set():
                try:
                    message = json.loads(connection.recv(timeout=0.1))
                except TimeoutError:
                    continue
                if not self._take(message):
                    return

    def _take(self, message: dict[str, Any]) -> bool:
        """Draw a message; False to connect again."""
        if message["t"] == "beat":
            self.beats.append(message)
            run = message["run"]
            is_ahead = run is not None and run["last_event_id"] > self.cursor
            self._num_ahead = self._num_ahead + 1 if is_ahead else 0
            if self._num_ahead >= self._patience_beats:
                self._num_ahead = 0
                self._load(0)
                return False
            return True
        if message["t"] == "reload":
            self.num_reloads += 1
            self._load(message["after"])
            return False
        for form in message["events"]:
            if form["id"] <= self.cursor:
                self.wrong.append(f"event {form['id']:x} after {self.cursor:x}")
            self.num_live_events += 1
            if form["k"] == "step":
                self.losses[form["step"]] = form["loss"]
            if form["k"] == "ranks":
                self.ranks |= dict(zip(form["modules"], form["ranks"], strict=True))
        self.cursor = max(self.cursor, message["to"])
        return True
