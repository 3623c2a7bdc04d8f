"""From one ``<image>`` id per picture, as official batches have it, to one per visual token.

Shape letters: B rows, L ids before, M ids after.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rankscope.models.vlms.labels import NOT_SCORED

"""Label of tokens that do not count towards the loss (PyTorch's ``ignore_index``)."""


class Expanded(NamedTuple):
    """A batch in which every visual token has its own place."""

    input_ids_BM: Tensor
    attention_mask_BM: Tensor
    labels_BM: Tensor | None


def expand_image_tokens(
    input_ids_BL: Tensor,
    *,
    image_token_id: int,
    num_visual_tokens: int,
    attention_mask_BL: Tensor | None = None,
    labels_BL: Tensor | None = None,
) -> Expanded:
    """Repeat every ``<image>`` id once per visual token; those places are attended, not scored.

    Rows that hold fewer pictures than others are padded on the right, where nothing is attended.
    """
    is_image_BL = input_ids_BL == image_token_id
    repeats_BL = torch.where(is_image_BL, num_visual_tokens, 1)
    if attention_mask_BL is None:
        attention_mask_BL = torch.ones_like(input_ids_BL)

    def stretched(rows_BL: Tensor, padding: int) -> Tensor:
        rows = zip(rows_BL, repeats_BL, strict=True)
        stretched_rows = [row_L.repeat_interleave(repeats_L) for row_L, repeats_L in rows]
        return pad_sequence(stretched_rows, batch_first=True, padding_value=padding)

    if labels_BL is not None:
        labels_BL = stretched(labels_BL.masked_fill(is_image_BL, NOT_SCORED), NOT_SCORED)
    # Any real token may pad: the mask hides it.
    return Expanded(stretched(input_ids_BL, 0), stretched(attention_mask_BL, 0), labels_BL)
