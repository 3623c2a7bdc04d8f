"""Offline performance models from recorded runs to the planner that is handed one."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from rankscope.models.config import RunConfig
from rankscope.models.reading import ConfigError, parse_config
from rankscope.models.schedulers.offline.architecture import Architecture
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.models.schedulers.offline.shipped import best_of, shipped_models
from rankscope.storage import history
from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.learned_models import list_models, store_model
from rankscope.storage.replaying import recorded_decisions, replay_run
from rankscope.storage.runs import begin_attempt, create_run, get_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from rankscope.tasks.client import inventory_of
from rankscope.tasks.learning import AutomaticLearning, learn_what_is_due
from rankscope.tasks.offline import resolve_offline, told, wanted_by
from rankscope.tasks.trainer import offline_of_run, train
from tests.helpers.learnable import TASKS, config_of, record_learnable

SHORT = {
    "data": {
        "kind": "scenes",
        "train_items": 32,
        "probe_items": 32,
        "validation_items": 32,
        "test_items": 1000,
    },
    "training": {"steps": 3, "batch_size": 4},
    "evaluation": {"validation_items": 0, "test_items": 0},
}


def new_database(home: Path) -> Engine:
    engine = open_database(f"sqlite:///{home}/rankscope.db")
    migrate(engine)
    return engine


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OfflineModel:
    """Learned from the embedded model's language linears."""
    engine = new_database(tmp_path_factory.mktemp("runs"))
    record_learnable(engine)
    (found,) = learn_what_is_due(engine, 1)
    engine.dispose()
    return found.model_copy(update={"name": "learned"})


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return new_database(tmp_path)


def hydra(offline: str) -> RunConfig:
    return parse_config(SHORT | {"scheduler": {"kind": "hydra", "offline": offline}})


MODULES = inventory_of(hydra("none")).modules
OF_NO_RUN = tuple(module.model_copy(update={"d_in": 512}) for module in MODULES)
"""Modules that nothing was ever learned about."""


def renamed(
    model: OfflineModel, name: str, *, days: int = 0, is_useful: bool = True
) -> OfflineModel:
    created_at = model.provenance.created_at + timedelta(days=days)
    provenance = model.provenance.model_copy(update={"created_at": created_at})
    changes = {"name": name, "is_useful": is_useful, "provenance": provenance}
    return model.model_copy(update=changes)


def test_only_planners_that_say_so_want_an_offline_model() -> None:
    assert wanted_by(hydra("mine")) == "mine"
    assert wanted_by(parse_config(SHORT)) == "none"
    assert wanted_by(parse_config(SHORT | {"scheduler": {"kind": "full"}})) == "none"


def test_none_is_none_and_a_name_is_that_model_useful_or_not(
    engine: Engine, model: OfflineModel
) -> None:
    useless = renamed(model, "useless", is_useful=False)
    store_model(engine, useless)
    assert resolve_offline(engine, "none", MODULES) is None
    assert resolve_offline(engine, "useless", MODULES) == useless


def test_auto_is_the_newest_useful_one_of_the_architecture(
    engine: Engine, model: OfflineModel
) -> None:
    newest = renamed(model, "newest", days=2)
    for one in (
        renamed(model, "older", days=1),
        newest,
        renamed(model, "useless", days=3, is_useful=False),
    ):
        store_model(engine, one)
    assert resolve_offline(engine, "auto", MODULES) == newest
    assert resolve_offline(engine, "auto", OF_NO_RUN) is None


def test_auto_is_the_newest_useless_one_where_none_is_useful(
    engine: Engine, model: OfflineModel
) -> None:
    """It knows the static rule that was best in past runs of this very architecture."""
    ours = {"architecture": Architecture.of(OF_NO_RUN)}
    newest = renamed(model, "newest", days=2, is_useful=False).model_copy(update=ours)
    older = renamed(model, "older", days=1, is_useful=False).model_copy(update=ours)
    for one in (newest, older, renamed(model, "of others", days=3, is_useful=False)):
        store_model(engine, one)
    assert resolve_offline(engine, "auto", OF_NO_RUN) == newest
    useful = renamed(model, "useful").model_copy(update=ours)
    store_model(engine, useful)
    assert resolve_offline(engine, "auto", OF_NO_RUN) == useful


def test_a_shipped_useful_one_goes_before_a_useless_one_of_the_database(
    engine: Engine, model: OfflineModel
) -> None:
    """Of the embedded model there may be a shipped one, or not."""
    useless = renamed(model, "useless", is_useful=False)
    store_model(engine, useless)
    shipped = best_of(shipped_models().values(), MODULES)
    assert resolve_offline(None, "auto", MODULES) == shipped
    assert resolve_offline(engine, "auto", MODULES) == (shipped or useless)


def test_a_model_of_other_widths_or_depths_may_be_named(
    engine: Engine, model: OfflineModel
) -> None:
    store_model(engine, model)
    assert resolve_offline(engine, "learned", OF_NO_RUN) == model


