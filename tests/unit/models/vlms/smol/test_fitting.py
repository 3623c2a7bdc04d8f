"""The projector's start in closed form."""

from pathlib import Path

import torch

from rankscope.models.vlms.smol.fitting import STRENGTH, fit_projector, set_ridge, word_embedding
from rankscope.models.vlms.smol.modeling import Projector
from tests.unit.models.vlms.smol.tiny import VISION_WIDTH, tiny_model, tiny_tokenizer


def test_the_ridge_shrinks_by_hand_worked_shares() -> None:
    """Two feature values, -1 and 1, n/2 rows each; targets -1 and 1.

    Standardised by s = sqrt(n / (n - 1)): z'z = n - 1, z'y = n / s, so the slope in x is
    n / s^2 / (n - 1 + strength) = (n - 1) / (n - 1 + strength), and the offset 0.
    """
    num_rows = 301
    x = torch.tensor([[-1.0], [1.0]]).repeat(150, 1)
    projector = Projector(1, 1)
    set_ridge(projector, x, x)
    share = 299 / (299 + STRENGTH)
    assert num_rows == 301
    torch.testing.assert_close(projector.linear.weight.item(), share, rtol=1e-5, atol=0)
    assert abs(projector.linear.bias.item()) < 1e-6


def test_pictures_of_a_word_are_projected_nearest_to_its_embedding(tmp_path: Path) -> None:
    model, tokenizer = tiny_model(), tiny_tokenizer(tmp_path)
    words = ["cat", "bus", "house"] * 200
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, VISION_WIDTH, generator=generator)
    features = centres.repeat(200, 1) + 0.1 * torch.randn(600, VISION_WIDTH, generator=generator)
    fit_projector(model, tokenizer, features, words)
    embeddings = model.language_model.model.embed_tokens.weight
    targets = torch.stack([word_embedding(embeddings, tokenizer, word) for word in words[:3]])
    nearest = torch.cdist(model.projector.linear(centres), targets).argmin(1)
    assert nearest.tolist() == [0, 1, 2]
