"""A few pictures of a data set with their questions and answers, before anything is launched."""

import json
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from rankscope.app.door.identity import viewer
from rankscope.app.pages.contract import Site
from rankscope.models.data import AnyDataset, FileData, HubData
from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.dialogue import Example
from rankscope.models.data.files.opening import open_data
from rankscope.models.data.parts import DialoguePart
from rankscope.models.data.thumbnails import thumbnail
from rankscope.models.reading import ConfigError, parse_config
from rankscope.models.roots import Roots

NUM_SAMPLES = 8
IMAGE_SIZE_PX = 48
"""What the embedded model sees; the browser enlarges it."""

router = APIRouter(prefix="/api/samples", tags=["samples"], dependencies=[Depends(viewer)])
_one_at_a_time = Lock()


@router.get("")
def read_samples(request: Request, data: Annotated[str, Query(max_length=4000)]) -> dict[str, Any]:
    """Samples of the data set whose settings are given as JSON, as in a configuration."""
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"data must be JSON, got {data[:80]!r}; mend it") from error
    dataset = parse_config({"data": settings}).data
    site: Site = request.app.state.site
    try:
        with _one_at_a_time:  # reading a data set takes seconds and much memory
            return {"samples": _samples(dataset, site.settings.roots)}
    except (ValueError, OSError) as error:
        raise ConfigError(str(error)) from error


def _samples(dataset: AnyDataset, roots: Roots) -> list[dict[str, str]]:
    match dataset:
        case VqaDataset():
            return _drawn(dataset, roots.cache)
        case FileData():
            rows = open_data(dataset, roots.data).examples()
            good = (row for row in rows if isinstance(row, Example))
            return [_shown(example) for example in islice(good, NUM_SAMPLES)]
        case HubData():
            raise ConfigError(
                f"samples are shown of data on this machine, {dataset.id} is on the hub; look at "
                f"it there: https://huggingface.co/datasets/{dataset.id}"
            )


@lru_cache(maxsize=16)
def _drawn(dataset: VqaDataset, cache: Path) -> list[dict[str, str]]:
    part = dataset.sample(IMAGE_SIZE_PX, NUM_SAMPLES, cache)
    examples = part.examples(range(len(part)))
    return [
        _shown(example) | {"skill": skill}
        for example, skill in zip(examples, part.skills, strict=True)
    ]


def _shown(example: Example) -> dict[str, str]:
    """The last question and answer; of several pictures the first."""
    part = DialoguePart.of((example,), ("",))
    return {
        "image": thumbnail(example.pictures[0]) if example.pictures else "",
        "question": part.questions[0],
        "answer": part.answers[0],
        "skill": "",
    }
