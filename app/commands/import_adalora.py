"""``rankscope import-adalora``: an AdaLoRA checkpoint of peft's as a run that has ended."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from rankscope.app.options import AsJson
from rankscope.app.store import open_store
from rankscope.app.terminal import count, out, print_json
from rankscope.storage.history import rank_map
from rankscope.storage.importing import import_adalora as record
from rankscope.storage.settings import Settings


def import_adalora(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What peft's save_pretrained wrote.")
    ],
    name: Annotated[str, typer.Option(help="Of the run; the folder's name by default.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record the ranks of a peft AdaLoRA checkpoint, to look at and to compare."""
    engine = open_store(Settings())
    run_id = record(engine, folder, name=name, owner=getpass.getuser())
    ranks = rank_map(engine, run_id)
    if as_json:
        print_json({"run": run_id, "ranks": ranks})
        return
    held = sum(rank > 0 for rank in ranks.values())
    out.print(
        f"{run_id} holds the ranks of {count(len(ranks))} modules, {count(held)} of them above 0; "
        f"look at them with: rankscope show {run_id}",
        markup=False,
    )
