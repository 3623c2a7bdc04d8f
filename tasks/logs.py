"""How processes of the queue log: lines for people on stderr."""

import sys

import structlog


def log_to_stderr() -> None:
    """Set structlog up for this process; call it after stderr has been replaced, if it is.

    Tracebacks are plain: rich's, which structlog takes where it finds rich, print the values of all
    variables, which are tensors by the page, take seconds, and may be secrets.
    """
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
