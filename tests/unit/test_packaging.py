"""What is installed where: the web part must never need torch."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRAINING = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers")


def project() -> dict[str, object]:
    loaded: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return loaded


def names_of(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {
        requirement.split("=")[0].split("<")[0].split(">")[0].strip()
        for requirement in requirements
    }


def test_only_the_train_extra_asks_for_training_packages() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    assert set(TRAINING) <= names_of(extras["train"])
    for requirements in (project()["dependencies"], extras["web"], extras["postgres"]):
        assert names_of(requirements).isdisjoint(TRAINING)


def test_every_requirement_is_pinned_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert "torch==2.13.0" in lines
    assert all("==" in line for line in lines)
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    for requirements in (project()["dependencies"], *extras.values()):
        asked = {name.split("[")[0].lower().replace("_", "-") for name in names_of(requirements)}
        assert asked <= pinned


def test_training_without_torch_is_refused_in_one_line_before_a_run_exists(tmp_path: Path) -> None:
    """An interpreter in which torch cannot be found, as in an install of the web part."""
    script = (
        "import sys, importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'torch' else found(name)\n"
        "from rankscope.app.cli import main; main(['run', sys.argv[1]])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(ROOT / "configs" / "demo.yaml")],
        env={"RANKSCOPE_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "no torch" in line
    assert "pip install 'rankscope[train]'" in line
    assert not list(tmp_path.iterdir())


def test_everything_that_is_not_python_goes_into_the_wheel() -> None:
    """Files of the pages lie in folders of folders, which a pattern may miss."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]
    packed = {
        file
        for package, globs in patterns.items()
        for pattern in globs
        for file in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    folders = ("app", "models", "storage", "tasks", "configs")
    needed = {
        file
        for folder in folders
        for file in (ROOT / "rankscope" / folder).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert needed - packed == set()
