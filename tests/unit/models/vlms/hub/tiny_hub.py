"""A hub of one model on this machine, speaking the Hugging Face hub's protocol over HTTP."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

MODEL = "tiny/vlm"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GATED, PRIVATE = "tiny/gated", "tiny/private"


class TinyHub(ThreadingHTTPServer):
    """Serves one folder as ``MODEL``; whatever else is asked for is gated or unknown."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.served: list[str] = []
        """Names of the files that were sent."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub_of(folder: Path) -> Iterator[TinyHub]:
    """A running hub."""
    hub = TinyHub(folder)
    thread = Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: TinyHub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, *, with_body: bool) -> None:
        path = self.path.split("?")[0]
        api = f"/api/models/{MODEL}"
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            self._send_json({"id": MODEL, "sha": COMMIT, "siblings": []}, with_body=with_body)
        elif path == f"{api}/tree/{COMMIT}":
            self._send_json([_listed(file) for file in self._files()], with_body=with_body)
        elif path.startswith(f"/{MODEL}/resolve/{COMMIT}/"):
            self._send_file(path.rsplit("/", 1)[1], with_body=with_body)
        elif path.startswith(api):
            self._refuse(404, "RevisionNotFound")
        elif GATED in path:
            self._refuse(403, "GatedRepo")
        else:
            self._refuse(401, "RepoNotFound")

    def _files(self) -> list[Path]:
        return sorted(path for path in self.server.folder.iterdir() if path.is_file())

    def _send_file(self, name: str, *, with_body: bool) -> None:
        content = (self.server.folder / name).read_bytes()
        if with_body:
            self.server.served.append(name)
        self._send(content, with_body=with_body, etag=hashlib.sha256(content).hexdigest())

    def _send_json(self, content: object, *, with_body: bool) -> None:
        self._send(json.dumps(content).encode(), with_body=with_body, etag="none")

    def _send(self, content: bytes, *, with_body: bool, etag: str) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _listed(path: Path) -> dict[str, object]:
    oid = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
    return {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": oid}
