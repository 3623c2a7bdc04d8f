from sqlalchemy import Engine

from rankscope.models.vlms import AnyVlm
from rankscope.storage.inventories import get_inventory, inventory_key, put_inventory
from tests.integration.storage.examples import config, inventory


def test_a_cached_inventory_reads_back_and_can_be_replaced(engine: Engine) -> None:
    model: AnyVlm = config().model
    key = inventory_key(model, "q_proj", ["language", "vision"])
    assert key == inventory_key(model, "q_proj", ["vision", "language"])
    assert key != inventory_key(model, "v_proj", ["vision", "language"])
    assert get_inventory(engine, key) is None
    put_inventory(engine, key, inventory(3))
    put_inventory(engine, key, inventory(5))
    assert get_inventory(engine, key) == inventory(5)
