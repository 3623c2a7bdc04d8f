"""The one description of a run: form, YAML, command line, API body, row and trainer's input."""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from rankscope.models.budgets import Budget, RankBudget
from rankscope.models.data import AnyDataset
from rankscope.models.inventory import Part
from rankscope.models.pins import Pins, check_ranks
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.full import Full
from rankscope.models.schedulers.uniform import Uniform
from rankscope.models.section import Section
from rankscope.models.training_settings import (
    CheckpointSettings,
    EvaluationSettings,
    OptimizerSettings,
    TrainingSettings,
    in_model_order,
)
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm, SmolVlm
from rankscope.models.vlms.hub.settings import QUANTISED


class LoraSettings(Section):
    """Where adapters sit and how strongly they act."""

    targets: str = Field(
        "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|fc1|fc2|out_proj",
        description="Regular expression for the last component of a linear module's path.",
    )
    parts: frozenset[Part] = Field(
        frozenset({"language"}),
        description="Parts of the model that get adapters. None only with scheduler full, to train "
        "nothing but the parts trained in full.",
    )
    scale: float = Field(
        2.0,
        gt=0,
        le=256,
        description="s in W x + s B A x (alpha / rank).",
    )
    scaling: Literal["constant", "rslora"] = Field(
        "constant",
        title="Scale by rank",
        description="constant: s whatever the rank; rslora: s times the budget as an equal rank "
        "over the root of a module's rank (Kalajdzievski 2023, arXiv 2312.03732).",
    )
    min_rank: int = Field(0, ge=0, le=4096, description="Smallest rank of any module.")
    max_rank: int = Field(16, ge=1, le=4096, description="Largest rank of any module.")
    rank_multiple: int = Field(
        1, ge=1, le=1024, title="Ranks in multiples of", description="Every rank is one of them."
    )
    moments: Literal["transport", "reset"] = Field(
        "transport",
        title="Adam moments",
        description="Of a module whose rank changes: carried into the new coordinates, or reset.",
    )
    pins: Pins = Field(
        default_factory=dict,
        title="Pinned ranks",
        description="Ranks that no scheduler moves, by regular expression found in a module's "
        "full path, a line each: layers.0.*q_proj: 2.",
    )

    @field_serializer("parts")
    def _in_model_order(self, parts: frozenset[Part]) -> list[Part]:
        return in_model_order(parts)

    @model_validator(mode="after")
    def _ranks_agree(self) -> "LoraSettings":
        check_ranks(
            self.pins,
            min_rank=self.min_rank,
            max_rank=self.max_rank,
            multiple=self.rank_multiple,
        )
        return self


_JOINED_LATER: tuple[tuple[str, str, object], ...] = (
    ("training", "num_processes", 1),
    ("training", "compile_layers", False),
    ("data", "pictures", "twemoji"),
)
"""Settings that recorded runs may lack, by section, with what those runs did."""


