"""The evaluating process: carries one evaluation from its row in the database to its score.

Started as ``python -P -m rankscope.tasks.evaluator EVALUATION --attempt N`` with its output going
to the evaluation's log file, by whoever has begun that attempt. SIGINT and SIGTERM stop it, SIGUSR1
gives it back to the queue; whatever was answered by then stays and is not asked again.
"""

import platform
import signal
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from types import FrameType
from typing import Literal

import structlog
import torch
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.models.benchmarks.contract import Benchmark, Item, digest_of
from rankscope.models.benchmarks.files import content_hash, located
from rankscope.models.benchmarks.protocol import answer_in
from rankscope.models.data.dialogue import IMAGE_MARKER, Example, Picture, Turn
from rankscope.models.evaluation import EvaluationStatus
from rankscope.models.events import LIVE_STATUSES
from rankscope.storage.benchmark_answers import Attempt, StoredAnswer, read_answers
from rankscope.storage.benchmark_figures import stored_score
from rankscope.storage.errors import FencedOutError
from rankscope.storage.evaluations import EvaluationRecord, get_evaluation
from rankscope.storage.queue import requeue
from rankscope.storage.settings import Settings
from rankscope.storage.supervision import evaluation_standing
from rankscope.storage.tables import BenchmarkEvaluation
from rankscope.tasks.carrying import carry, one_line
from rankscope.tasks.generation import Interrupted, generate_answers, in_batches
from rankscope.tasks.processes import GIVE_BACK, STOP
from rankscope.tasks.subjects import load_subject

log = structlog.get_logger()

_LOOK_S = 0.5
"""Between looks for a stop."""

EarlyEnd = Literal["stopped", "queued"]
Numbered = tuple[int, Item]


class Ending:
    """Whether, and how, the evaluation is to end before it is done; signals and a thread set it."""

    def __init__(self) -> None:
        self.how: EarlyEnd | None = None
        self.is_fenced_out = False
        self.is_closed = threading.Event()

    def is_over(self) -> bool:
        """Whether to give up what is being done."""
        return self.how is not None or self.is_fenced_out

    def on(self, *signals: signal.Signals, how: EarlyEnd) -> None:
        """Treat these signals as a request to end so."""

        def remember(_number: int, _frame: FrameType | None) -> None:
            # what a person stopped does not go back to the queue
            self.how = self.how or how

        for one in signals:
            signal.signal(one, remember)


def evaluate(
    engine: Engine, settings: Settings, evaluation_id: str, number: int, *, lease_s: float
) -> EvaluationStatus:
    """Carry one evaluation to its end, or back to the queue, and record how it ended.

    This is the one place that catches broadly: whatever goes wrong, the evaluation says so.

    Args:
        engine: The database.
        settings: Where models and the benchmark's files are.
        evaluation_id: The evaluation.
        number: Of the attempt, as whoever started this process began it.
        lease_s: Seconds without a word after which others may take it over.

    Raises:
        FencedOutError: The attempt is over.
    """
    evaluation = get_evaluation(engine, evaluation_id)
    if evaluation.attempt != number or evaluation.status not in LIVE_STATUSES:
        raise FencedOutError(
            f"an attempt must be the evaluation's present one, got {number} of {evaluation_id} "
            f"which is {evaluation.status} at attempt {evaluation.attempt}; nothing is left to do"
        )
    attempt, ending = Attempt(engine, evaluation_id, number, lease_s=lease_s), Ending()
    ending.on(STOP, signal.SIGTERM, how="stopped")
    if evaluation.origin == "queue":
        ending.on(GIVE_BACK, how="queued")
    watch = threading.Thread(
        target=_watch, args=(engine, attempt, number, ending, lease_s), daemon=True
    )
    watch.start()
    try:
        _answer_and_score(engine, settings, evaluation, attempt, ending)
    except (Interrupted, FencedOutError):
        return _ended_early(engine, evaluation, number, attempt, ending)
    except Exception as error:
        reason = one_line(error, batch_size="batch_size")
        log.exception("failed", reason=reason)
        attempt.end("failed", reason)
        return "failed"
    finally:
        ending.is_closed.set()
    log.info("done")
    return "done"


