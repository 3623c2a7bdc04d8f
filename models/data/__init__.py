"""Every data set a run can name: add a file with a ``VqaDataset`` and its name to this list."""

from typing import Annotated

from pydantic import Field

from rankscope.models.data.easy_vqa import EasyVqa
from rankscope.models.data.scenes import Scenes

__all__ = ["AnyDataset", "EasyVqa", "Scenes"]

AnyDataset = Annotated[Scenes | EasyVqa, Field(discriminator="kind")]
