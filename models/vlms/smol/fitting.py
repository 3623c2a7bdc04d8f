"""The projector's start in closed form: ridge regression from features to word embeddings.

The targets are SmolLM2's own embeddings of the words that name what a picture or a quarter of it
shows, so that the language model meets visual tokens it can already read.

Shape letters: N rows, V visual tokens, D vision width, E language width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rankscope.models.vlms.smol.modeling import Projector, SmolVlmForConditionalGeneration

STRENGTH = 300.0
"""Of the ridge, on standardised features: the best of ten on pictures of the validation part
(``python -m benchmarks.ridge``)."""


def fit_projector(
    model: SmolVlmForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    features_ND: Tensor,
    words: Sequence[str],
) -> None:
    """Set the projector to the ridge solution; positions start at zero.

    Args:
        model: Its projector is changed in place.
        tokenizer: Of its language model.
        features_ND: Pooled features of pictures or quarters.
        words: What each of them shows.
    """
    set_ridge(model.projector, features_ND, word_embeddings(model, tokenizer, words))


def word_embeddings(
    model: SmolVlmForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, words: Sequence[str]
) -> Tensor:
    """Of each word, (N, E)."""
    embeddings = model.language_model.model.embed_tokens.weight.detach()
    vocabulary = list(dict.fromkeys(words))
    targets_WE = torch.stack([word_embedding(embeddings, tokenizer, w) for w in vocabulary])
    return targets_WE[torch.tensor([vocabulary.index(word) for word in words])]


def word_embedding(embeddings: Tensor, tokenizer: PreTrainedTokenizerBase, word: str) -> Tensor:
    """Mean embedding of the tokens of a word, with a space before it as within a sentence."""
    ids = tokenizer(f" {word}", add_special_tokens=False).input_ids
    return embeddings[torch.tensor(ids)].mean(0)


def set_ridge(
    projector: Projector, features_ND: Tensor, targets_NE: Tensor, strength: float = STRENGTH
) -> None:
    """Ridge regression on standardised features, solved in float64, written as a linear map."""
    x_ND, y_NE = features_ND.double(), targets_NE.double()
    mean_D, deviation_D = x_ND.mean(0), x_ND.std(0).clamp_min(1e-3)
    z_ND, offset_E = (x_ND - mean_D) / deviation_D, y_NE.mean(0)
    gram_DD = z_ND.T @ z_ND + strength * torch.eye(z_ND.shape[1], dtype=z_ND.dtype)
    weight_DE = torch.linalg.solve(gram_DD, z_ND.T @ (y_NE - offset_E)) / deviation_D[:, None]
    with torch.no_grad():
        projector.linear.weight.copy_(weight_DE.T)
        projector.linear.bias.copy_(offset_E - mean_D @ weight_DE)
        projector.position.zero_()
