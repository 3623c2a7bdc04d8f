"""Cache of what a model offers to adapt, so that a plan need not build the model again."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import BaseModel
from sqlalchemy import Engine, delete, insert, select

from rankscope.models.inventory import Inventory, Part
from rankscope.storage.database import writing
from rankscope.storage.packing import pack_model, unpack_json
from rankscope.storage.tables import CachedInventory


def inventory_key(model: BaseModel, targets: str, parts: Iterable[Part]) -> str:
    """SHA-256 of a model's settings, the target pattern and the parts, in whatever order."""
    content = [model.model_dump(mode="json"), targets, sorted(parts)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def get_inventory(engine: Engine, key: str) -> Inventory | None:
    """The cached inventory, or None."""
    statement = select(CachedInventory.inventory).where(CachedInventory.key == key)
    with engine.connect() as connection:
        packed = connection.execute(statement).scalar_one_or_none()
    return None if packed is None else Inventory.model_validate_json(unpack_json(packed))


def put_inventory(engine: Engine, key: str, inventory: Inventory) -> None:
    """Cache an inventory in place of what was there; runs keep their own copy."""
    row = {"key": key, "inventory": pack_model(inventory), "created_at": datetime.now(UTC)}
    with writing(engine) as connection:
        connection.execute(delete(CachedInventory).where(CachedInventory.key == key))
        connection.execute(insert(CachedInventory).values(row))
