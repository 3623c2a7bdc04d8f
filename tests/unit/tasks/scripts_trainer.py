"""Somebody's own script: a text model of a few thousand parameters, its data and its Trainer."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from pydantic import Field
from torch import Tensor
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
from typing_extensions import override

from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Keep,
    Measure,
    Memory,
    ProbeLoss,
    RankPlanner,
    View,
)

VOCABULARY, LENGTH = 32, 10
Q0 = "model.layers.0.self_attn.q_proj"
UP1 = "model.layers.1.mlp.up_proj"
PARAMS = 2 * (2 * (16 + 16) + 24 + 16) * 2
"""Rank 2 on q, v and up of two layers of width 16 (MLP 24)."""


class Texts(Dataset[dict[str, Tensor]]):
    """Tokens, each said twice, so that there is something to learn."""

    def __init__(self, num_items: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        once = torch.randint(2, VOCABULARY, (num_items, LENGTH // 2), generator=generator)
        self._tokens = once.repeat_interleave(2, dim=1)

    def __len__(self) -> int:
        return len(self._tokens)

    @override
    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self._tokens[index], "labels": self._tokens[index]}


def base() -> LlamaForCausalLM:
    torch.manual_seed(3)
    return LlamaForCausalLM(config())


def config() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=LENGTH,
        pad_token_id=0,
    )


def adapted(**changes: Any) -> PeftModel:
    """Rank 2 on q, v and up; adapters drawn alike every time."""
    settings: dict[str, Any] = {
        "r": 2,
        "lora_alpha": 4,
        "target_modules": ["q_proj", "v_proj", "up_proj"],
    }
    model = get_peft_model(base(), LoraConfig(task_type="CAUSAL_LM", **(settings | changes)))
    assert isinstance(model, PeftModel)
    return model


def trainer_of(
    model: PeftModel, folder: Path, *, trainer: type[Trainer] = Trainer, **changes: Any
) -> Trainer:
    """Six steps of two batches of two items."""
    settings: dict[str, Any] = {
        "max_steps": 6,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 0.02,
        "lr_scheduler_type": "constant",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "dataloader_pin_memory": False,
    }
    arguments = TrainingArguments(output_dir=str(folder), **(settings | changes))
    return trainer(model=model, args=arguments, train_dataset=Texts(20))


def logits(model: torch.nn.Module) -> Tensor:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        answer: Tensor = model(input_ids=torch.arange(LENGTH)[None]).logits
    model.train(was_training)
    return answer


class Scripted(RankPlanner):
    """A planner of somebody's own that does as its table says."""

    kind: Literal["scripted"] = "scripted"
    moves: dict[int, dict[str, int]] = Field(default_factory=dict)
    lr_factors: dict[str, float] | None = None
    fails_at: int | None = None
    measures_at: int | None = None
    num_items: ClassVar[int] = 4

    @property
    @override
    def most_probe_items(self) -> int:
        return 0 if self.measures_at is None else self.num_items

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        del num_steps
        steps = {*self.moves, self.fails_at, self.measures_at} - {None}
        return tuple(sorted(step for step in steps if step is not None))

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        if view.step == self.fails_at:
            raise ZeroDivisionError("a slip in somebody's planner")
        if view.step == self.measures_at and not view.measurements:
            return Measure(requests=(ProbeLoss(num_items=self.num_items),)), memory
        ranks = self.moves.get(view.step)
        if ranks is None:
            return Keep(reason="nothing in the table"), memory
        return Apply(ranks=ranks, lr_factors=self.lr_factors, reason="as the table says"), memory
