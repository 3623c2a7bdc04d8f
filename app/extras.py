"""What an installation without the web packages can say instead of a traceback."""

from importlib.util import find_spec

from rankscope.models.reading import ConfigError

_MARKS = ("argon2", "fastapi", "gradio", "itsdangerous", "plotly", "redis", "uvicorn")


def require_web() -> None:
    """Make sure that the packages of the server are installed.

    Raises:
        ConfigError: If one is missing; the line says how to install them.
    """
    missing = [name for name in _MARKS if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"this needs the packages of the server, {', '.join(missing)} is not installed; "
            "run: pip install 'rankscope[web]'"
        )
