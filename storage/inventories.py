"""Cache of what a model offers to adapt, so that a plan need not read the model's files again."""

import hashlib
import json
from datetime import UTC, datetime

from pydantic import BaseModel
from sqlalchemy import Engine, delete, insert, select

from rankscope.models.inventory import Linears
from rankscope.storage.database import writing
from rankscope.storage.packing import pack_model, unpack_json
from rankscope.storage.tables import CachedInventory


def get_linears(engine: Engine, model: BaseModel) -> Linears | None:
    """The cached list of a model of these settings, or None."""
    statement = select(CachedInventory.inventory).where(CachedInventory.key == _key(model))
    with engine.connect() as connection:
        packed = connection.execute(statement).scalar_one_or_none()
    return None if packed is None else Linears.model_validate_json(unpack_json(packed))


def put_linears(engine: Engine, model: BaseModel, linears: Linears) -> None:
    """Cache a list in place of what was there; runs keep their own copy."""
    key = _key(model)
    row = {"key": key, "inventory": pack_model(linears), "created_at": datetime.now(UTC)}
    with writing(engine) as connection:
        connection.execute(delete(CachedInventory).where(CachedInventory.key == key))
        connection.execute(insert(CachedInventory).values(row))


def _key(model: BaseModel) -> str:
    text = json.dumps(model.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
