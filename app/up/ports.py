"""Is there room to listen? Asked before anything is started."""

import errno
import socket

from rankscope.models.reading import ConfigError


def check_free(host: str, port: int) -> None:
    """Make sure that a server can listen there.

    Raises:
        ConfigError: If the port is taken or the host is no address of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"the port must be free, {port} on {host} is taken; choose another: --port"
            ) from error
        raise ConfigError(
            f"a server must be able to listen, on {host} port {port} it cannot "
            f"({error.strerror or error}); choose another --host or --port"
        ) from error
