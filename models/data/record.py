"""What is remembered of people's own data."""

from pydantic import BaseModel, ConfigDict, Field


class DataRecord(BaseModel):
    """What people's own data held when a run read them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content_hash: str = Field(description="SHA-256 of all good rows, wherever they lie.")
    num_rows: int = Field(description="Rows read.")
    num_broken: int = Field(description="Broken rows that were left out.")
    num_between_parts: int = Field(
        description="Rows left out because they join pictures of different parts."
    )
    broken: tuple[str, ...] = Field(description="The first broken rows: which, rule and remedy.")
