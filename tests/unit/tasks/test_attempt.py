"""A whole attempt on the embedded model, as short as they come, told to a sink that keeps it."""

from pathlib import Path

import pytest

from rankscope.models.config import RunConfig
from rankscope.models.events import Evaluated
from rankscope.models.reading import parse_config
from rankscope.storage import history
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import begin_attempt, create_run
from rankscope.storage.settings import Settings
from rankscope.tasks.client import inventory_of
from rankscope.tasks.trainer import train


def scores_of(home: Path, **evaluation: object) -> list[history.PastEvaluation]:
    """What a run of two steps scored."""
    config = short(**evaluation)
    settings = Settings(rankscope_home=home, database_url=f"sqlite:///{home}/rankscope.db")
    engine = open_database(settings.database_url)
    migrate(engine)
    inventory = inventory_of(config)
    run = create_run(
        engine,
        config,
        origin="external",
        owner="test",
        inventory=inventory,
        budget_params=config.budget.params(inventory),
    )
    attempt = begin_attempt(engine, run, worker_id=None, lease_s=30.0)
    assert train(engine, settings, run, attempt, lease_s=30.0) == "done"
    return history.evaluations(engine, run)


def short(**evaluation: object) -> RunConfig:
    return parse_config(
        {
            "data": {
                "kind": "scenes",
                "train_items": 32,
                "probe_items": 32,
                "validation_items": 32,
                "test_items": 1000,
            },
            "training": {"steps": 2, "batch_size": 4},
            "evaluation": {"validation_items": 16, "test_items": 8, **evaluation},
        }
    )


@pytest.mark.parametrize(
    ("evaluation", "told"),
    [
        (
            {},
            [
                ("test", "before"),
                ("test", "question_only"),
                ("validation", "during"),
                ("test", "after"),
                ("test", "shuffled_images"),
            ],
        ),
        (
            {"before": False, "shuffled_images": False},
            [("validation", "during"), ("test", "after")],
        ),
        ({"test_items": 0}, [("validation", "during")]),
        (
            {"before": False, "shuffled_images": False, "validation_items": 0},
            [("test", "after")],
        ),
    ],
)
def test_a_run_scores_what_it_is_asked_to(
    tmp_path: Path, evaluation: dict[str, object], told: list[tuple[str, str]]
) -> None:
    scores = scores_of(tmp_path, **evaluation)
    assert [(score.part, score.when) for score in scores] == told


def test_only_scores_on_validation_come_with_a_loss(tmp_path: Path) -> None:
    for score in scores_of(tmp_path):
        assert (score.loss is not None) == (score.part == "validation")
    assert Evaluated.model_fields["loss"].default is None  # old records have none
