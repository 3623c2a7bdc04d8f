"""Settings of the web process alone, from the environment only."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from rankscope.app.door.origins import is_loopback
from rankscope.storage.environment import EnvironmentSettings

MIN_SECRET_LENGTH = 32


class WebSettings(EnvironmentSettings):
    """How this web process is reached and what signs its cookies: ``RANKSCOPE_...``.

    Its text form hides what is secret.
    """

    model_config = SettingsConfigDict(env_prefix="rankscope_")

    public_url: str | None = Field(
        None,
        description="Address that people type, for instance https://ranks.example.org, "
        "when a proxy stands before this process; https makes the cookie Secure.",
    )
    secret: SecretStr | None = Field(
        None,
        description="Signs the cookies, at least 32 characters; default: a key file in the home.",
    )
    admin_name: str | None = Field(
        None, description="Name of the first administrator; used only while there is no account."
    )
    admin_password: SecretStr | None = Field(
        None, description="Password of the first administrator, at least 12 characters."
    )

    max_upload_mb: int = Field(
        512,
        ge=0,
        le=1_000_000,
        description="Largest file, in MB of 10^6 bytes, that people may send to the data root "
        "through the page; 0 takes none.",
    )

    @field_validator("admin_name", "admin_password", mode="before")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        # deployment files pass on an empty variable for one that is not set
        return value or None

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, url: str | None) -> str | None:
        if not url:
            return None
        parts = urlsplit(url)
        is_origin = parts.scheme in ("http", "https") and parts.hostname
        if not is_origin or parts.path.strip("/") or parts.query or parts.username:
            raise ValueError(
                f"RANKSCOPE_PUBLIC_URL must read https://HOST or https://HOST:PORT, got {url!r}; "
                "leave out any path"
            )
        return f"{parts.scheme}://{parts.netloc}".lower()

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None or not secret.get_secret_value():
            return None
        if len(secret.get_secret_value()) < MIN_SECRET_LENGTH:
            raise ValueError(
                f"RANKSCOPE_SECRET must have at least {MIN_SECRET_LENGTH} characters, got "
                f"{len(secret.get_secret_value())}; make one: openssl rand -hex 32"
            )
        return secret

    def is_open(self, host: str) -> bool:
        """Whether nobody needs to sign in while there are no accounts: only we can come in."""
        public_host = urlsplit(self.public_url).hostname if self.public_url else None
        return is_loopback(host) and (public_host is None or is_loopback(public_host))

    @property
    def is_https(self) -> bool:
        """Whether people reach this process through TLS."""
        return self.public_url is not None and self.public_url.startswith("https://")
