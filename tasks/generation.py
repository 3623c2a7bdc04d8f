"""Answers generated greedily in batches with a cache of keys and values.

Left padding keeps what a row computes free of its neighbours, so that any batch size gives the same
answers, up to rounding.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import structlog
import torch
from torch import Tensor, nn
from transformers import StoppingCriteria, StoppingCriteriaList
from typing_extensions import override

from rankscope.models.data.dialogue import Example
from rankscope.models.vlms.loading import LoadedVlm

log = structlog.get_logger()

T = TypeVar("T")


class Interrupted(Exception):
    """Generation was given up in the middle of a batch, as asked."""


class _Until(StoppingCriteria):
    def __init__(self, is_over: Callable[[], bool]) -> None:
        self._is_over = is_over

    @override
    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        del scores, kwargs
        return torch.full((len(input_ids),), self._is_over(), device=input_ids.device)


def generate_answers(
    model: nn.Module,
    vlm: LoadedVlm,
    examples: Sequence[Example],
    *,
    max_new_tokens: int,
    is_over: Callable[[], bool] = lambda: False,
) -> list[str]:
    """The last answers to some dialogues, in one batch, each token the most probable one.

    A checkpoint's own penalties of repetition are left out: they count the padding of a batch.

    Args:
        model: Adapted or not, in evaluation mode.
        vlm: Its processor and device.
        examples: Whose last answers are asked for.
        max_new_tokens: Of an answer at most.
        is_over: Looked at before every token; True gives the batch up.

    Raises:
        Interrupted: ``is_over`` said so.
        Unfit: The model cannot take an example.
    """
    prompt = {
        key: value.to(vlm.device) for key, value in vlm.processor.prompt_batch(examples).items()
    }
    with torch.no_grad():
        generated_BT = model.generate(  # type: ignore[operator]
            **prompt,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            use_cache=True,
            stopping_criteria=StoppingCriteriaList([_Until(is_over)]),
        )
    if is_over():
        raise Interrupted
    return vlm.processor.decode(generated_BT[:, prompt["input_ids"].shape[1] :])


def in_batches(
    todo: Sequence[T], batch_size: int, answer: Callable[[Sequence[T]], list[str]]
) -> Iterator[tuple[Sequence[T], list[str]]]:
    """Answer everything in batches, of half the size from where memory does not suffice.

    Args:
        todo: What is to be answered.
        batch_size: At most so many at once.
        answer: One answer for each.

    Yields:
        Each batch with its answers.

    Raises:
        MemoryError: A single one is too much.
    """
    start = 0
    while start < len(todo):
        batch = todo[start : start + batch_size]
        try:
            answers = answer(batch)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise MemoryError(
                    "one item must fit into memory, it does not; use a machine with more, a base "
                    "model of less precision, or smaller pictures (model.max_picture_pixels)"
                ) from error
            batch_size = len(batch) // 2
            log.warning("out of memory", batch_size=batch_size)
        else:
            yield batch, answers
            start += len(batch)
            continue
        # outside of the handler, whose traceback holds the tensors
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is that; the CPU's allocator says so in words only."""
    is_plain = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_plain or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
