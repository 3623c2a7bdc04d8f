"""What a model's cost depends on beyond its linear modules; told by its configuration."""

from pydantic import BaseModel, ConfigDict, Field


class PictureSizes(BaseModel):
    """What becomes of one picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patches: int = Field(ge=1, description="Positions of the tower's output.")
    tokens: int = Field(ge=1, description="Positions in the language model.")
    cached_bytes: int = Field(0, ge=0, description="Of its features where they are kept on disk.")
    of: str = Field(description="Which picture that is true of, for people.")


class ModelSizes(BaseModel):
    """Widths and lengths that no linear module tells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocabulary: int = Field(ge=1, description="Words of the head.")
    num_heads: int = Field(ge=1, description="Attention heads of the language model.")
    context_tokens: int = Field(ge=1, description="Positions a row may have at most.")
    picture: PictureSizes | None = Field(description="None where no processor could tell.")
    checkpoints_tower: bool = Field(
        False,
        description="Whether gradient checkpointing keeps the inputs of a frozen tower's layers "
        "too, as transformers' own models do.",
    )
