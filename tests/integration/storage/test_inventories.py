from sqlalchemy import Engine

from rankscope.models.inventory import Linears
from rankscope.models.vlms import HubVlm
from rankscope.storage.inventories import get_linears, put_linears
from tests.integration.storage.examples import inventory


def test_a_cached_list_reads_back_and_can_be_replaced(engine: Engine) -> None:
    model = HubVlm(source="somebody/something")
    few, more = (
        Linears(modules=inventory(number).modules, params_by_part={"language": 9})
        for number in (3, 5)
    )
    assert get_linears(engine, model) is None
    put_linears(engine, model, few)
    put_linears(engine, model, more)
    assert get_linears(engine, model) == more
    assert get_linears(engine, model.model_copy(update={"revision": "main"})) is None
