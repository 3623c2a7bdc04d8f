from pathlib import Path

import pytest

from tests.helpers.command import CommandLine

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture
def rankscope(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home")


@pytest.fixture(scope="session")
def demo() -> str:
    return str(CONFIGS / "demo.yaml")
