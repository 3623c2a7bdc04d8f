"""What a model would see of a data set, for people to look at before they train on it."""

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.data.dialogue import Role
from rankscope.models.data.files.report import Quantiles, Report


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Segment(_Shown):
    """Neighbouring tokens that are all scored or all masked from the loss."""

    text: str = Field(description="What they say; of a repeated token what one says.")
    num_tokens: int
    is_scored: bool = Field(description="Whether the loss looks at them.")
    is_repeated: bool = Field(description="Whether it is one token many times, as of a picture.")


class ShownTurn(_Shown):
    """What one side says, as the data have it."""

    role: Role
    text: str


class ShownRow(_Shown):
    """One row of the data, and what becomes of it."""

    file: str
    row: int = Field(description="Counted from 1.")
    key: str
    turns: tuple[ShownTurn, ...]
    pictures: tuple[str, ...] = Field(description="Small PNG as data: addresses.")
    segments: tuple[Segment, ...] = Field(description="In order; empty without a tokenizer.")
    num_tokens: int = 0
    num_scored: int = Field(0, description="Tokens that the loss looks at.")
    num_hidden: int = Field(0, description="Tokens behind the last segment shown.")
    problem: str = Field("", description="Why the model cannot take it.")


class Histogram(_Shown):
    """Counts between edges; the last edge belongs to the last count."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]


class Lengths(_Shown):
    """How long rows are in the model's tokens, pictures included."""

    num_rows: int = Field(description="Rows that were counted.")
    tokens: Quantiles | None
    scored: Quantiles | None = Field(description="Of the tokens that the loss looks at.")
    histogram: Histogram | None = Field(description="Of tokens a row.")
    limit_tokens: int | None = Field(description="Where the model's rows are cut.")
    num_at_limit: int = Field(description="Rows that reach it and may have lost text.")
    num_refused: int = Field(description="Rows that the model cannot take.")
    first_refusal: str = Field(description="Why, of the first of them.")


class DataPreview(_Shown):
    """The answer of :mod:`rankscope.tasks.previewing`."""

    rows: tuple[ShownRow, ...]
    lengths: Lengths | None = Field(description="None where there is no tokenizer.")
    tokens_problem: str = Field("", description="Why there is none.")
    report: Report | None = Field(description="Of people's own data; None of built-in ones.")
