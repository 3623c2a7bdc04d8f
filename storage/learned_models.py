"""Offline performance models that were learned from this database's runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError
from sqlalchemy import Engine, delete, insert, select

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.offline.model import VERSION, OfflineModel
from rankscope.storage.database import writing
from rankscope.storage.errors import OtherVersionError
from rankscope.storage.packing import pack_model, unpack_json
from rankscope.storage.tables import LearnedModel


class StoredModel(NamedTuple):
    """A stored model's row without what it says."""

    name: str
    architecture: str
    version: int
    is_useful: bool
    created_at: datetime


def store_model(engine: Engine, model: OfflineModel) -> None:
    """Keep a model, in place of an earlier one of its name; runs keep the one they used."""
    row = {
        "name": model.name,
        "architecture": model.architecture.key,
        "version": model.version,
        "is_useful": model.is_useful,
        "created_at": model.provenance.created_at,
        "model": pack_model(model),
    }
    with writing(engine) as connection:
        connection.execute(delete(LearnedModel).where(LearnedModel.name == model.name))
        connection.execute(insert(LearnedModel).values(row))


def list_models(engine: Engine) -> list[StoredModel]:
    """All stored models, newest first."""
    table = LearnedModel
    statement = select(
        table.name, table.architecture, table.version, table.is_useful, table.created_at
    ).order_by(table.created_at.desc(), table.name)
    with engine.connect() as connection:
        return [StoredModel(*row) for row in connection.execute(statement)]


def get_model(engine: Engine, name: str) -> OfflineModel | None:
    """The stored model of a name, or None.

    Raises:
        OtherVersionError: If it was learned by an incompatible version.
    """
    statement = select(LearnedModel.version, LearnedModel.model).where(LearnedModel.name == name)
    with engine.connect() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    try:
        return OfflineModel.model_validate_json(unpack_json(row.model))
    except ValidationError as error:
        raise OtherVersionError(
            f"an offline model must be of version {VERSION}, {name} is of version {row.version}; "
            "learn it again with: rankscope learn"
        ) from error


def newest_model(
    engine: Engine, modules: Sequence[AdaptableModule], *, is_useful: bool
) -> OfflineModel | None:
    """The newest useful, or not useful, model of these modules' architecture, or None.

    Models of another version are passed over.
    """
    for row in list_models(engine):
        if row.is_useful != is_useful or row.version != VERSION:
            continue
        model = get_model(engine, row.name)
        if model is not None and model.architecture.kinship(modules) == "same":
            return model
    return None
