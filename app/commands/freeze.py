"""``rankscope freeze``: a finished run's final ranks as a configuration, and its controls."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.app.form.yaml_text import yaml_of
from rankscope.app.options import AsJson, RunId
from rankscope.app.store import open_store
from rankscope.app.terminal import out, print_json
from rankscope.models.freezing import Control
from rankscope.models.reading import ConfigError
from rankscope.storage.freezing import freeze_run
from rankscope.storage.runs import resolve_run
from rankscope.storage.settings import Settings


def freeze(
    run: RunId,
    control: Annotated[
        Control,
        typer.Option(
            help="static: its final ranks from the start; shuffled: dealt out among modules of "
            "equal cost; uniform: the same everywhere; dynamic: its scheduler again."
        ),
    ] = "static",
    seed: Annotated[int | None, typer.Option(min=0, help="Of the shuffle; 0 by default.")] = None,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.yaml", help="A new file; else printed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a finished run's final ranks, or another control of it, as a run's configuration."""
    engine = open_store(Settings())
    run_id = resolve_run(engine, run)
    config = freeze_run(engine, run_id, control=control, shuffle_seed=seed)
    text = yaml_of(config)
    if to is not None:
        _write(to, text)
    if as_json:
        print_json({"run": run_id, "control": control, "config": config.model_dump(mode="json")})
    elif to is None:
        typer.echo(text, nl=False)
    else:
        text = f"{control} control of run {run_id} in {to}; train it with: rankscope run {to}"
        out.print(text, markup=False)


def _write(to: Path, text: str) -> None:
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"--out must be a new file, got {to}; choose another") from error
    except OSError as error:
        raise ConfigError(
            f"--out must be a file that can be written, got {to} ({error.strerror}); check the path"
        ) from error
