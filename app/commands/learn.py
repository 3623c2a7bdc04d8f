"""``rankscope learn``: what recorded runs teach about ranks, for runs to come."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from rankscope.app.options import AsJson
from rankscope.app.store import open_store
from rankscope.app.terminal import count, out, print_json, print_table
from rankscope.models.reading import ConfigError, load_config
from rankscope.models.schedulers.offline.model import Interval, OfflineModel
from rankscope.models.schedulers.offline.shipped import shipped_models
from rankscope.storage.errors import OtherVersionError
from rankscope.storage.learned_models import get_model, list_models
from rankscope.storage.settings import Settings
from rankscope.tasks import client


def learn(
    architecture_of: Annotated[
        Path | None,
        typer.Option(
            metavar="CONFIG.yaml", help="Learn from runs that adapt what this one does; else most."
        ),
    ] = None,
    without_family: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave a family of tasks out.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The model's name, for scheduler.offline.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.json", help="Write it to a file instead.")
    ] = None,
    is_list: Annotated[bool, typer.Option("--list", help="List the models there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Learn an offline performance model from all runs that are done."""
    engine = open_store(Settings())
    if is_list:
        _list(engine, as_json=as_json)
        return
    modules = None
    if architecture_of is not None:
        modules = client.inventory_of(load_config(architecture_of)).modules
    learnt = client.learn_from_runs(
        engine, modules=modules, without_families=without_family or (), name=name
    )
    where = _keep(engine, learnt.model, to)
    if as_json:
        described = _described(learnt.model, where)
        validation = learnt.model.validation.model_dump(mode="json")
        print_json(described | {"validation": validation, "left_out": learnt.left_out})
    else:
        _tell(learnt, where)


def _keep(engine: Engine, model: OfflineModel, to: Path | None) -> str:
    """Store the model; returns where."""
    if to is None:
        client.keep_learned(engine, model)
        return "database"
    try:
        to.write_text(model.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--out must be a file that can be written, got {to} ({error.strerror}); change it"
        ) from error
    return str(to)


def _tell(learnt: client.Learnt, where: str) -> None:
    model = learnt.model
    out.print(
        f"{model.name}: learned from {count(model.provenance.num_runs)} of "
        f"{count(learnt.num_runs)} runs of architecture {model.architecture.key}; "
        f"{count(model.provenance.train_s)} s of training",
        markup=False,
    )
    for reason, number in Counter(learnt.left_out.values()).most_common():
        out.print(f"left out {count(number)}: {reason}", markup=False)
    validation = model.validation
    if validation.families:
        print_table(
            "Each family foretold from the others, rank correlation of losses, 95 % intervals",
            ["family", "runs", "allocations", "correlation"],
            [
                [one.family, count(one.num_runs), count(one.num_allocations), _interval(one)]
                for one in validation.families
            ],
        )
    pooled, gain = (
        "not known with one family" if one is None else _interval(one)
        for one in (validation.pooled, validation.gain)
    )
    use = "useful" if model.is_useful else f"not useful; static rule instead: {model.fallback}"
    out.print(f"mean {pooled}, beyond what even ranks foretell {gain}: {use}", markup=False)
    out.print(f"stored: {where}", markup=False)


def _list(engine: Engine, *, as_json: bool) -> None:
    """Shipped models, then learned ones, newest first."""
    found = [_described(model, "shipped") for model in shipped_models().values()]
    for row in list_models(engine):
        try:
            model = get_model(engine, row.name)
        except OtherVersionError as error:
            found.append({"name": row.name, "where": "database", "problem": str(error)})
        else:
            found += [] if model is None else [_described(model, "database")]
    if as_json:
        print_json({"models": found})
        return
    columns = ["name", "where", "architecture", "families", "runs", "usefulness", "useful"]
    print_table("Offline performance models", columns, [_row(one, columns) for one in found])


def _row(described: dict[str, Any], columns: list[str]) -> list[str]:
    if "problem" in described:
        return [described["name"], described["where"], described["problem"], "", "", "", ""]
    shown = described | {
        "families": ", ".join(described["families"]),
        "runs": count(described["num_runs"]),
        "useful": "yes" if described["is_useful"] else f"no; {described['fallback']}",
    }
    return [str(shown[column]) for column in columns]


def _described(model: OfflineModel, where: str) -> dict[str, Any]:
    return {
        "name": model.name,
        "where": where,
        "architecture": model.architecture.key,
        "families": model.families,
        "num_runs": model.provenance.num_runs,
        "usefulness": model.usefulness,
        "is_useful": model.is_useful,
        "fallback": model.fallback,
        "created_at": model.provenance.created_at,
        "sha256": model.sha256,
    }


def _interval(found: Interval) -> str:
    return f"{found.spearman:.2f} [{found.low:.2f}, {found.high:.2f}]"
