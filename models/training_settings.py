"""How a run trains, scores and saves: its optimizer, loop, evaluations and checkpoints."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_serializer, model_validator

from rankscope.models.inventory import PARTS, Part
from rankscope.models.section import Section


def in_model_order(parts: frozenset[Part]) -> list[Part]:
    """A set has another order in every process, and equal configs must give equal text."""
    return [part for part in PARTS if part in parts]


class FlatRates(Section):
    """The same learning rate in every layer."""

    kind: Literal["flat"] = "flat"

    def factor(self, layer: int, num_layers: int) -> float:
        """Multiplier of the learning rate in ``layer`` of ``num_layers``."""
        del layer, num_layers
        return 1.0


class DampedEarlyRates(Section):
    """A smaller learning rate in the first layers of the language model."""

    kind: Literal["damped_early"] = "damped_early"
    factor_early: float = Field(0.3, gt=0, le=1, description="Multiplier in the early layers.")
    early_fraction: float = Field(0.5, gt=0, lt=1, description="Share of the layers that is early.")

    def factor(self, layer: int, num_layers: int) -> float:
        """Multiplier of the learning rate in ``layer`` of ``num_layers``."""
        return self.factor_early if layer < self.early_fraction * num_layers else 1.0


class GeometricRates(Section):
    """A learning rate that falls by a constant ratio from the last layer to the first."""

    kind: Literal["geometric"] = "geometric"
    ratio: float = Field(0.7, gt=0, le=1, description="Multiplier per layer below the last.")

    def factor(self, layer: int, num_layers: int) -> float:
        """Multiplier of the learning rate in ``layer`` of ``num_layers``."""
        return float(self.ratio ** (num_layers - 1 - layer))


LayerRates = Annotated[FlatRates | DampedEarlyRates | GeometricRates, Field(discriminator="kind")]


class OptimizerSettings(Section):
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101)."""

    lr: float = Field(0.01, gt=0, le=1, title="Learning rate", description="Peak, of the adapters.")
    b_lr_ratio: float = Field(
        1.0,
        ge=1,
        le=64,
        title="Learning rate of B over that of A",
        description="Multiplies the rate of LoRA's B (LoRA+: Hayou et al. 2024, arXiv 2402.12354).",
    )
    full_lr_ratio: float = Field(
        1.0,
        gt=0,
        le=1000,
        title="Learning rate of full parts over that of adapters",
        description="Multiplies the rate of parts that are trained in full.",
    )
    layer_rates: LayerRates = Field(
        FlatRates(), description="Layer-wise factors within the language model."
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the mean of gradients.")
    beta2: float = Field(0.99, ge=0, lt=1, description="Decay of the mean of their squares.")
    weight_decay: float = Field(
        0.0, ge=0, le=1, description="Share of a weight taken off per step, times the rate."
    )
    max_grad_norm: float = Field(
        1.0, gt=0, le=1e6, description="Gradients are clipped to this norm."
    )


class TrainingSettings(Section):
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
    order: Literal["shuffled", "by_length"] = Field(
        "shuffled",
        title="Order of items",
        description="shuffled: at random; by_length: items of like length, with or without "
        "pictures, share a batch, so that less is padding; the order of batches is at random.",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d{1,3})?)$",
        description="auto: a CUDA device if the machine has one, else the CPU; cpu; cuda or cuda:N "
        "for one of several; mps on Apple's chips.",
    )
    num_processes: int = Field(
        1,
        ge=1,
        le=64,
        title="Processes",
        description="That train this run together, each on a GPU of its own or with its share of "
        "the cores; they share out every batch.",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="Number format of forward and backward; fp16 scales the loss and needs CUDA.",
    )
    compile_layers: bool = Field(
        False,
        description="torch.compile for the layers of the language model: shorter steps, for some "
        "time of compiling at the start and after every rank event.",
    )
    full_parts: frozenset[Part] = Field(
        frozenset(),
        title="Parts trained in full",
        description="Parts of the model whose own weights are trained, such as the projector; "
        "counted as other parameters. A part has adapters, is trained in full, or is frozen.",
    )

    @model_validator(mode="after")
    def _can_be_shared_out(self) -> Self:
        if self.batch_size % self.num_processes:
            raise ValueError(
                f"batch_size must be a multiple of num_processes={self.num_processes}, which share "
                f"a batch out, got {self.batch_size}; change one of them"
            )
        if self.num_processes > 1 and self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(
                f"device must be auto, cpu or cuda for num_processes={self.num_processes}, "
                f"got {self.device}; each process takes a GPU of its own"
            )
        return self

    @field_serializer("full_parts")
    def _in_model_order(self, parts: frozenset[Part]) -> list[Part]:
        return in_model_order(parts)

    @model_validator(mode="before")
    @classmethod
    def _read_what_older_runs_say(cls, raw: object) -> object:
        """Runs recorded before parts could be chosen say ``train_projector``."""
        if not isinstance(raw, dict) or "train_projector" not in raw:
            return raw
        known = {key: value for key, value in raw.items() if key != "train_projector"}
        return known | ({"full_parts": ["projector"]} if raw["train_projector"] else {})


class EvaluationSettings(Section):
    """When generated answers are scored by exact match."""

    every_steps: int = Field(
        50, ge=1, title="Score every", description="Optimizer steps between scores on validation."
    )
    validation_items: int = Field(
        256, ge=0, description="Validation items scored each time; 0 scores none."
    )
    test_items: int | None = Field(
        None, ge=0, description="Test items scored; 0 scores none, None takes all."
    )
    before: bool = Field(
        True, description="Score the test before training, and the usual answer of each question."
    )
    shuffled_images: bool = Field(
        True, description="Score the test also with every picture replaced by another."
    )
    batch_size: int = Field(256, ge=1, le=65536, description="Items per generation batch.")


class CheckpointSettings(Section):
    """When training state is saved; the last two are kept."""

    every_s: float = Field(
        60.0, gt=0, le=1e6, title="Save every", description="Time between checkpoints."
    )