def test_a_model_of_another_architecture_is_refused(engine: Engine, model: OfflineModel) -> None:
    store_model(engine, model)
    other = MODULES[0].model_copy(update={"name": "blocks.0.q_proj"})
    with pytest.raises(ConfigError, match=r"'learned' knows nothing of blocks\.0\.q_proj; choose"):
        resolve_offline(engine, "learned", [other])


def test_an_unknown_name_is_refused_with_those_there_are(
    engine: Engine, model: OfflineModel
) -> None:
    store_model(engine, model)
    with pytest.raises(ConfigError, match=r"got 'x'; there are: .*learned"):
        resolve_offline(engine, "x", MODULES)


def test_people_are_told_what_a_run_begins_with(model: OfflineModel) -> None:
    begin = "offline performance model a (auto): learned from 36 runs of easy-vqa, look, words; "
    assert told(renamed(model, "a"), "auto") == f"{begin}useful"
    useless = renamed(model, "a", is_useful=False)
    assert told(useless, "auto") == f"{begin}not useful, {model.fallback} ranks instead"
    assert told(None, "auto") == "no offline performance model (auto)"


def test_a_worker_learns_when_enough_runs_are_new(engine: Engine) -> None:
    record_learnable(engine)
    assert learn_what_is_due(engine, 37) == []
    (first,) = learn_what_is_due(engine, 36)
    assert first.name == f"auto-{first.architecture.key}"
    assert learn_what_is_due(engine, 36) == []
    record_learnable(engine, seed=1)
    (second,) = learn_what_is_due(engine, 36)
    assert second.provenance.num_runs == 72
    assert [row.name for row in list_models(engine)] == [first.name]


def test_a_worker_learns_in_the_background_once_for_the_same_runs(engine: Engine) -> None:
    record_learnable(engine)
    never, learning = (AutomaticLearning(engine, every_runs=number) for number in (0, 20))
    never.look()
    never.join()
    assert list_models(engine) == []
    learning.look()
    learning.join()
    (learned,) = list_models(engine)
    learning.look()
    learning.join()
    assert list_models(engine) == [learned]


def test_a_worker_outlives_what_goes_wrong_while_learning(engine: Engine) -> None:
    record_learnable(engine, num_runs=1)
    with writing(engine) as connection:
        connection.execute(update(Run).values(inventory=b"no inventory"))
    learning = AutomaticLearning(engine, every_runs=1)
    learning.look()
    learning.join()
    assert list_models(engine) == []


def test_too_few_comparable_runs_are_no_error_of_a_worker(engine: Engine) -> None:
    record_learnable(engine, num_runs=4)
    assert learn_what_is_due(engine, 1) == []


def run_of(engine: Engine, home: Path, config: RunConfig) -> str:
    """A run trained to its end, whatever that is."""
    inventory = inventory_of(config)
    budget = config.budget.params(inventory)
    run = create_run(
        engine, config, origin="external", owner="a", inventory=inventory, budget_params=budget
    )
    attempt = begin_attempt(engine, run, worker_id=None, lease_s=30.0)
    settings = Settings(rankscope_home=home, database_url=f"sqlite:///{home}/rankscope.db")
    train(engine, settings, run, attempt, lease_s=30.0)
    return run


def test_a_runs_planner_sees_the_model_at_every_decision_and_a_replay_too(
    engine: Engine, model: OfflineModel, tmp_path: Path
) -> None:
    store_model(engine, model)
    run = run_of(engine, tmp_path, hydra("learned"))
    assert get_run(engine, run).status == "done"
    decided = history.decisions(engine, run)
    assert len(decided) > 1
    assert all(one.view.offline == model for one in decided)
    lines = history.log_lines(engine, run)["text"].tolist()
    assert any(line.startswith("offline performance model learned (learned)") for line in lines)
    assert all(one.view.offline == model for one in recorded_decisions(engine, run))
    config = get_run(engine, run).config
    for again, was in zip(replay_run(engine, run, config.scheduler), decided, strict=True):
        assert again.decision == was.decision


@pytest.mark.parametrize("wanted", ["learned", "auto"])
def test_a_run_that_goes_on_keeps_the_model_it_began_with(
    engine: Engine, model: OfflineModel, tmp_path: Path, wanted: str
) -> None:
    """Whatever was learned meanwhile, under its name or a newer one."""
    store_model(engine, model)
    config = hydra(wanted)
    run = run_of(engine, tmp_path, config)
    later = renamed(model, "learned", days=1)
    store_model(engine, later)
    inventory = inventory_of(config)
    assert offline_of_run(engine, run, config)(inventory) == model
    assert resolve_offline(engine, wanted, inventory.modules) == later


def test_a_name_that_is_gone_when_training_begins_fails_the_run_before_it(
    engine: Engine, tmp_path: Path
) -> None:
    run = get_run(engine, run_of(engine, tmp_path, hydra("gone")))
    assert (run.status, run.step) == ("failed", 0)
    assert "got 'gone'; there are:" in run.status_reason


def test_what_learnable_runs_adapt_is_what_short_runs_adapt() -> None:
    assert inventory_of(parse_config(config_of(TASKS[0]))).modules == MODULES
