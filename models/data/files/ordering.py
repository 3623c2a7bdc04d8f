"""The order in which training sees its rows: batches of like length, another order each epoch."""

from collections.abc import Sequence

import numpy as np

from rankscope.models.data.arrays import IntArray

_BATCHES_SORTED_TOGETHER = 50
"""As Hugging Face's Trainer does: fewer pad more, more make the order less random."""


def length_groups(
    lengths: Sequence[int],
    has_pictures: Sequence[bool],
    *,
    batch_size: int,
    seed: int,
    epoch: int = 0,
) -> tuple[IntArray, ...]:
    """All indices once, in batches; no batch mixes rows with pictures and rows without.

    Rows are shuffled, sorted by length within stretches of 50 batches, and the batches shuffled
    again. The batch with the longest row comes first, so that too little memory shows at once. The
    last batch of either kind may be short.

    Args:
        lengths: Of each row, in tokens or anything that grows with them.
        has_pictures: Whether each row has pictures.
        batch_size: Rows of a batch.
        seed: Of the run.
        epoch: Another order each time.

    Raises:
        ValueError: If there is not one length and one modality for each row.
    Source: LLaVA, ``group_by_modality_length`` (llava/train/llava_trainer.py), which mixes both
        kinds in one last batch; Hugging Face transformers, ``get_length_grouped_indices``.
    """
    if len(lengths) != len(has_pictures) or batch_size < 1:
        raise ValueError(
            "length_groups needs a length and a modality for each row and at least 1 row a batch, "
            f"got {len(lengths)}, {len(has_pictures)} and {batch_size}; correct the call"
        )
    if not lengths:
        return ()
    random = np.random.default_rng((seed, epoch))
    lengths_I = np.asarray(lengths, dtype=np.int64)
    shows_I = np.asarray(has_pictures, dtype=bool)
    batches = [
        batch
        for kind in (True, False)
        for batch in _batches(np.flatnonzero(shows_I == kind), lengths_I, batch_size, random)
    ]
    longest = max(range(len(batches)), key=lambda index: lengths_I[batches[index]].max())
    first = batches.pop(longest)
    return (first, *(batches[index] for index in random.permutation(len(batches))))


def _batches(
    indices: IntArray, lengths_I: IntArray, batch_size: int, random: np.random.Generator
) -> list[IntArray]:
    shuffled = random.permutation(indices)
    stretch = batch_size * _BATCHES_SORTED_TOGETHER
    batches: list[IntArray] = []
    for start in range(0, len(shuffled), stretch):
        together = shuffled[start : start + stretch]
        by_length = together[np.argsort(-lengths_I[together], kind="stable")]
        batches += [by_length[at : at + batch_size] for at in range(0, len(by_length), batch_size)]
    return batches
