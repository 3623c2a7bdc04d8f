"""What the untuned smol model knows, whatever form it answers in.

``python -m benchmarks.forced_choice``

Every test item of configs/smol.yaml is answered by the likeliest first token among those of its
suite's own answers. `rankscope prepare smol` must have been run. Prints accuracy by suite as JSON.
"""

import json
from collections import defaultdict
from pathlib import Path

import torch

from rankscope.models.data.loading import load_data
from rankscope.models.data.parts import VqaPart
from rankscope.models.reading import load_config
from rankscope.models.vlms.loading import load_vlm
from rankscope.storage.settings import Settings

CONFIG = Path(__file__).parents[1] / "configs" / "smol.yaml"
_ROWS = 25


@torch.no_grad()
def main() -> None:
    """Score the items and print."""
    config, roots = load_config(CONFIG), Settings().roots
    vlm = load_vlm(config.model, torch.device("cpu"), roots)
    test = load_data(config.data, vlm.picture_size_px, roots, lambda _: None).splits.test
    assert isinstance(test, VqaPart)
    first_tokens: dict[str, dict[str, int]] = defaultdict(dict)
    for answer, suite in zip(test.answers, test.skills, strict=True):
        ids = vlm.processor.tokenizer(answer, add_special_tokens=False).input_ids
        first_tokens[suite][answer] = ids[0]
    right: dict[str, list[bool]] = defaultdict(list)
    for start in range(0, len(test), _ROWS):
        items = range(start, min(start + _ROWS, len(test)))
        batch = vlm.processor.prompt_batch(test.examples(items))
        logits_BV = vlm.model(**batch, logits_to_keep=1).logits[:, -1]
        for item, logits_V in zip(items, logits_BV, strict=True):
            suite = test.skills[item]
            offered = first_tokens[suite]
            best = max(offered, key=lambda answer: float(logits_V[offered[answer]]))
            right[suite].append(best == test.answers[item])
    total = [mark for marks in right.values() for mark in marks]
    scores = {suite: sum(marks) / len(marks) for suite, marks in sorted(right.items())}
    print(json.dumps({**scores, "all": sum(total) / len(total), "items": len(total)}))


if __name__ == "__main__":
    main()
