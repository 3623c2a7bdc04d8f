"""Settings of this process, from the environment only; they are never stored with a run."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rankscope.storage.database import safe_url


class Settings(BaseSettings):
    """Where this process keeps and finds things: ``RANKSCOPE_HOME`` and ``DATABASE_URL``.

    Its text form hides ``database_url``, which may hold a password; show ``safe_url`` instead.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    rankscope_home: Path = Field(
        default_factory=lambda: Path.home() / ".rankscope",
        description="Folder of the default database and of the runs' files.",
    )
    database_url: str = Field(
        default_factory=lambda values: _default_url(values["rankscope_home"]),
        repr=False,
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only arguments and the environment: a stray ``.env`` never decides where runs are."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings

    @property
    def runs_dir(self) -> Path:
        """Folder that holds one folder per run."""
        return self.rankscope_home.expanduser() / "runs"

    @property
    def safe_url(self) -> str:
        """The database's address with its password hidden."""
        return safe_url(self.database_url)


def _default_url(home: Path) -> str:
    return f"sqlite:///{home.expanduser()}/rankscope.db"
