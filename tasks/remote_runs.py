"""The runs of a running Rankscope as pandas frames, and configurations sent to its queue."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd
import yaml

from rankscope.models.reading import ConfigError
from rankscope.tasks.remote import Query, Server

_PAGE_SIZE = 1_000
"""Runs asked for at once."""


class Client:
    """Reads and submits; every method asks the server anew.

    Refusals of the server are raised as ``RemoteError``, silence as ``ServerAway``.

    Args:
        url: As a browser opens it.
        token: Where the server has accounts.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._server = Server(url, token)

    def runs(self, limit: int = _PAGE_SIZE, **filters: Query) -> pd.DataFrame:
        """Runs, newest first, one row each.

        Args:
            limit: At most so many.
            filters: As in the list of runs: ``status="done"``, ``scheduler="hydra"``, ``owner``,
                ``data``, ``q``, ``budget_min``, ``budget_max``; a list means any of them.
        """
        rows: list[dict[str, Any]] = []
        while len(rows) < limit:
            size = min(_PAGE_SIZE, limit - len(rows))
            query = {**filters, "limit": size, "offset": len(rows)}
            found = self._mapping("/api/runs", query)["runs"]
            rows += found
            if len(found) < size:
                break
        return pd.DataFrame(rows)

    def run(self, run_id: str) -> dict[str, Any]:
        """One run with its configuration."""
        return self._mapping(f"/api/runs/{run_id}")

    def curves(self, run_id: str) -> pd.DataFrame:
        """Step, loss (nats), learning rate and the rest; of long runs, every so manyth step."""
        return pd.DataFrame(self._page(run_id)["metrics"])

    def ranks(self, run_id: str) -> pd.DataFrame:
        """Ranks over time: one row per step at which any moved, one column per module."""
        page = self._page(run_id)
        names = [module["name"] for module in page["modules"]]
        ranks: dict[str, int] = {}
        rows: dict[int, dict[str, int]] = {}
        for change in page["rank_changes"]:
            moved = zip(change["modules"], change["ranks"], strict=True)
            ranks |= {names[index]: rank for index, rank in moved}
            rows[change["step"]] = dict(ranks)
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=names)
        return frame.rename_axis(index="step", columns="module")

    def submit(
        self,
        config: Mapping[str, Any] | str | Path,
        *,
        seeds: Sequence[int] | None = None,
        idempotency_key: str | None = None,
    ) -> list[str]:
        """Put runs into the queue and return their ids.

        Args:
            config: A configuration, or the YAML file that holds one.
            seeds: One run each; None takes the configuration's own.
            idempotency_key: The same key always gives the same runs.

        Raises:
            ConfigError: The file cannot be read.
        """
        content = config if isinstance(config, Mapping) else _of_file(Path(config))
        body = {
            "config": dict(content),
            "seeds": None if seeds is None else list(seeds),
            "idempotency_key": idempotency_key,
        }
        answer = self._server.post("/api/runs", body)
        assert isinstance(answer, dict)
        return [str(run_id) for run_id in answer["runs"]]  # type: ignore[union-attr]

    def close(self) -> None:
        """Hang up."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _page(self, run_id: str) -> dict[str, Any]:
        return self._mapping(f"/api/runs/{run_id}/page")

    def _mapping(self, path: str, query: Mapping[str, Query] | None = None) -> dict[str, Any]:
        answer = self._server.get(path, query)
        assert isinstance(answer, dict)
        return answer


def _of_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"a config must be a YAML file that can be read, got {path} ({reason}); check it"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"a config must be a mapping of keys, {path} is not; mend it")
    return content
