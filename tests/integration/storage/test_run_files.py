from pathlib import Path

from sqlalchemy import Engine

from rankscope.storage.artifacts import RunFolder, list_artifacts, record_artifact
from rankscope.storage.settings import Settings
from tests.integration.storage.examples import checkpoint, new_run, new_sink


def test_only_checkpoints_that_are_still_on_disk_are_offered(
    engine: Engine, tmp_path: Path
) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        for step in (10, 20, 30):
            sink.emit(checkpoint(step))
    folder = RunFolder(Settings(rankscope_home=tmp_path / "home"), run_id)
    (folder.make() / "checkpoints" / "step-20").mkdir(parents=True)
    assert [found.step for found in folder.checkpoints(engine)] == [20]


def test_an_artifact_at_the_same_path_replaces_the_older_one(engine: Engine) -> None:
    run_id = new_run(engine)
    for size_bytes in (1, 2):
        record_artifact(
            engine, run_id, kind="adapter", path="adapter", step=5, size_bytes=size_bytes
        )
    [found] = list_artifacts(engine, run_id)
    assert (found.path, found.kind, found.size_bytes) == ("adapter", "adapter", 2)
