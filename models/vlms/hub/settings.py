"""What a person chooses about a model of the transformers library; free of torch."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["fp32", "bf16", "fp16", "nf4", "int8"]
QUANTISED: tuple[Precision, ...] = ("nf4", "int8")
"""Precisions that need a CUDA device and bitsandbytes."""


class HubVlm(BaseModel):
    """A vision-language model of transformers, by its hub id or from a local folder.

    It must load as `AutoModelForImageTextToText`. Code that a model brings along is never run
    because of a setting here: only the operator of a machine can allow it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="Hugging Face model")

    kind: Literal["hub"] = "hub"
    source: str = Field(
        min_length=1,
        max_length=4096,
        description="Id on the Hugging Face hub (owner/name) or a local folder with the model's "
        "config.json, safetensors, tokenizer and processor files.",
    )
    revision: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="Branch, tag or commit on the hub; None for its main branch. A commit makes a "
        "run repeatable. Not for local folders.",
    )
    precision: Precision = Field(
        "bf16",
        description="Of the frozen base model: fp32, bf16, fp16, or 4-bit nf4 and 8-bit int8, "
        "which need a CUDA device and bitsandbytes. Adapters are trained in fp32.",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Compute activations anew in the backward pass: a third more time for much "
        "less memory.",
    )
    max_length: int = Field(
        2048,
        ge=16,
        le=131_072,
        description="Tokens of one dialogue with its pictures. Longer dialogues lose text after "
        "their last picture; pictures that alone are longer are refused.",
    )
    max_answer_tokens: int = Field(
        128, ge=1, le=8192, description="Tokens to generate at most for one answer."
    )
    max_picture_pixels: int | None = Field(
        None,
        ge=28 * 28,
        le=50_000_000,
        description="Pixels that one picture may keep in the model's own preparation; None for "
        "what the model comes with. Only for models that take pictures of many sizes.",
    )

    threads: ClassVar[int | None] = None
    """CPU threads that serve such a model best: all there are."""
