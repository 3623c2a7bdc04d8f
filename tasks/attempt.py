"""One attempt at one run, within its training process: build, score, train, score again."""

import contextlib
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Literal

import structlog

from rankscope.models.config import RunConfig
from rankscope.models.data.parts import DataPart
from rankscope.models.events import (
    Evaluated,
    EvaluationKind,
    EvaluationPart,
    Event,
    LogLine,
    ParamsSampled,
    RanksChanged,
    Resumed,
    RunStatus,
    StatusChanged,
)
from rankscope.models.inventory import Inventory
from rankscope.models.roots import Roots
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.storage.sink import Sink
from rankscope.tasks.build import Assembled, assemble, make_trainer
from rankscope.tasks.callback import Request, RunCallback
from rankscope.tasks.checkpoints import list_checkpoints, load_trained, read_checkpoint, step_of
from rankscope.tasks.following import Beginning, begin
from rankscope.tasks.loop import seed_everything
from rankscope.tasks.narrating import line_of
from rankscope.tasks.offline import NONE, OfflineFor, told, wanted_by
from rankscope.tasks.preparing import prepare
from rankscope.tasks.process_group import ALONE, LostProcessError, ProcessGroup
from rankscope.tasks.scoring import Score, exact_match, mean_loss, score

log = structlog.get_logger()

_ROWS_BETWEEN_WORDS = 10_000

EarlyEnd = Literal["stopped", "queued"]


class RecordingFailed(RuntimeError):
    """The database no longer takes what the run says."""


class _Interrupted(Exception):
    """Scoring is given up because the run is to end early."""


