"""Settings of this process, from the environment only; they are never stored with a run."""

from pathlib import Path

from pydantic import Field, field_validator

from rankscope.models.roots import Roots
from rankscope.storage import redis_address
from rankscope.storage.database import safe_url
from rankscope.storage.environment import EnvironmentSettings


class Settings(EnvironmentSettings):
    """Where things are: ``RANKSCOPE_HOME``, ``DATABASE_URL`` and ``REDIS_URL``.

    Its text form hides the two addresses, which may hold passwords; show ``safe_url`` and
    ``safe_redis_url`` instead.
    """

    rankscope_home: Path = Field(
        default_factory=lambda: Path.home() / ".rankscope",
        description="Folder of the default database and of the runs' files.",
    )
    database_url: str = Field(
        default_factory=lambda values: _default_url(values["rankscope_home"]),
        repr=False,
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
    )
    rankscope_data_root: Path = Field(
        default_factory=lambda values: values["rankscope_home"] / "data",
        description="Folder below which people may name files as data.",
    )
    rankscope_models_root: Path = Field(
        default_factory=lambda values: values["rankscope_home"] / "models",
        description="Folder below which people may name folders as models.",
    )
    rankscope_allow_remote_code: bool = Field(
        False,
        description="Whether code that a model brings along may run here, with all rights of the "
        "worker.",
    )
    redis_url: str | None = Field(
        None,
        repr=False,
        description="redis://HOST:PORT/NUMBER; without it a private server under the home.",
    )

    @field_validator("redis_url")
    @classmethod
    def _names_a_server(cls, url: str | None) -> str | None:
        # deployment files pass on an empty variable for one that is not set
        return redis_address.checked(url) if url else None

    @property
    def runs_dir(self) -> Path:
        """Folder that holds one folder per run."""
        return self.rankscope_home.expanduser() / "runs"

    @property
    def evaluations_dir(self) -> Path:
        """Folder that holds one folder per evaluation on a benchmark."""
        return self.rankscope_home.expanduser() / "evaluations"

    @property
    def roots(self) -> Roots:
        """Where runs may read models and data."""
        return Roots(
            data=self.rankscope_data_root.expanduser(),
            models=self.rankscope_models_root.expanduser(),
            cache=self.rankscope_home.expanduser() / "cache",
            allow_remote_code=self.rankscope_allow_remote_code,
        )

    @property
    def safe_url(self) -> str:
        """The database's address with its password hidden."""
        return safe_url(self.database_url)

    @property
    def valkey_socket(self) -> Path:
        """Unix socket of the private server; its folder may have to be made, with mode 0700."""
        return redis_address.private_socket(self.rankscope_home)

    @property
    def live_url(self) -> str:
        """Where Redis answers, as redis-py wants it: the given server or the private one."""
        return self.redis_url or redis_address.socket_url(self.valkey_socket)

    @property
    def celery_broker_url(self) -> str:
        """The same server as Celery wants it."""
        return redis_address.broker_url(self.live_url)

    @property
    def safe_redis_url(self) -> str:
        """The server's address with its password hidden."""
        return redis_address.without_password(self.live_url)


def _default_url(home: Path) -> str:
    return f"sqlite:///{home.expanduser()}/rankscope.db"
