"""An evaluation by a real worker, of a tiny model in the format of the hub's."""

from collections.abc import Mapping

import psutil

from rankscope.storage.benchmark_answers import read_answers
from rankscope.storage.evaluations import EvaluationRecord, get_evaluation, stop_evaluation
from rankscope.tasks import client
from tests.helpers.farm import Farm
from tests.helpers.pope_files import write_pope
from tests.helpers.tiny_vlms import save_smolvlm

TINY = {"kind": "hub", "source": "tiny", "precision": "fp32"}


def submit(farm: Farm, subject: Mapping[str, object], *, batch_size: int = 8) -> str:
    wish = client.wish_of({**subject, "suite": "pope", "folder": "pope", "batch_size": batch_size})
    return client.add_evaluation(farm.engine, farm.settings, wish, origin="queue", owner="ada")


def wait_for(farm: Farm, evaluation_id: str, status: str, *, answered: int = 0) -> EvaluationRecord:
    def arrived() -> EvaluationRecord | None:
        found = get_evaluation(farm.engine, evaluation_id)
        log = farm.settings.evaluations_dir / evaluation_id / "log.txt"
        if found.status == "failed" != status:
            raise AssertionError(f"{found.status_reason}\n{log.read_text()}")
        is_there = found.status == status and found.num_answered >= answered
        return found if is_there else None

    return farm.wait(f"{evaluation_id} never {status}", arrived)


def test_an_evaluation_that_is_stopped_and_then_killed_answers_every_item_once(
    farm: Farm,
) -> None:
    write_pope(farm.home / "data" / "pope", 8)
    (farm.home / "models" / "tiny").mkdir(parents=True)
    save_smolvlm(farm.home / "models" / "tiny")
    farm.start_worker()
    evaluation_id = submit(farm, {"model": TINY}, batch_size=2)
    wait_for(farm, evaluation_id, "running", answered=2)
    stop_evaluation(farm.engine, evaluation_id)
    stopped = wait_for(farm, evaluation_id, "stopped")
    assert 2 <= stopped.num_answered < 24
    before = read_answers(farm.engine, evaluation_id)
    client.resume_evaluation(farm.engine, farm.settings, evaluation_id, stopped.queue)
    more = wait_for(farm, evaluation_id, "running", answered=stopped.num_answered + 2)
    assert more.process_pid is not None
    psutil.Process(more.process_pid).kill()
    done = wait_for(farm, evaluation_id, "done")
    assert (done.attempt, done.num_requeues, done.num_answered) == (3, 1, 24)
    after = read_answers(farm.engine, evaluation_id)
    assert [answer.number for answer in after] == list(range(24))
    assert {answer.score for answer in after} <= {0.0, 1.0}
    assert {(a.number, a.answer) for a in before} <= {(a.number, a.answer) for a in after}
    assert done.score is not None
    right = sum(answer.score or 0.0 for answer in after)
    assert done.score["metrics"]["accuracy"] == right / 24
    assert done.score["num_items"] == 24
    assert set(done.score["by_category"]) == {"adversarial", "popular", "random"}
    assert done.versions is not None
    assert {"torch", "transformers", "device"} <= set(done.versions)
    assert done.generation_s > 0
