"""Every data set a run can name: add a file with its settings and its name to this list."""

from typing import Annotated

from pydantic import Field

from rankscope.models.data.easy_vqa import EasyVqa
from rankscope.models.data.emoji import Emoji
from rankscope.models.data.files.settings import FileData, HubData
from rankscope.models.data.scenes import Scenes

__all__ = ["AnyDataset", "EasyVqa", "Emoji", "FileData", "HubData", "Scenes"]

AnyDataset = Annotated[Scenes | EasyVqa | Emoji | FileData | HubData, Field(discriminator="kind")]
