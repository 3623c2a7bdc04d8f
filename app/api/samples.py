"""A few pictures of a data set with their questions and answers, before anything is launched."""

import base64
import io
import json
from functools import lru_cache
from threading import Lock
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query
from PIL import Image

from rankscope.app.door.identity import viewer
from rankscope.models.data import AnyDataset
from rankscope.models.data.arrays import UInt8Array
from rankscope.models.reading import ConfigError, parse_config

NUM_SAMPLES = 8
IMAGE_SIZE_PX = 48
"""What the embedded model sees; the browser enlarges it."""

router = APIRouter(prefix="/api/samples", tags=["samples"], dependencies=[Depends(viewer)])
_one_at_a_time = Lock()


@router.get("")
def read_samples(data: Annotated[str, Query(max_length=4000)]) -> dict[str, Any]:
    """Samples of the data set whose settings are given as JSON, as in a configuration."""
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"data must be JSON, got {data[:80]!r}; mend it") from error
    dataset = parse_config({"data": settings}).data
    with _one_at_a_time:  # reading a data set takes seconds and much memory
        return {"samples": _samples(dataset)}


@lru_cache(maxsize=16)
def _samples(dataset: AnyDataset) -> list[dict[str, str]]:
    try:
        part = dataset.sample(IMAGE_SIZE_PX, NUM_SAMPLES)
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error
    images = part.images_of(np.arange(len(part)))
    return [
        {"image": _data_uri(image), "question": question, "answer": answer, "skill": skill}
        for image, question, answer, skill in zip(
            images, part.questions, part.answers, part.skills, strict=True
        )
    ]


def _data_uri(image_HWC: UInt8Array) -> str:
    file = io.BytesIO()
    Image.fromarray(image_HWC).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
