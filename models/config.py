"""The one description of a run: form, YAML, command line, API body, row and trainer's input."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from rankscope.models.data import AnyDataset
from rankscope.models.inventory import PARTS, Inventory, Part
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.uniform import Uniform
from rankscope.models.vlms import AnyVlm, EmbeddedVlm

BYTES_PER_PARAM = 4
"""Adapters are kept and exported in float32 whatever the base model's precision."""


class ConfigError(ValueError):
    """Bad input: one line that says rule, value and remedy."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RankBudget(_Section):
    """A budget equal to the same rank on every adaptable module."""

    unit: Literal["rank"] = "rank"
    value: float = Field(1.0, gt=0, le=1024, description="Equivalent uniform rank.")

    def params(self, inventory: Inventory) -> int:
        """Resolve to trainable adapter parameters."""
        return int(self.value * inventory.params_per_rank)


class ParamsBudget(_Section):
    """A budget in trainable adapter parameters."""

    unit: Literal["params"] = "params"
    value: int = Field(ge=1, description="Adapter parameters.")

    def params(self, inventory: Inventory) -> int:
        """Resolve to trainable adapter parameters."""
        del inventory
        return self.value


class MegabyteBudget(_Section):
    """A budget as the size of the exported adapter, float32, 1 MB = 10^6 bytes."""

    unit: Literal["megabytes"] = "megabytes"
    value: float = Field(gt=0, le=1_000_000, description="Adapter size in MB.")

    def params(self, inventory: Inventory) -> int:
        """Resolve to trainable adapter parameters."""
        del inventory
        return int(self.value * 1e6 / BYTES_PER_PARAM)


Budget = Annotated[RankBudget | ParamsBudget | MegabyteBudget, Field(discriminator="unit")]


class LoraSettings(_Section):
    """Where adapters sit and how strongly they act."""

    targets: str = Field(
        "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|fc1|fc2|out_proj",
        description="Regular expression for the last component of a linear module's path.",
    )
    parts: frozenset[Part] = Field(
        frozenset({"language"}), min_length=1, description="Parts of the model that get adapters."
    )
    scale: float = Field(
        2.0,
        gt=0,
        le=256,
        description="s in W x + s B A x, constant whatever the rank (alpha / rank).",
    )
    min_rank: int = Field(0, ge=0, le=4096, description="Smallest rank of any module.")
    max_rank: int = Field(16, ge=1, le=4096, description="Largest rank of any module.")

    @field_serializer("parts")
    def _in_model_order(self, parts: frozenset[Part]) -> list[Part]:
        # A set has another order in every process, and equal configs must give equal text.
        return [part for part in PARTS if part in parts]

    @model_validator(mode="after")
    def _ranks_are_ordered(self) -> "LoraSettings":
        if self.min_rank > self.max_rank:
            raise ValueError(
                f"lora.min_rank must not exceed lora.max_rank={self.max_rank}, "
                f"got {self.min_rank}; lower it"
            )
        return self


class FlatRates(_Section):
    """The same learning rate in every layer."""

    kind: Literal["flat"] = "flat"

    def factor(self, layer: int, num_layers: int) -> float:
        """Multiplier of the learning rate in ``layer`` of ``num_layers``."""
        del layer, num_layers
        return 1.0


class DampedEarlyRates(_Section):
    """A smaller learning rate in the first layers of the language model."""

    kind: Literal["damped_early"] = "damped_early"
    factor_early: float = Field(0.3, gt=0, le=1, description="Multiplier in the early layers.")
    early_fraction: float = Field(0.5, gt=0, lt=1, description="Share of the layers that is early.")

    def factor(self, layer: int, num_layers: int) -> float:
        """Multiplier of the learning rate in ``layer`` of ``num_layers``."""
        return self.factor_early if layer < self.early_fraction * num_layers else 1.0


class GeometricRates(_Section):
    """A learning rate that falls by a constant ratio from the last layer to the first."""

    kind: Literal["geometric"] = "geometric"
    ratio: float = Field(0.7, gt=0, le=1, description="Multiplier per layer below the last.")

    def factor(self, layer: int, num_layers: int) -> float:
        """Multiplier of the learning rate in ``layer`` of ``num_layers``."""
        return float(self.ratio ** (num_layers - 1 - layer))


LayerRates = Annotated[FlatRates | DampedEarlyRates | GeometricRates, Field(discriminator="kind")]


class OptimizerSettings(_Section):
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

    lr: float = Field(0.01, gt=0, le=1, description="Peak learning rate of the adapters.")
    layer_rates: LayerRates = Field(
        FlatRates(), description="Layer-wise factors within the language model."
    )
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.99, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    max_grad_norm: float = Field(
        1.0, gt=0, le=1e6, description="Gradients are clipped to this norm."
    )


class TrainingSettings(_Section):
    """How long, in what portions and at what precision."""

    steps: int = Field(150, ge=1, le=10_000_000, description="Optimizer steps.")
    batch_size: int = Field(16, ge=1, le=4096, description="Items per forward pass.")
    accumulation_steps: int = Field(
        1, ge=1, le=4096, description="Forward passes per optimizer step."
    )
    warmup_fraction: float = Field(
        0.06,
        ge=0,
        lt=1,
        description="Share of the steps with a rising learning rate; then cosine to zero.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="Number format of forward and backward."
    )
    train_projector: bool = Field(
        False,
        description="Train the projector in full beside the adapters; counted as other parameters.",
    )


class EvaluationSettings(_Section):
    """When generated answers are scored by exact match."""

    every_steps: int = Field(50, ge=1, description="Optimizer steps between scores on validation.")
    validation_items: int = Field(256, ge=1, description="Validation items scored each time.")
    test_items: int | None = Field(
        None, ge=1, description="Test items scored before and after training; None takes all."
    )
    shuffled_images: bool = Field(
        True, description="Score the test also with every picture replaced by another."
    )
    batch_size: int = Field(256, ge=1, le=65536, description="Items per generation batch.")


class CheckpointSettings(_Section):
    """When training state is saved; the last two are kept."""

    every_s: float = Field(60.0, gt=0, description="Seconds between checkpoints.")


class RunConfig(_Section):
    """Everything that decides a run."""

    version: Literal[1] = 1
    name: str = Field("", max_length=200, description="A name for people.")
    tags: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field((), max_length=20)
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Decides adapters, data order and draws.")
    model: AnyVlm = Field(EmbeddedVlm(), description="The vision-language model to fine-tune.")
    data: AnyDataset = Field(description="The data set and its task.")
    budget: Budget = Field(RankBudget(), description="What the adapters may cost.")
    scheduler: AnyScheduler = Field(Uniform(), description="What decides the ranks.")
    lora: LoraSettings = LoraSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

    @field_validator("tags")
    @classmethod
    def _tags_are_distinct(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(tags)) != len(tags):
            raise ValueError(f"tags must be distinct, got {list(tags)}; remove the repeated one")
        return tags

    def canonical_json(self) -> str:
        """The config as JSON with sorted keys: equal configs give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def hash(self) -> str:
        """SHA-256 of what decides the result: the config without name and tags."""
        content = self.model_dump(mode="json", exclude={"name", "tags"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def load_config(path: Path, overrides: list[str] | None = None) -> RunConfig:
    """Read a YAML file and apply ``a.b=value`` overrides.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the config must be a readable file, got {path} ({error.strerror}); check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"the config must be YAML, {path} is not ({where}); mend it") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"the config must be a mapping of keys, {path} holds {type(raw).__name__}; "
            "start from a file in configs/"
        )
    for override in overrides or []:
        _override(raw, override)
    return parse_config(raw)


def parse_config(raw: dict[str, Any]) -> RunConfig:
    """Validate a mapping; all that is wrong in one message of a single line."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(dict(e), raw) for e in error.errors())) from error


def parse_scheduler(kind: str, overrides: list[str] | None = None) -> AnyScheduler:
    """A scheduler by its kind, with ``key=value`` settings.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    raw: dict[str, Any] = {"kind": kind}
    for override in overrides or []:
        _override(raw, override)
    try:
        scheduler: AnyScheduler = TypeAdapter(AnyScheduler).validate_python(raw)
    except ValidationError as error:
        lines = (_explain(dict(e), raw, within="scheduler") for e in error.errors())
        raise ConfigError("; ".join(lines)) from error
    return scheduler


def _override(raw: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise ConfigError(
            f"an override must read key.key=value, got {override!r}; for example --set seed=1"
        )
    target = raw
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{key} in {path!r} holds a value, not keys; shorten the path")
    try:
        target[keys[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of {path} must be YAML, got {text!r}; quote it") from error


def _explain(error: dict[str, Any], raw: dict[str, Any], *, within: str = "") -> str:
    """One pydantic error as rule, value, remedy."""
    keys = [within] if within else []
    where = ".".join([*keys, *_keys_written(error["loc"], raw)]) or "config"
    value, kind, context = error["input"], error["type"], error.get("ctx", {})
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if kind == "extra_forbidden":
        return f"{where} is not a known key, got {shown}; remove it or correct its spelling"
    if kind == "missing":
        return f"{where} is required and missing; add it"
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        return (
            f"{where}.{key} must be one of {context['expected_tags']}, "
            f"got {context['tag']!r}; choose one"
        )
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return f"{where}.{key} is required and missing; add it"
    if kind == "value_error":
        return str(context["error"])
    rule = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}: {rule}, got {shown}; change it"


def _keys_written(location: tuple[str | int, ...], raw: object) -> list[str]:
    """A place as the file spells it: pydantic also counts a union's kind as a step of the way."""
    keys, here = [], raw
    for part in location:
        if (
            isinstance(here, dict)
            and part not in here
            and part in (here.get("kind"), here.get("unit"))
        ):
            continue
        keys.append(str(part))
        here = here.get(part) if isinstance(here, dict) else None
    return keys
