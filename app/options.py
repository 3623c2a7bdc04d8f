"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="A run's configuration.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key, for instance optimizer.lr=0.02."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its unique beginning.")]
