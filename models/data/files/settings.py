"""What a person says about data of their own: where they lie, how they read, how they are split."""

from abc import ABC, abstractmethod
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import override

from rankscope.models.data.dialogue import MAX_PIXELS

PartName = Literal["train", "probe", "validation", "test"]
FormatName = Literal["auto", "llava", "sharegpt", "messages", "table"]
BrokenRows = Literal["refuse", "leave_out"]
Column = Annotated[str, Field(min_length=1, max_length=200)]

_KEPT_PILLOW_LIMIT = 89_478_485
"""Pillow warns from here on; a limit of ours above it would never be met in silence."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Columns(_Section):
    """What the columns are called; question and answer are heeded by the format table alone."""

    question: Column = Field("question", description="Column of the question, in a table.")
    answer: Column = Field("answer", description="Column of the answer, in a table.")
    image: Column = Field(
        "image", description="Column of the picture or pictures; image and images are known."
    )
    key: Column = Field("id", description="Column of the row's own name, for splits by key.")
    skill: Column = Field(
        "skill",
        description="Column of what a row tests, for instance category; accuracies are also told "
        "by it.",
    )


class Split(_Section):
    """How rows are dealt to the four parts; train gets what the others leave."""

    by: Literal["picture", "key"] = Field(
        "picture",
        title="Kept together",
        description="picture: rows about pictures of the same content; key: rows of the same key.",
    )
    probe_fraction: float = Field(0.02, ge=0, le=0.5, description="For the scheduler.")
    validation_fraction: float = Field(0.03, ge=0, le=0.5, description="For choices of people.")
    test_fraction: float = Field(0.05, ge=0, le=0.5, description="For the last word.")
    seed: int = Field(0, ge=0, lt=2**32, description="Which pictures or keys go where.")

    @model_validator(mode="after")
    def _train_gets_something(self) -> "Split":
        others = self.probe_fraction + self.validation_fraction + self.test_fraction
        if others > 0.9:
            raise ValueError(
                "probe, validation and test must not exceed 0.9 of the data together, "
                f"got {others:g}; lower one"
            )
        return self


class Limits(_Section):
    """What one row may ask of a machine; a row above a limit is broken."""

    max_pixels: int = Field(
        MAX_PIXELS, ge=1, le=_KEPT_PILLOW_LIMIT, description="Of one picture, width times height."
    )
    max_picture_bytes: int = Field(
        50_000_000, ge=1, le=2**30, description="Of one picture as its file has it."
    )
    max_row_bytes: int = Field(
        64_000_000, ge=1, le=2**30, description="Of one row of a JSON file, pictures included."
    )
    max_pictures: int = Field(16, ge=0, le=1024, description="Of one row.")
    max_turns: int = Field(100, ge=2, le=10_000, description="Of one row.")
    max_chars: int = Field(100_000, ge=1, le=10_000_000, description="Of all turns of one row.")


class DialogueData(_Section, ABC):
    """What is asked about people's own data, wherever they lie."""

    format: FormatName = Field("auto", description="How rows read; auto asks the first row.")
    columns: Columns = Columns()
    broken_rows: BrokenRows = Field(
        "refuse", description="Refuse data with broken rows, or leave those rows out and say so."
    )
    split: Split = Split()
    limits: Limits = Limits()

    @property
    @abstractmethod
    def family(self) -> str:
        """Which data sets count as the same kind of shift away from pretraining."""

    @model_validator(mode="after")
    def _column_names_are_heeded(self) -> "DialogueData":
        usual = Columns()
        named = [
            name
            for name in ("answer", "question")
            if getattr(self.columns, name) != getattr(usual, name)
        ]
        if self.format not in ("auto", "table") and named:
            raise ValueError(
                f"columns.{named[0]} has no effect with format {self.format}; leave it out or "
                "set format to table"
            )
        return self


class _Place(_Section):
    path: str = Field(
        min_length=1,
        max_length=1000,
        description="File, folder, or pattern of files (shards/train-*.parquet), under the data "
        "root.",
    )
    image_root: str = Field(
        "",
        max_length=1000,
        description="Folder that paths of pictures begin at, under the data root; empty: the "
        "folder of the file.",
    )
    folder_question: str = Field(
        "What does the picture show?",
        min_length=1,
        max_length=1000,
        description="Asked about every picture of a folder; its subfolder's name is the answer.",
    )

    @field_validator("path", "image_root")
    @classmethod
    def _path_stays_below(cls, path: str) -> str:
        if "\0" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ValueError(
                f"a path must be relative to the data root and stay below it, got {path!r}; "
                "leave out .. and the leading /"
            )
        return path


class _HubPlace(_Section):
    id: str = Field(
        pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$",
        max_length=200,
        description="Owner and name, HuggingFaceM4/ChartQA.",
    )
    subset: str | None = Field(
        None, min_length=1, max_length=200, description="Which configuration of the data set."
    )
    hub_split: str = Field(
        "train", min_length=1, max_length=200, description="Which of its published splits."
    )
    revision: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Commit, tag or branch; only a commit makes a run repeatable.",
    )


# The place stands last among the bases, because pydantic lists the last one's fields first, and
# people fill in first where their data are.
class FileData(DialogueData, _Place):
    """Files under the data root: JSON, JSONL, CSV, Parquet, pictures in folders."""

    model_config = ConfigDict(title="Files")

    kind: Literal["files"] = "files"

    @property
    @override
    def family(self) -> str:
        return f"files:{PurePosixPath(self.path)}"


class HubData(DialogueData, _HubPlace):
    """A data set of the Hugging Face hub, streamed; no code of the data set is run."""

    model_config = ConfigDict(title="Hugging Face hub")

    kind: Literal["hub"] = "hub"

    @property
    @override
    def family(self) -> str:
        return f"hub:{self.id}"
