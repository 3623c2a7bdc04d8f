"""How strong the ridge of the smol model's projector should be: ``python -m benchmarks.ridge``.

Fitted to captioned pictures of the train part, as `rankscope prepare smol` does, and asked on those
of the validation part which word each projected feature is nearest to (cosine, the mean embedding
taken off). `rankscope prepare smol` must have been run. Prints a table and, last, JSON.
"""

import json
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers.utils.logging import disable_progress_bar

from rankscope.models.vlms import SmolVlm
from rankscope.models.vlms.loading import load_vlm
from rankscope.models.vlms.smol.converting import captioned_features
from rankscope.models.vlms.smol.fitting import STRENGTH, set_ridge, word_embeddings
from rankscope.models.vlms.smol.modeling import Projector, SmolVlmForConditionalGeneration
from rankscope.storage.settings import Settings

STRENGTHS = (5, 15, 50, 150, 300, 500, 1000, 1500, 5000, 15000)


@torch.no_grad()
def main() -> None:
    """Fit and ask."""
    disable_progress_bar()  # type: ignore[no-untyped-call]
    vlm = load_vlm(SmolVlm(), torch.device("cpu"), Settings().roots)
    model, tokenizer = vlm.model, vlm.processor.tokenizer
    assert isinstance(model, SmolVlmForConditionalGeneration)
    with tempfile.TemporaryDirectory() as scratch:
        train_ND, told = captioned_features(model, "train", Path(scratch), print)
        held_ND, wanted = captioned_features(model, "validation", Path(scratch), print)
    targets_NE = word_embeddings(model, tokenizer, told)
    vocabulary = sorted(set(told))
    words_WE = word_embeddings(model, tokenizer, vocabulary)
    answers_N = torch.tensor([vocabulary.index(word) for word in wanted])
    projector = Projector(train_ND.shape[1], targets_NE.shape[1])
    rows = []
    print("| strength | right of validation |\n|---|---|")
    for strength in STRENGTHS:
        set_ridge(projector, train_ND, targets_NE, strength)
        said_N = nearest(projector.linear(held_ND), words_WE, targets_NE.mean(0))
        right = float((said_N == answers_N).float().mean())
        rows.append({"strength": strength, "right": right})
        print(f"| {strength:,}{' (in use)' if strength == STRENGTH else ''} | {right:.3f} |")
    print(json.dumps({"rows": rows, "items": len(wanted), "words": len(vocabulary)}))


def nearest(said_NE: Tensor, words_WE: Tensor, mean_E: Tensor) -> Tensor:
    """Index of the word that each row points to."""
    said_NE = functional.normalize(said_NE - mean_E, dim=1)
    words_WE = functional.normalize(words_WE - mean_E, dim=1)
    return (said_NE @ words_WE.T).argmax(1)


if __name__ == "__main__":
    main()