class Training:
    """One attempt at one run."""

    def __init__(
        self,
        config: RunConfig,
        sink: Sink,
        folder: Path,
        *,
        attempt: int,
        roots: Roots,
        offline_for: OfflineFor = lambda _: None,
        group: ProcessGroup = ALONE,
    ) -> None:
        self._offline_for = offline_for
        self._group = group
        self._config = config
        self._roots = roots
        self._sink = sink
        self._checkpoints = folder
        self._attempt = attempt
        self._step = 0
        self._ending: EarlyEnd | None = None
        self._is_lost = False
        self._assembled: Assembled | None = None

    def end_on(self, *signals: signal.Signals, status: EarlyEnd) -> None:
        """Treat these signals as a request to end at the next step in this status, state saved."""

        def remember(_number: int, _frame: FrameType | None) -> None:
            # what a person stopped does not go back to the queue
            self._ending = self._ending or status

        for one in signals:
            signal.signal(one, remember)

    def fail_on(self, number: signal.Signals) -> None:
        """Treat this signal as the loss of another process."""

        def remember(_number: int, _frame: FrameType | None) -> None:
            self._is_lost = True  # an error raised here could hit its own recording

        signal.signal(number, remember)

    def prepare(self) -> Assembled:
        """Load model and data and put the adapters on."""
        self._say("starting", "loading model and data")
        self._group.use_devices()
        if self._group.size > 1:
            self._tell(f"{self._group.size} processes share every batch")
        seed_everything(self._config.seed)
        self._assembled = assemble(
            self._config, self._roots, self._emit, self._find_offline, self._tell_rows, self._group
        )
        return self._assembled

    def _tell_rows(self, num_rows: int) -> None:
        if num_rows % _ROWS_BETWEEN_WORDS == 0:
            self._emit_status("starting", f"reading data: {num_rows:,} rows")

    def _find_offline(self, inventory: Inventory) -> OfflineModel | None:
        model, wanted = self._offline_for(inventory), wanted_by(self._config)
        if wanted != NONE:
            self._tell(told(model, wanted))
        return model

    def run(self, *, is_scored_before: bool) -> RunStatus:
        """Train to the end, or until asked to end early.

        Returns:
            ``done``, ``stopped``, or ``queued`` when somebody else should go on.

        Raises:
            RecordingFailed: Nothing more can be recorded, so that training on would be lost.
        """
        with contextlib.suppress(_Interrupted):
            self._run(is_scored_before=is_scored_before)
        return self._ending or "done"

    def _run(self, *, is_scored_before: bool) -> None:
        config, assembled = self._config, self._built
        callback = RunCallback(
            config,
            assembled.inventory,
            emit=self._emit,
            flush=self._sink.flush,
            requested=self._requested,
            score_validation=self._score_validation,
        )
        trainer = make_trainer(config, assembled, self._checkpoints, callback)
        checkpoints = list_checkpoints(self._checkpoints)
        if self._attempt > 1:
            self._step = step_of(checkpoints[-1]) if checkpoints else 0
            self._emit(
                Resumed(
                    step=self._step,
                    time=time.time(),
                    attempt=self._attempt,
                    from_start=not checkpoints,
                )
            )
        with contextlib.suppress(_Interrupted):
            if config.evaluation.before and not (is_scored_before and checkpoints):
                self._score_before()
        if self._ending:
            begin(self._group, None)
            return
        checkpoint = checkpoints[-1] if checkpoints else None
        is_trained = checkpoint is not None and self._step >= config.training.steps
        begin(self._group, None if is_trained else Beginning(checkpoint=checkpoint))
        if checkpoint is None:
            self._set_out()
        self._say("running", "training")
        if checkpoint is not None and is_trained:
            load_trained(assembled.tuning, *read_checkpoint(checkpoint, config.hash()))
        else:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if callback.was_stopped:
            return
        self._step = config.training.steps
        part = self._test_part()
        self._score("test", "after", part)
        if config.evaluation.shuffled_images and part.num_pictures > 1:
            self._score("test", "shuffled_images", part.shuffled_images(config.seed))
        self._ending = None  # too late: nothing is left to do

    def _set_out(self) -> None:
        assembled = self._built
        done = prepare(self._config, assembled, self._emit)
        if done is not None:
            self._tell(done)
        self._tell_start()
        if assembled.steering:
            assembled.steering.decide(0, None, None)

    def _tell_start(self) -> None:
        """The parameters and, where there are ranks, the allocation that the run starts from."""
        tuning, now = self._built.tuning, time.time()
        live_params, ranks = tuning.live_params(), tuning.ranks()
        self._emit(ParamsSampled(step=0, time=now, live_params=live_params, sample=0))
        if ranks:
            self._emit(
                RanksChanged(
                    step=0,
                    time=now,
                    ranks=ranks,
                    cause="start",
                    moved_params=0,
                    live_params=live_params,
                )
            )

    def _emit(self, event: Event) -> None:
        self._step = event.step
        self._sink.emit(event)
        line = line_of(event)
        if line is not None:
            self._tell(line)

    def _tell(self, text: str) -> None:
        """A line for people, in the log file and in the record."""
        log.info(text, step=self._step)
        self._sink.emit(LogLine(step=self._step, time=time.time(), level="info", text=text))

    def _requested(self) -> Request | None:
        if self._sink.failure is not None:
            raise RecordingFailed(str(self._sink.failure)) from self._sink.failure
        if self._is_lost:
            raise LostProcessError("the others are told to end")
        asked = self._sink.take_request()
        if asked == "stop":
            self._ending = "stopped"
        return "stop" if self._ending else asked

    def _score_validation(self, step: int) -> None:
        self._step = step
        part = self._built.splits.validation.head(self._config.evaluation.validation_items)
        self._score("validation", "during", part, quiet=True)

    def _test_part(self) -> DataPart:
        test, items = self._built.splits.test, self._config.evaluation.test_items
        return test if items is None else test.head(items)

    def _score(
        self, part: EvaluationPart, when: EvaluationKind, items: DataPart, *, quiet: bool = False
    ) -> None:
        if not len(items):
            return
        what = f"scoring {part} ({when.replace('_', ' ')})"
        if not quiet:
            self._say("running", what)

        def tell(num_items: int) -> None:
            if not quiet:
                # a checkpoint asked for meanwhile is there already, or has nothing to save
                if self._requested() == "stop":
                    raise _Interrupted
                done = f"{what}: {num_items:,} of {len(items):,} items"
                self._emit_status("running", done)

        started_s = time.perf_counter()
        model, vlm = self._built.tuning.model, self._built.vlm
        batch_size = self._config.evaluation.batch_size
        result = exact_match(model, vlm, items, batch_size=batch_size, on_items=tell)
        loss = None
        if part == "validation":
            loss = mean_loss(model, vlm, items, batch_size=batch_size)
        self._tell_score(part, when, result, time.perf_counter() - started_s, loss)

    def _score_before(self) -> None:
        """What the model, and what no model at all, would answer on the test."""
        part = self._test_part()
        if not len(part):
            return
        self._score("test", "before", part)
        usual = self._built.splits.question_only_answers(part.questions)
        self._tell_score("test", "question_only", score(usual, part), duration_s=0.0)

    def _tell_score(
        self,
        part: EvaluationPart,
        when: EvaluationKind,
        result: Score,
        duration_s: float,
        loss: float | None = None,
    ) -> None:
        self._emit(
            Evaluated(
                step=self._step,
                time=time.time(),
                part=part,
                when=when,
                accuracy=result.accuracy,
                accuracy_by_skill=result.accuracy_by_skill,
                correct=tuple(result.correct_N.tolist()),
                loss=loss,
                duration_s=duration_s,
            )
        )

    @property
    def step(self) -> int:
        """Optimizer steps done, as far as this attempt has told."""
        return self._step

    @property
    def _built(self) -> Assembled:
        assert self._assembled is not None
        return self._assembled

    def _say(self, status: RunStatus, reason: str) -> None:
        self._tell(f"{status}: {reason}")
        self._emit_status(status, reason)

    def _emit_status(self, status: RunStatus, reason: str) -> None:
        self._emit(StatusChanged(step=self._step, time=time.time(), status=status, reason=reason))
