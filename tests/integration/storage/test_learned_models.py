"""Offline models in the database."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.storage.database import writing
from rankscope.storage.errors import OtherVersionError
from rankscope.storage.learned_models import get_model, list_models, newest_model, store_model
from rankscope.storage.packing import pack_model
from rankscope.storage.tables import LearnedModel
from tests.unit.models.schedulers.offline.planted import MODULES, architecture, learned, past_runs

MODEL = learned(past_runs()).model


def later(name: str, *, days: int, is_useful: bool = True) -> OfflineModel:
    created_at = MODEL.provenance.created_at + timedelta(days=days)
    provenance = MODEL.provenance.model_copy(update={"created_at": created_at})
    changes = {"name": name, "provenance": provenance, "is_useful": is_useful}
    return MODEL.model_copy(update=changes)


def test_a_model_comes_back_as_it_was(engine: Engine) -> None:
    store_model(engine, MODEL)
    assert get_model(engine, "planted") == MODEL
    assert get_model(engine, "another") is None


def test_a_name_stands_for_the_last_model_stored_under_it(engine: Engine) -> None:
    store_model(engine, MODEL)
    store_model(engine, later("planted", days=1))
    assert [row.name for row in list_models(engine)] == ["planted"]
    assert get_model(engine, "planted") == later("planted", days=1)


def test_the_newest_useful_model_of_an_architecture_is_found(engine: Engine) -> None:
    for model in (
        later("newer", days=2),
        later("older", days=1),
        later("useless", days=3, is_useful=False),
    ):
        store_model(engine, model)
    assert [row.name for row in list_models(engine)] == ["useless", "newer", "older"]
    found = newest_model(engine, MODULES, is_useful=True)
    assert found is not None
    assert found.name == "newer"
    assert newest_model(engine, architecture(layers=9), is_useful=True) is None


def test_the_newest_model_that_is_not_useful_is_found_too(engine: Engine) -> None:
    store_model(engine, later("useful", days=9))
    assert newest_model(engine, MODULES, is_useful=False) is None
    for number in (2, 3, 1):
        store_model(engine, later(f"useless {number}", days=number, is_useful=False))
    found = newest_model(engine, MODULES, is_useful=False)
    assert found is not None
    assert found.name == "useless 3"
    assert newest_model(engine, architecture(layers=9), is_useful=False) is None


def test_a_model_of_another_version_is_refused_by_name_and_passed_over_else(
    engine: Engine,
) -> None:
    store_model(engine, MODEL)
    strange = pack_model(MODEL.model_copy(update={"version": 2}))
    with writing(engine) as connection:
        connection.execute(update(LearnedModel).values(version=2, model=strange))
    with pytest.raises(OtherVersionError, match=r"version 1, planted is of version 2; learn it"):
        get_model(engine, "planted")
    assert newest_model(engine, MODULES, is_useful=True) is None