class RunConfig(Section):
    """Everything that decides a run."""

    version: Literal[1] = 1
    name: str = Field("", max_length=200, description="A name for people.")
    tags: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(
        (), max_length=20, description="Words to find and group runs by."
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Decides adapters, data order and draws.")
    model: AnyVlm = Field(EmbeddedVlm(), description="The vision-language model to fine-tune.")
    data: AnyDataset = Field(description="The data set and its task.")
    budget: Budget = Field(RankBudget(), description="What the adapters may cost.")
    scheduler: AnyScheduler = Field(Uniform(), description="What decides the ranks.")
    lora: LoraSettings = LoraSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    # the default too is checked against what else is told
    training: TrainingSettings = Field(TrainingSettings(), validate_default=True)
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

    @field_validator("tags")
    @classmethod
    def _tags_are_distinct(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(tags)) != len(tags):
            raise ValueError(f"tags must be distinct, got {list(tags)}; remove the repeated one")
        return tags

    # Field validators, so that a refusal has its place in the form; they run after ``scheduler``.
    @field_validator("lora")
    @classmethod
    def _pins_and_multiples_are_heeded(
        cls, lora: LoraSettings, info: ValidationInfo
    ) -> LoraSettings:
        scheduler = info.data.get("scheduler")
        if scheduler is None or isinstance(scheduler, RankPlanner):
            return lora
        for name, value, none in (
            ("pins", lora.pins, {}),
            ("rank_multiple", lora.rank_multiple, 1),
        ):
            if value != none:
                raise ValueError(
                    f"lora.{name} must be {none} with scheduler {scheduler.kind}, which sets ranks "
                    f"by itself, got {value}; leave it out or choose another scheduler"
                )
        return lora

    @field_validator("lora")
    @classmethod
    def _adapters_have_a_place(cls, lora: LoraSettings, info: ValidationInfo) -> LoraSettings:
        scheduler = info.data.get("scheduler")
        if not lora.parts and scheduler is not None and not isinstance(scheduler, Full):
            raise ValueError(
                f"lora.parts must name at least one part with scheduler {scheduler.kind}, whose "
                "adapters need a place, got none; name one, or choose scheduler full"
            )
        return lora

    @field_validator("lora")
    @classmethod
    def _scale_is_ours_to_set(cls, lora: LoraSettings, info: ValidationInfo) -> LoraSettings:
        scheduler = info.data.get("scheduler")
        if isinstance(scheduler, AdaLora | Full) and lora.scaling != "constant":
            raise ValueError(
                f"lora.scaling must be constant with scheduler {scheduler.kind}, which has no "
                f"scale by rank, got {lora.scaling}; leave it out or choose another scheduler"
            )
        return lora

    @field_validator("optimizer")
    @classmethod
    def _b_is_there_to_be_trained(
        cls, optimizer: OptimizerSettings, info: ValidationInfo
    ) -> OptimizerSettings:
        scheduler = info.data.get("scheduler")
        if isinstance(scheduler, Full) and optimizer.b_lr_ratio != 1:
            raise ValueError(
                f"optimizer.b_lr_ratio must be 1 with scheduler {scheduler.kind}, which trains no "
                f"LoRA B, got {optimizer.b_lr_ratio:g}; leave it out or choose another scheduler"
            )
        return optimizer

    @field_validator("training")
    @classmethod
    def _a_part_is_trained_one_way(
        cls, training: TrainingSettings, info: ValidationInfo
    ) -> TrainingSettings:
        lora, optimizer = info.data.get("lora"), info.data.get("optimizer")
        is_full = isinstance(info.data.get("scheduler"), Full)
        if lora is not None and not lora.parts and not training.full_parts:
            raise ValueError(
                "training.full_parts must name at least one part where lora.parts names none, got "
                "none; name what is to be trained"
            )
        if lora is not None and (both := training.full_parts & lora.parts):
            raise ValueError(
                "training.full_parts must have no part in common with lora.parts, got "
                f"{', '.join(in_model_order(both))} in both; take it out of one"
            )
        model = info.data.get("model")
        precision = model.precision if isinstance(model, HubVlm) else "fp32"
        if precision in QUANTISED and (is_full or training.full_parts):
            raise ValueError(
                f"model.precision must be fp32, bf16 or fp16 for own weights to be trained, got "
                f"{precision}; choose one, or train adapters alone"
            )
        if optimizer is not None and optimizer.full_lr_ratio != 1 and not training.full_parts:
            raise ValueError(
                "training.full_parts must name a part for optimizer.full_lr_ratio to have an "
                f"effect, got none with {optimizer.full_lr_ratio:g}; name one or leave it out"
            )
        if isinstance(info.data.get("model"), SmolVlm) and "vision" in training.full_parts:
            raise ValueError(
                "training.full_parts must leave vision out with model smol, whose tower's features "
                "are computed once per picture, got vision; take it out"
            )
        return training

    def hash(self) -> str:
        """SHA-256 of what decides the result: the config without name and tags.

        A setting that joined later counts only where it differs from what runs did before it, so
        that a recorded run keeps its hash and its checkpoints can be read.
        """
        content = self.model_dump(mode="json", exclude={"name", "tags"})
        for section, key, before in _JOINED_LATER:
            if content[section].get(key) == before:
                del content[section][key]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
