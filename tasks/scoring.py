"""Generated answers scored by exact match, and the loss of single items.

Shapes: B items, T tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from rankscope.models.data.parts import DataPart
from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.models.vlms.loading import LoadedVlm
from rankscope.tasks.generation import generate_answers

BoolArray = npt.NDArray[np.bool_]
Model = torch.nn.Module


@dataclass(frozen=True)
class Score:
    """Exact-match result on a part: per item, in the part's order."""

    correct_N: BoolArray
    skills: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Fraction of items answered exactly."""
        return float(self.correct_N.mean())

    @property
    def accuracy_by_skill(self) -> dict[str, float]:
        """Fraction per skill, skills in alphabetical order."""
        skills_N = np.asarray(self.skills)
        return {
            str(skill): float(self.correct_N[skills_N == skill].mean())
            for skill in np.unique(skills_N)
        }


def score(said: Sequence[str], part: DataPart) -> Score:
    """Compare answers with a part's own, spaces and case folded."""
    pairs = zip(said, part.answers, strict=True)
    return Score(np.asarray([_folded(a) == _folded(b) for a, b in pairs], np.bool_), part.skills)


def exact_match(
    model: Model,
    vlm: LoadedVlm,
    part: DataPart,
    *,
    batch_size: int,
    on_items: Callable[[int], None] = lambda _: None,
) -> Score:
    """Generate answers greedily and score them.

    Args:
        model: The adapted model; left in the mode (training or evaluation) it came in.
        vlm: Its processor and device.
        part: Items to answer.
        batch_size: Items per generation batch.
        on_items: Called with the number of items scored so far, after each batch.
    """
    answers: list[str] = []
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(part), batch_size):
            ids = range(start, min(start + batch_size, len(part)))
            longest = vlm.processor.max_answer_tokens
            answers += generate_answers(model, vlm, part.examples(ids), max_new_tokens=longest)
            on_items(len(answers))
    finally:
        model.train(was_training)
    return score(answers, part)


def mean_loss(model: Model, vlm: LoadedVlm, part: DataPart, *, batch_size: int) -> float:
    """Mean of :func:`item_losses` over a part, the model in evaluation mode meanwhile."""
    was_training = model.training
    model.eval()
    losses = []
    try:
        for start in range(0, len(part), batch_size):
            ids = range(start, min(start + batch_size, len(part)))
            batch = vlm.processor.training_batch(part.examples(ids))
            with torch.no_grad():
                on_device = {key: value.to(vlm.device) for key, value in batch.items()}
                losses.append(item_losses(model, on_device))
    finally:
        model.train(was_training)
    return float(torch.cat(losses).double().mean())


def item_losses(model: Model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean cross-entropy (nats) over the answer tokens of every item, shape (B,)."""
    labels_BT = batch["labels"][:, 1:]
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    logits_BTV = model(**inputs).logits[:, :-1].float()
    token_losses_BT = functional.cross_entropy(
        logits_BTV.transpose(1, 2), labels_BT, ignore_index=NOT_SCORED, reduction="none"
    )
    counted_BT = labels_BT != NOT_SCORED
    return (token_losses_BT * counted_BT).sum(1) / counted_BT.sum(1)


def _folded(text: str) -> str:
    return " ".join(text.lower().split())
