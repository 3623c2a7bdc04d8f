from functools import cache
from pathlib import Path

from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.models.schedulers.offline.shipped import best_of, models_in, shipped_models
from tests.unit.models.schedulers.offline.planted import MODULES, architecture, learned, past_runs


@cache
def model() -> OfflineModel:
    return learned(past_runs(num_runs=20)).model


def named(name: str, **changes: object) -> OfflineModel:
    return model().model_copy(update={"name": name, "is_useful": True, **changes})


def test_models_are_read_from_a_folders_json_files(tmp_path: Path) -> None:
    models = [named("embedded"), named("embedded-without-look")]
    for one in models:
        (tmp_path / f"{one.name}.json").write_text(one.model_dump_json(), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no model", encoding="utf-8")
    assert models_in(tmp_path) == {one.name: one for one in models}
    assert models_in(tmp_path / "missing") == {}


def test_the_model_of_most_families_is_taken_if_it_fits_and_is_useful() -> None:
    fewer = named("embedded-without-look", families=("family 0", "family 1"))
    useless = named("useless", is_useful=False, families=("a", "b", "c", "d"))
    found = best_of([fewer, named("embedded"), useless], MODULES)
    assert found is not None
    assert found.name == "embedded"
    assert best_of([fewer, useless], architecture(layers=9)) is None


def test_what_is_shipped_can_be_read() -> None:
    assert all(name == one.name for name, one in shipped_models().items())
