"""``rankscope export``: a run's result as a plain PEFT adapter, and what was trained beside it."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.app.options import AsJson, RunId
from rankscope.app.store import open_store
from rankscope.app.terminal import out, print_json
from rankscope.models.reading import ConfigError
from rankscope.storage.runs import resolve_run
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def export(
    run: RunId,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A new or empty folder.")],
    as_json: AsJson = False,
) -> None:
    """Write what a run trained, load it anew (adapters by stock peft) and compare the logits."""
    client.check_training_packages()
    engine = open_store(Settings())
    run_id = resolve_run(engine, run)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ConfigError(f"--to must be a new or empty folder, got {to}; choose another")
    answer = client.export(engine, run_id, to.resolve())
    if as_json:
        print_json(answer)
    else:
        out.print(
            f"adapter of run {run_id} at step {answer['step']:,} in {to}: "
            f"{answer['params']:,} parameters and {answer['base_params']:,} of the base model, "
            "largest difference of logits after reloading "
            f"{answer['max_logit_difference']:.1e}",
            markup=False,
        )
