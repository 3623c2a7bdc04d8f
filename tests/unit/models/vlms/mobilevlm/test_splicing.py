"""One id per picture becomes one id per visual token."""

import torch

from rankscope.models.vlms.mobilevlm.splicing import expand_image_tokens


def test_every_picture_gets_its_places_and_shorter_rows_are_padded_on_the_right() -> None:
    """Three visual tokens: 2 + 2 x 3 = 8 places in the first row, 3 + 1 x 3 = 6 in the second."""
    ids = torch.tensor([[1, -200, 7, -200], [1, 5, -200, 6]])
    expanded = expand_image_tokens(
        ids, image_token_id=-200, num_visual_tokens=3, labels_BL=ids.clone()
    )
    i = -200
    assert expanded.input_ids_BM.tolist() == [[1, i, i, i, 7, i, i, i], [1, 5, i, i, i, 6, 0, 0]]
    assert expanded.attention_mask_BM.tolist() == [[1] * 8, [1] * 6 + [0] * 2]
    assert expanded.labels_BM is not None
    n = -100
    assert expanded.labels_BM.tolist() == [[1, n, n, n, 7, n, n, n], [1, 5, n, n, n, 6, n, n]]


def test_padding_stays_where_it_was() -> None:
    ids = torch.tensor([[0, 1, -200], [1, 2, -200]])
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    expanded = expand_image_tokens(
        ids, image_token_id=-200, num_visual_tokens=2, attention_mask_BL=mask
    )
    assert expanded.attention_mask_BM.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert expanded.labels_BM is None
