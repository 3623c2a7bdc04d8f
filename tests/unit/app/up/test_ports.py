"""Is there room to listen?"""

import socket

import pytest

from rankscope.app.up.ports import check_free
from rankscope.models.reading import ConfigError


def test_a_taken_port_is_refused_with_the_option_that_mends_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"{port} on 127.0.0.1 is taken; .* --port"):
            check_free("127.0.0.1", port)
    check_free("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_no_address_of_this_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="must be able to listen"):
        check_free(host, 7910)
