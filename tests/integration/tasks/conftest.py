from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.farm import Farm
from tests.helpers.valkey import ValkeyServer


@pytest.fixture
def farm(tmp_path: Path, valkey: ValkeyServer) -> Iterator[Farm]:
    valkey.flush()
    with Farm(tmp_path, valkey.url) as farm:
        yield farm
