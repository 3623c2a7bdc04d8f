import gc
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def quick_collections() -> Iterator[None]:
    """accelerate collects garbage at every end of training, over all that was ever imported."""
    gc.freeze()
    yield
    gc.unfreeze()
