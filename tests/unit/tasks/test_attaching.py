"""A planner on somebody's own Trainer: ranks move, training and saving stay theirs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForSequenceClassification, Trainer, TrainerCallback

import rankscope
from rankscope.models.events import (
    Decided,
    Failed,
    LogLine,
    Measured,
    ParamsSampled,
    RanksChanged,
    StatusChanged,
    StepDone,
)
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers import PLANNERS
from rankscope.tasks.attached import Attached
from tests.unit.tasks.scripts_trainer import (
    PARAMS,
    Q0,
    UP1,
    Scripted,
    Texts,
    adapted,
    base,
    config,
    logits,
    trainer_of,
)

MOVES = Scripted(moves={2: {Q0: 0, UP1: 3}, 4: {Q0: 1, UP1: 2}})


def ended_as(attached: Attached) -> tuple[str, str]:
    last = attached.events[-1]
    assert isinstance(last, StatusChanged)
    return last.status, last.reason


def test_ranks_move_between_steps_and_never_hold_more_than_the_budget(tmp_path: Path) -> None:
    model = adapted()
    trainer = trainer_of(model, tmp_path)
    attached = rankscope.attach(trainer, MOVES)
    assert (attached.budget, attached.run_id, attached.page) == (PARAMS, None, None)
    trainer.train()
    changes = [event for event in attached.events if isinstance(event, RanksChanged)]
    assert [(event.step, event.cause) for event in changes] == [
        (0, "start"),
        (2, "scheduler"),
        (4, "scheduler"),
    ]
    assert attached.ranks()[Q0] == 1
    sampled = [e.live_params for e in attached.events if isinstance(e, ParamsSampled)]
    assert len(sampled) == 1 + 2 * (1 + 4)
    assert max(sampled) == PARAMS
    steps = [event.step for event in attached.events if isinstance(event, StepDone)]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert ended_as(attached) == ("done", "")


def test_a_planner_that_keeps_leaves_training_as_it_would_be_alone(tmp_path: Path) -> None:
    alone, watched = adapted(), adapted()
    trainer = trainer_of(alone, tmp_path, max_steps=-1, num_train_epochs=1)
    trainer.train()
    trainer = trainer_of(watched, tmp_path, max_steps=-1, num_train_epochs=1)
    attached = rankscope.attach(trainer, Scripted(moves={}, measures_at=2), probe=Texts(8, seed=5))
    trainer.train()
    assert any(isinstance(event, Measured) for event in attached.events)
    for (name, one), (_, other) in zip(
        alone.named_parameters(), watched.named_parameters(), strict=True
    ):
        assert torch.equal(one, other), name


def test_the_optimizer_follows_a_move_with_its_state(tmp_path: Path) -> None:
    model = adapted()
    trainer = trainer_of(model, tmp_path)
    attached = rankscope.attach(trainer, MOVES)
    seen: dict[int, tuple[list[int], float]] = {}

    class Look(TrainerCallback):
        def on_optimizer_step(self, *_: Any, **__: Any) -> None:
            weight = model.get_parameter(f"base_model.model.{UP1}.lora_B.default.weight")
            state = trainer.optimizer.state[weight]  # type: ignore[union-attr]
            seen[trainer.state.global_step] = list(state["exp_avg"].shape), float(state["step"])

    trainer.add_callback(Look())
    trainer.train()
    assert attached.scheduler_failure is None
    # the move after step 2 gives a third component to the third step
    assert [seen[step] for step in (1, 2, 5)] == [([24, 2], 2), ([24, 3], 3), ([24, 2], 6)]


def test_the_loss_told_of_a_step_is_the_mean_of_its_accumulated_batches(tmp_path: Path) -> None:
    whole = trainer_of(
        adapted(), tmp_path, per_device_train_batch_size=4, gradient_accumulation_steps=1
    )
    parts = trainer_of(adapted(), tmp_path)
    told = []
    for trainer in (whole, parts):
        attached = rankscope.attach(trainer, "uniform")
        trainer.train()
        told.append([event.loss for event in attached.events if isinstance(event, StepDone)])
    assert told[0] == pytest.approx(told[1], rel=1e-4)


def test_a_learning_rate_factor_is_what_a_rate_of_its_own_would_be(tmp_path: Path) -> None:
    """One module at a quarter of the rate, by the planner and by a group of its own."""
    planner = Scripted(moves={0: {}}, lr_factors={Q0: 0.25})
    planned, grouped = adapted(), adapted()
    trainer = trainer_of(planned, tmp_path, weight_decay=0.1)
    rankscope.attach(trainer, planner)
    trainer.train()

    class Grouped(Trainer):
        def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
            del model
            named = [(n, p) for n, p in grouped.named_parameters() if p.requires_grad]
            damped = [p for n, p in named if Q0 in n]
            others = [p for n, p in named if Q0 not in n]
            self.optimizer = torch.optim.AdamW(
                [{"params": others, "lr": 0.02}, {"params": damped, "lr": 0.005}],
                weight_decay=0.1,
            )
            return self.optimizer

    trainer_of(grouped, tmp_path, trainer=Grouped).train()
    for (name, one), (_, other) in zip(
        planned.named_parameters(), grouped.named_parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4, msg=name)


def test_what_the_person_saves_loads_with_stock_peft_to_the_same_logits(tmp_path: Path) -> None:
    model = adapted()
    trainer = trainer_of(model, tmp_path)
    rankscope.attach(trainer, Scripted(moves={3: {Q0: 0, UP1: 3}}))
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    again = PeftModel.from_pretrained(base(), str(tmp_path / "saved"))
    assert torch.equal(logits(model), logits(again))
    assert (
        Q0
        not in json.loads((tmp_path / "saved" / "adapter_config.json").read_text())[
            "target_modules"
        ]
    )


def test_a_planner_that_fails_leaves_the_ranks_and_the_training_alone(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    attached = rankscope.attach(trainer, Scripted(moves={2: {UP1: 1}, 5: {UP1: 2}}, fails_at=3))
    trainer.train()
    assert trainer.state.global_step == 6
    assert attached.ranks()[UP1] == 1
    assert attached.scheduler_failure == "ZeroDivisionError: a slip in somebody's planner"
    decided = [e.decision for e in attached.events if isinstance(e, Decided)]
    assert isinstance(decided[-1], Failed)
    assert ended_as(attached)[0] == "done"


def test_a_move_that_cannot_be_made_leaves_the_training_alone(tmp_path: Path) -> None:
    model = adapted()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=0.02, amsgrad=True
    )
    trainer = trainer_of(model, tmp_path)
    trainer.optimizer = optimizer
    attached = rankscope.attach(trainer, MOVES)
    trainer.train()
    assert trainer.state.global_step == 6
    assert set(attached.ranks().values()) == {2}
    assert "train with AdamW without amsgrad" in (attached.scheduler_failure or "")
    assert any(isinstance(e, LogLine) and e.level == "error" for e in attached.events)


@pytest.mark.parametrize("kind", [planner.model_fields["kind"].default for planner in PLANNERS])
def test_every_planner_of_ours_runs_on_a_model_that_is_not(kind: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"kind": kind}
    if kind == "fixed":
        settings["ranks"] = {Q0: 1, UP1: 2}
    trainer = trainer_of(adapted(), tmp_path)
    attached = rankscope.attach(trainer, settings, probe=Texts(200, seed=5))
    trainer.train()
    assert attached.scheduler_failure is None
    assert attached.live_params() <= PARAMS


def test_a_loss_that_is_no_language_models_is_measured_item_by_item(tmp_path: Path) -> None:
    class Classes(Texts):
        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            item = super().__getitem__(index)
            return item | {"labels": item["labels"][0] % 2}

    torch.manual_seed(3)
    classifier = LlamaForSequenceClassification(config())  # type: ignore[no-untyped-call]
    model = adapted_of(classifier)
    trainer = trainer_of(model, tmp_path)
    trainer.train_dataset = Classes(20)
    probe = Classes(8, seed=5)
    attached = rankscope.attach(trainer, Scripted(moves={}, measures_at=0), probe=probe)
    model.eval()
    with torch.no_grad():
        losses = [
            model(**{key: value[None] for key, value in probe[i].items()}).loss for i in range(4)
        ]
    model.train()
    trainer.train()
    measured = next(event for event in attached.events if isinstance(event, Measured))
    (result,) = measured.results
    assert result.model_dump()["loss"] == pytest.approx(float(torch.stack(losses).mean()))


def adapted_of(model: LlamaForSequenceClassification) -> PeftModel:
    settings = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["q_proj", "v_proj", "up_proj"])
    wrapped = get_peft_model(model, settings)
    assert isinstance(wrapped, PeftModel)
    return wrapped


def test_a_smaller_budget_is_kept_from_the_first_step(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    attached = rankscope.attach(trainer, "uniform", budget={"unit": "rank", "value": 1})
    trainer.train()
    sampled = [e.live_params for e in attached.events if isinstance(e, ParamsSampled)]
    assert max(sampled) == attached.budget == PARAMS // 2


def test_a_pinned_module_has_its_rank_from_the_start(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    attached = rankscope.attach(trainer, "random", pins={"layers.0.*q_proj": 1})
    assert attached.ranks()[Q0] == 1
    trainer.train()
    assert attached.ranks()[Q0] == 1


def test_all_events_are_appended_to_a_file_where_one_asks_for_it(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    file = tmp_path / "events.jsonl"
    attached = rankscope.attach(trainer, MOVES, events_file=file)
    trainer.train()
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [event["kind"] for event in told] == [event.kind for event in attached.events]


def test_an_exception_in_training_ends_the_run_as_failed_and_stays_an_exception(
    tmp_path: Path,
) -> None:
    class Stumbles(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("out of memory, say")

    trainer = trainer_of(adapted(), tmp_path)
    attached = rankscope.attach(trainer, "uniform")
    trainer.add_callback(Stumbles())
    with pytest.raises(RuntimeError, match="out of memory, say"):
        trainer.train()
    assert ended_as(attached) == ("failed", "RuntimeError: out of memory, say")


def test_after_its_training_the_trainer_is_as_it_was(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    attached = rankscope.attach(trainer, "uniform")
    trainer.train()
    assert {"train", "training_step"}.isdisjoint(trainer.__dict__)
    num_events = len(attached.events)
    trainer.train()
    assert len(attached.events) == num_events


def test_a_trainer_resumes_from_before_the_first_move_only(tmp_path: Path) -> None:
    """The adapter of a later checkpoint has other shapes, which stock loading refuses."""
    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2}
    planner = Scripted(moves={4: {Q0: 1}})
    trainer = trainer_of(adapted(), tmp_path, **saving)
    rankscope.attach(trainer, planner)
    trainer.train()

    def resumed(step: int) -> Attached:
        trainer = trainer_of(adapted(), tmp_path, **saving)
        attached = rankscope.attach(trainer, planner)
        trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{step}"))
        return attached

    attached = resumed(2)
    assert ended_as(attached) == ("done", "")
    assert attached.ranks()[Q0] == 1
    with pytest.raises(RuntimeError, match="size mismatch"):
        resumed(6)


def test_a_run_that_never_trains_can_be_closed(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    attached = rankscope.attach(trainer, "uniform")
    attached.close()
    assert ended_as(attached) == ("stopped", "closed before training ended")
    trainer.train()
    assert not any(isinstance(event, StepDone) for event in attached.events)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheduler": "hydra"}, r"hydra measures on \d+ held-out items, got 0; give probe="),
        ({"scheduler": "hydra", "probe": Texts(3)}, "held-out items, got 3"),
        ({"scheduler": "adalora"}, r"must be a planner \(uniform, .*\), got AdaLora which trains"),
        ({"scheduler": "hydr"}, "scheduler.kind must be one of"),
        ({"scheduler": {"kind": "random", "sped": 1}}, "scheduler.sped is not a known key"),
        ({"budget": 3}, "budget must pay for"),
        ({"budget": 0}, "budget.value must be at least 1"),
        ({"min_rank": 5, "max_rank": 4}, "must not exceed"),
        ({"name": "x" * 201}, "attach.name"),
        ({"url": "localhost:7860"}, "url must read http://HOST:PORT"),
        ({"events_file": "/no/such/folder/x"}, "events_file must be a file that can be written"),
    ],
)
def test_arguments_that_cannot_work_are_refused_in_one_line(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    with pytest.raises(ConfigError, match=message) as refused:
        rankscope.attach(trainer, **({"scheduler": "uniform"} | arguments))
    assert "\n" not in str(refused.value)
    assert {"train", "training_step"}.isdisjoint(trainer.__dict__)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("optim", "adafactor", "need torch's Adam or AdamW, got adafactor"),
        ("auto_find_batch_size", True, "auto_find_batch_size must be off"),
        ("load_best_model_at_end", True, "load_best_model_at_end must be off"),
        ("torch_compile", True, "torch_compile must be off"),
    ],
)
def test_trainers_whose_ranks_cannot_move_are_refused(
    option: str, value: object, message: str, tmp_path: Path
) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    setattr(trainer.args, option, value)
    with pytest.raises(ConfigError, match=message):
        rankscope.attach(trainer, MOVES)


def test_any_optimizer_will_do_where_ranks_move_before_training_only(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path, optim="sgd")
    attached = rankscope.attach(trainer, Scripted(moves={0: {Q0: 1}}))
    trainer.train()
    assert attached.scheduler_failure is None
    assert attached.ranks()[Q0] == 1


def test_a_second_planner_on_one_trainer_is_refused(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    rankscope.attach(trainer, "uniform").close()
    with pytest.raises(ConfigError, match="is attached to once"):
        rankscope.attach(trainer, "uniform")


def test_steps_that_change_after_attaching_are_refused_before_training(tmp_path: Path) -> None:
    trainer = trainer_of(adapted(), tmp_path)
    rankscope.attach(trainer, "uniform")
    trainer.args.max_steps = 9
    with pytest.raises(ConfigError, match=r"must take the 6 steps it had .* got 9"):
        trainer.train()


def test_importing_rankscope_imports_neither_torch_nor_pandas() -> None:
    script = (
        "import sys, rankscope; sys.exit(bool({'torch', 'pandas', 'httpx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", script], check=False).returncode == 0