def _answer_and_score(
    engine: Engine,
    settings: Settings,
    evaluation: EvaluationRecord,
    attempt: Attempt,
    ending: Ending,
) -> None:
    config = evaluation.parsed()
    attempt.say("starting", "reading the benchmark's files")
    benchmark = located(config.benchmark, settings.roots.data)
    items = benchmark.items()
    _check_unchanged(evaluation, items)
    answered = {stored.number: stored.answer for stored in read_answers(engine, evaluation.id)}
    todo = [(i, item) for i, item in enumerate(items) if i not in answered]
    attempt.begin(content_hash=_hash_of(evaluation, items), versions=_versions())
    if todo:
        attempt.say("starting", "loading the model")
        asked = load_subject(engine, settings, config.subject)
        if not benchmark.pads_pictures:
            asked = asked.without_padding()
        attempt.say("running")
        log.info("answering", items=len(todo), answered=len(answered))

        def answer(batch: Sequence[Numbered]) -> list[str]:
            return generate_answers(
                asked.model,
                asked.vlm,
                [_example(benchmark, i, item) for i, item in batch],
                max_new_tokens=benchmark.max_new_tokens,
                is_over=ending.is_over,
            )

        began_s = time.perf_counter()
        for batch, said in in_batches(_longest_first(todo), config.batch_size, answer):
            told = {
                i: answer_in(text).replace("\0", "\ufffd")
                for (i, _), text in zip(batch, said, strict=True)
            }
            rows = [StoredAnswer(i, item.key, item.group, told[i], None) for i, item in batch]
            ended_s = time.perf_counter()
            attempt.add(rows, duration_s=ended_s - began_s)
            answered |= told
            began_s = ended_s
            if ending.is_over():
                raise Interrupted
    predictions = {item.key: answered[i] for i, item in enumerate(items)}
    score = benchmark.score_items(items, predictions)
    attempt.finish(stored_score(score), score.item_scores)


def _longest_first(todo: Sequence[Numbered]) -> list[Numbered]:
    """Batches of like length, none of which mixes questions with and without a picture.

    Too little memory shows at once, and the time left is rather said too long than too short.
    """
    return sorted(todo, key=lambda one: (one[1].image is None, -len(one[1].prompt)))


def _example(benchmark: Benchmark, number: int, item: Item) -> Example:
    """The question as a dialogue, which the model's own processor words; its answer is dropped."""
    where = f"{benchmark.kind} item {item.key}"
    pictures = () if item.image is None else (Picture(_name(item), item.image, where),)
    prompt = f"{IMAGE_MARKER}\n{item.prompt}" if pictures else item.prompt
    turns = (Turn("user", prompt), Turn("assistant", "-"))
    return Example(item.key, number + 1, pictures, turns, file=benchmark.kind)


def _name(item: Item) -> str:
    return "the table's picture" if isinstance(item.image, bytes) else str(item.image)


def _check_unchanged(evaluation: EvaluationRecord, items: Sequence[Item]) -> None:
    if digest_of(items) != evaluation.items_digest:
        raise ValueError(
            f"the files of {evaluation.benchmark} must be those of when it was asked for, their "
            "questions or right answers have changed; put them back or start a new evaluation"
        )


def _hash_of(evaluation: EvaluationRecord, items: Sequence[Item]) -> str:
    found = content_hash(items)
    if evaluation.content_hash not in (None, found):
        raise ValueError(
            f"the files of {evaluation.benchmark} must be those that it began with, prompts or "
            "pictures have changed; put them back or start a new evaluation"
        )
    return found


def _versions() -> dict[str, str]:
    packages = ("rankscope", "torch", "transformers", "peft")
    has_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if has_gpu else platform.processor() or "cpu"
    return {name: version(name) for name in packages} | {"device": device}


def _watch(engine: Engine, attempt: Attempt, number: int, ending: Ending, lease_s: float) -> None:
    """Signs of life, and a look for a stop; a database that is away changes nothing."""
    renewed_s = -lease_s
    while not (ending.is_fenced_out or ending.is_closed.is_set()):
        try:
            if time.monotonic() - renewed_s > lease_s / 4:
                attempt.renew()
                renewed_s = time.monotonic()
            at = evaluation_standing(engine, attempt.evaluation_id, number, datetime.now(UTC))
            if at.stop_asked_s is not None:
                ending.how = ending.how or "stopped"
        except FencedOutError:
            ending.is_fenced_out = True
        except SQLAlchemyError as error:
            log.warning("no sign of life", reason=type(error).__name__)
        ending.is_closed.wait(_LOOK_S)


def _ended_early(
    engine: Engine, evaluation: EvaluationRecord, number: int, attempt: Attempt, ending: Ending
) -> EvaluationStatus:
    if ending.is_fenced_out or ending.how is None:
        raise FencedOutError(
            f"attempt {number} of evaluation {evaluation.id} is over; nothing is left to do here"
        )
    log.info(ending.how)
    if ending.how == "queued":
        reason = "its worker ended; it goes on with what is not answered yet"
        requeue(engine, evaluation.id, number, reason, counts=False, job=BenchmarkEvaluation)
        return "queued"
    attempt.end("stopped", "stopped as asked; resume it to answer the rest")
    return "stopped"


if __name__ == "__main__":
    carry(__doc__, "evaluation", evaluate)
